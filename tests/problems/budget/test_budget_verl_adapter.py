"""The allocator in a loop like verl's: a stub of its DataProto, and its own arithmetic."""

import uuid

import numpy as np
import pytest
import torch

from allocenv import Allocator
from allocenv.problems.budget.adapters import verl_like
from allocenv.problems.budget.adapters.groups import group, outcomes


class DataProto:
    """What of verl's DataProto a step of its trainer uses: the same names, arguments and order of rows."""

    def __init__(self, batch, non_tensor_batch, meta_info=None):
        self.batch, self.non_tensor_batch, self.meta_info = batch, non_tensor_batch, meta_info or {}

    def __len__(self):
        return len(next(iter({**self.batch, **self.non_tensor_batch}.values())))

    def select_idxs(self, idxs):
        rows = torch.from_numpy(idxs) if isinstance(idxs, np.ndarray) else torch.tensor(idxs)
        tensors = {key: tensor[rows] for key, tensor in self.batch.items()}
        others = {key: array[rows.numpy()] for key, array in self.non_tensor_batch.items()}
        return type(self)(tensors, others, self.meta_info)

    def repeat(self, repeat_times=2, interleave=True):
        assert interleave
        tensors = {key: tensor.repeat_interleave(repeat_times, dim=0) for key, tensor in self.batch.items()}
        others = {key: np.repeat(array, repeat_times, axis=0) for key, array in self.non_tensor_batch.items()}
        return type(self)(tensors, others, self.meta_info)

    def reorder(self, indices):
        self.batch = {key: tensor[indices] for key, tensor in self.batch.items()}
        self.non_tensor_batch = {key: array[indices.numpy()] for key, array in self.non_tensor_batch.items()}

    def union(self, other):
        for key in self.non_tensor_batch.keys() & other.non_tensor_batch.keys():
            assert (self.non_tensor_batch[key] == other.non_tensor_batch[key]).all()
        self.batch = {**self.batch, **other.batch}
        self.non_tensor_batch = {**self.non_tensor_batch, **other.non_tensor_batch}
        return self


def verl_advantages(scores, uid, by_std):
    """GRPO's advantages with torch, a group at a time, as the trainer has them."""
    out = torch.empty_like(scores)
    for one in set(uid):
        mine = torch.tensor([x == one for x in uid])
        single = int(mine.sum()) == 1
        mean = torch.tensor(0.0) if single else scores[mine].mean()
        std = torch.tensor(1.0) if single else scores[mine].std()
        out[mine] = (scores[mine] - mean) / (std + 1e-6) if by_std else scores[mine] - mean
    return out


def loaded(n=6):
    """A batch as it comes from the data loader: a row a prompt, its index, its reward model's answer."""
    return DataProto(
        {"prompt": torch.arange(n)[:, None]},
        {"index": np.arange(100, 100 + n), "data_source": np.array(["set"] * n, object)},
    )


def test_a_training_step_with_unequal_groups_keeps_every_rollout_with_its_prompt():
    allocator, rates, rng = Allocator(), np.array([0.0, 0.05, 0.3, 0.5, 0.9, 1.0]), np.random.default_rng(0)
    sizes = []
    for step in range(12):
        batch = loaded()
        batch.non_tensor_batch["uid"] = np.array([str(uuid.uuid4()) for _ in range(len(batch))], object)
        ids = batch.non_tensor_batch["index"]
        counts = allocator.allocate(ids, len(ids) * 8)
        rows = verl_like.expansion(counts, seed=step)
        generated = verl_like.expand(batch, rows)
        hits = rng.random(48) < rates[generated.batch["prompt"][:, 0].numpy()]
        answers = DataProto({"scores": torch.tensor(hits, dtype=torch.float32)[:, None]}, generated.non_tensor_batch)
        batch = verl_like.expand(batch, rows).union(answers)
        batch.reorder(torch.from_numpy(rng.permutation(48)))  # _balance_batch
        scores = batch.batch["scores"].sum(-1)
        assert (torch.tensor(verl_like.grpo_advantages(scores, batch.non_tensor_batch["uid"]))).isfinite().all()
        allocator.observe(*outcomes(batch.non_tensor_batch["index"], scores))
        sizes.append(counts)
    assert (np.array(sizes).sum(axis=1) == 48).all()
    assert sizes[0].tolist() == [8] * 6
    assert sizes[-1][[1, 2, 3]].sum() > sizes[-1][[0, 4, 5]].sum()  # the open ones get more
    assert allocator.stats()["prompts_known"] == 6


def test_equal_counts_give_what_repeat_gives():
    batch = loaded()
    expanded, repeated = verl_like.expand(batch, verl_like.expansion([3] * 6)), batch.repeat(repeat_times=3)
    assert torch.equal(expanded.batch["prompt"], repeated.batch["prompt"])
    assert (expanded.non_tensor_batch["index"] == repeated.non_tensor_batch["index"]).all()


def test_a_shuffled_expansion_has_the_same_rows_in_the_same_order_each_time():
    counts = np.array([5, 0, 2, 9])
    rows = verl_like.expansion(counts, seed=3)
    assert rows.tolist() == verl_like.expansion(counts, seed=3).tolist()
    assert rows.tolist() != verl_like.expansion(counts).tolist()
    assert np.bincount(rows, minlength=4).tolist() == counts.tolist()


@pytest.mark.parametrize("by_std", [True, False])
def test_advantages_of_unequal_groups_are_verls(by_std):
    rng = np.random.default_rng(1)
    uid = np.array([f"u{i}" for i in rng.integers(0, 9, 40)] + ["alone"], object)
    rewards = torch.tensor(rng.random(41), dtype=torch.float64)
    found = verl_like.grpo_advantages(rewards, uid, by_std)
    np.testing.assert_allclose(found, verl_advantages(rewards, uid, by_std).numpy(), rtol=1e-6)
    assert found[-1] == pytest.approx(float(rewards[-1]), abs=1e-5)  # a group of one: mean 0, deviation 1


def test_ranks_get_about_the_same_to_generate():
    counts = np.array([60, 20, 20, 10, 10, 2, 2, 2, 2])
    rank_of = verl_like.partition(counts, 2)
    assert np.bincount(rank_of, counts).tolist() == [64, 64]
    tokens = np.array([1, 1, 2, 1, 1, 1, 1, 1, 1])
    assert np.bincount(verl_like.partition(counts, 2, tokens), counts * tokens).tolist() == [74, 74]
    assert verl_like.partition([], 3).tolist() == []


@pytest.mark.parametrize("seed", range(3))
def test_the_fullest_rank_is_within_a_third_of_the_mean_and_the_largest_group(seed):
    counts = np.random.default_rng(seed).geometric(0.1, 256)
    load = np.bincount(verl_like.partition(counts, 8), counts)
    assert load.max() <= max(counts.max(), 4 / 3 * counts.sum() / 8)


def test_outcomes_count_by_prompt_whatever_the_order():
    found = outcomes(["b", "a", "b", "b"], [1.0, -1.0, 0.0, 1.0])
    assert (found.prompt_ids, found.n_correct.tolist(), found.n_rollouts.tolist()) == (["b", "a"], [2, 0], [3, 1])
    assert outcomes([("s", 1), ("s", 1)], torch.tensor([0.2, 0.9]), 0.1).n_correct.tolist() == [2]
    assert group(np.array([7, 5, 7])).of.tolist() == [0, 1, 0]


def test_a_missing_reward_is_an_error_unless_left_out():
    with pytest.raises(ValueError, match="NaN for rollout 1 of prompt 'b'"):
        outcomes(["a", "b"], [1.0, float("nan")])
    found = outcomes(["a", "b"], [1.0, float("nan")], leave_out_nan=True)
    assert (found.n_correct.tolist(), found.n_rollouts.tolist()) == ([1, 0], [1, 0])
    with pytest.raises(ValueError, match="NaN for rollout 0"):
        verl_like.grpo_advantages([float("nan"), 1.0], ["a", "a"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: verl_like.expansion([1.5]), "counts"),
        (lambda: verl_like.expansion([-1]), "counts"),
        (lambda: verl_like.partition([1, 2], 0), "at least one rank"),
        (lambda: verl_like.partition([1, 2], 2, [1.0]), "one cost for each of 2"),
        (lambda: verl_like.grpo_advantages([1.0], ["a", "b"]), "one id for each of 1 rewards, got 2"),
        (lambda: outcomes(["a"], [[1.0]]), "shape"),
    ],
)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(ValueError, match=message):
        call()
