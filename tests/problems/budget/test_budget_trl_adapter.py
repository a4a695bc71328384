"""The allocator in a trainer like TRL's GRPOTrainer: a stub with its methods, tensors and order of rows."""

import itertools
from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from allocenv import Allocator
from allocenv.problems.budget.adapters.trl_like import UnequalGroups, UnequalRepeatSampler, grouped_rewards, weighted

NAN = float("nan")


class RepeatSampler:
    """TRL's order of indices."""

    def __init__(self, data_source, mini_repeat_count, batch_size=1, repeat_count=1):
        self.n, self.mini, self.size, self.times = len(data_source), mini_repeat_count, batch_size, repeat_count

    def __iter__(self):
        for begin in range(0, self.n - self.size + 1, self.size):
            for _, i in itertools.product(range(self.times), range(begin, begin + self.size)):
                yield from [i] * self.mini

    def __len__(self):
        return (self.n // self.size) * self.size * self.mini * self.times


def equal_groups(rewards, n, scale):
    """What TRL's trainer does with rewards [T] of equal groups; torch.nanmean and a deviation with n - 1."""
    grouped = rewards.view(-1, n)
    mean = torch.nanmean(grouped, dim=1).repeat_interleave(n, dim=0)
    count = (~torch.isnan(grouped)).sum(dim=1)
    spread = torch.nanmean((grouped - torch.nanmean(grouped, dim=1, keepdim=True)) ** 2, dim=1)
    std = torch.sqrt(spread * torch.where(count > 1, count / (count - 1), NAN)).repeat_interleave(n, dim=0)
    advantages = rewards - mean
    if scale == "group":
        advantages = advantages / (std + 1e-4)
    return torch.nan_to_num(advantages, nan=0.0), torch.isclose(std, torch.zeros_like(std))


class GRPOTrainer:
    """The methods that the mix-in replaces or extends, one process; `rates` draw what is correct."""

    def __init__(self, dataset, rates, scale="group", vllm_mode=None):
        self.train_dataset, self.rates, self.scale_rewards = dataset, rates, scale
        self.args = SimpleNamespace(
            generation_batch_size=32,
            steps_per_generation=2,
            seed=0,
            vllm_mode=vllm_mode,
            per_device_train_batch_size=16,
        )
        self.use_vllm, self.num_generations, self.num_iterations, self.shuffle_dataset = bool(vllm_mode), 4, 1, True
        self.model = SimpleNamespace(training=True)
        self.accelerator = SimpleNamespace(process_index=0, num_processes=1, gather=lambda tensor: tensor)
        self.reward_weights = torch.ones(1)
        self._metrics = {"train": defaultdict(list), "eval": defaultdict(list)}
        self.generator = torch.Generator().manual_seed(0)

    def _get_train_sampler(self, dataset=None):
        return RepeatSampler(self.train_dataset, self.num_generations, 8, 2)

    def _calculate_rewards(self, inputs, prompts, completions, completion_ids_list):
        rate = torch.tensor([self.rates[row["prompt_id"]] for row in inputs])
        hits = (torch.rand(len(inputs), generator=self.generator) < rate).float()
        return hits[:, None].repeat(1, len(self.reward_weights))

    def _generate_and_score_completions(self, inputs):
        prompts = [row["prompt"] for row in inputs]
        per_function = self._calculate_rewards(inputs, prompts, prompts, [[1]] * len(inputs))
        rewards = (per_function * self.reward_weights).nansum(dim=1)
        advantages, zero = equal_groups(rewards, self.num_generations, self.scale_rewards)
        mode = "train" if self.model.training else "eval"
        self._metrics[mode]["frac_reward_zero_std"].append(zero.float().mean().item())
        return {"prompt_ids": torch.zeros(len(inputs), 3), "advantages": advantages}

    def train(self, passes):
        """What the loop and its data loader do: the sampler's rows in batches, generated once for `repeat_count`."""
        sampler, size = self._get_train_sampler(), self.args.generation_batch_size
        for _ in range(passes):
            rows = [self.train_dataset[i] for i in sampler]
            assert len(rows) == len(sampler)
            for begin in range(0, len(rows), 2 * size):
                batch = rows[begin : begin + size]
                assert batch == rows[begin + size : begin + 2 * size]
                yield batch, self._generate_and_score_completions(batch)


class Trainer(UnequalGroups, GRPOTrainer):
    pass


def dataset(n=20):
    return [{"prompt": f"question {i}", "prompt_id": i} for i in range(n)]


def test_a_trainer_with_the_mix_in_trains_on_unequal_groups():
    rates = np.repeat([0.0, 0.3, 0.9, 1.0], 5)
    trainer = Trainer(dataset(), rates)
    trainer.allocator = Allocator(n_prompts=20)
    sizes = np.zeros(20)
    for batch, output in trainer.train(passes=12):
        ids = [row["prompt_id"] for row in batch]
        sizes += np.bincount(ids, minlength=20)
        assert len(ids) == 32
        assert output["advantages"].dtype == torch.float32
        totals = torch.zeros(20).index_add_(0, torch.tensor(ids), output["advantages"])
        assert totals.abs().max() < 1e-3  # advantages of a group sum to 0
    assert trainer.allocator.stats()["prompts_known"] == 20
    by_rate = sizes.reshape(4, 5).sum(axis=1)
    assert by_rate[1] > max(by_rate[0], by_rate[2], by_rate[3])


def test_metrics_are_those_of_the_unequal_groups():
    trainer = Trainer(dataset(8), [0.0] * 8)
    trainer.allocator = Allocator()
    assert all((output["advantages"] == 0).all() for _, output in trainer.train(1))
    assert trainer._metrics["train"]["frac_reward_zero_std"] == [1.0]


def test_evaluation_is_left_alone():
    trainer = Trainer(dataset(8), [0.5] * 8)
    trainer.allocator = Allocator()
    trainer.model.training = False
    rows = [row for row in dataset(8) for _ in range(4)]
    assert len(trainer._generate_and_score_completions(rows)["advantages"]) == 32
    assert trainer.allocator.stats()["prompts_known"] == 0


def test_each_of_two_processes_gets_its_part_and_observes_all():
    """Process 1 of two: its rows are the second half; what it gathers is the rows of both."""
    rows = [{"prompt": "", "prompt_id": i} for i in [5, 5, 5, 6, 6, 6, 6, 6]]
    trainer = Trainer(dataset(8), [0.5] * 8)
    trainer.allocator = Allocator()
    trainer.allocator.allocate([5, 6], 8)
    everything = torch.tensor([[1.0], [0.0], [0.0], [1.0], [0.0], [0.0], [0.0], [0.0]])
    trainer.accelerator = SimpleNamespace(
        process_index=1, gather=lambda ids: torch.tensor([row["prompt_id"] for row in rows], dtype=ids.dtype)
    )
    trainer.num_generations = 2

    def calculate(self, inputs, *rest):
        return everything

    original, GRPOTrainer._calculate_rewards = GRPOTrainer._calculate_rewards, calculate
    try:
        mine = trainer._generate_and_score_completions(rows[4:])["advantages"]
    finally:
        GRPOTrainer._calculate_rewards = original
    # Prompt 6: one of five is correct, mean .2, deviation sqrt((.64 + 4 * .04) / 4) = .4472
    assert mine.tolist() == pytest.approx([-0.2 / (0.447214 + 1e-4)] * 4, rel=1e-5)
    assert trainer.allocator.stats()["observed_rate"] == 2 / 8


def test_equal_groups_are_trls_order_and_length():
    data = dataset(11)
    ours = UnequalRepeatSampler(data, Allocator(n_low=3, n_up=3), 3, batch_size=4, repeat_count=2, shuffle=False)
    trls = RepeatSampler(data, 3, 4, 2)
    assert list(ours) == list(trls)
    assert len(ours) == len(trls) == 48


def test_a_shuffled_sampler_is_the_same_in_all_processes_and_new_in_each_pass():
    one, other = (UnequalRepeatSampler(dataset(), Allocator(), 4, 5, seed=3) for _ in range(2))
    first = list(one)
    assert first == list(other)
    assert list(one) != first
    assert sorted(set(first)) == list(range(20))


def test_the_sampler_asks_for_a_chunk_when_it_is_due():
    allocator = Allocator()
    sampler = UnequalRepeatSampler(["x", "y", "z", "w"], allocator, 4, 2, 1, False, prompt_ids=["x", "y", "z", "w"])
    rows = iter(sampler)
    assert [next(rows) for _ in range(8)] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert allocator.stats()["prompts_known"] == 2
    torch_loader = torch.utils.data.DataLoader(list("xyzw"), batch_size=8, sampler=sampler)
    assert [len(batch) for batch in torch_loader] == [8, 8]


@pytest.mark.parametrize("scale", ["group", "none"])
def test_grouped_rewards_of_equal_groups_are_trls(scale):
    rewards = torch.tensor(np.random.default_rng(0).random(24), dtype=torch.float64)
    rewards[[3, 8, 9, 10]] = NAN  # one group has a single reward left
    found = grouped_rewards(rewards, np.repeat(np.arange(6), 4), scale)
    expected, zero = equal_groups(rewards, 4, scale)
    np.testing.assert_allclose(found.advantages, expected.numpy(), atol=1e-12)
    assert not zero.any()


def test_the_batch_scale_divides_by_the_deviation_of_all():
    found = grouped_rewards([0.0, 1.0, 1.0, NAN], ["a", "a", "b", "b"], "batch")
    # mean of a: .5; deviation of 0, 1, 1: .57735
    assert found.advantages.tolist() == pytest.approx([-0.5 / 0.57745, 0.5 / 0.57745, 0, 0], rel=1e-4)
    assert grouped_rewards([0.0, 1.0], ["a", "a"], True).std.tolist() == pytest.approx([0.5**0.5] * 2)
    assert grouped_rewards([1.0, 1.0, 0.0], ["a", "a", "b"], False).is_std_zero.tolist() == [True, True, True]


def test_weighted_rewards_leave_out_what_no_function_scored():
    assert weighted([[1.0, NAN], [NAN, NAN], [0.5, 2.0]], [1.0, 0.5]).tolist() == pytest.approx(
        [1.0, NAN, 1.5], nan_ok=True
    )


def test_what_cannot_be_unequal_is_refused():
    with pytest.raises(ValueError, match="colocate"):
        Trainer(dataset(), [0.5] * 20, vllm_mode="server")._get_train_sampler()
    trainer = Trainer(dataset(), [0.5] * 20)
    trainer.multi_objective_aggregation = "normalize_then_sum"
    with pytest.raises(ValueError, match="sum_then_normalize"):
        trainer._get_train_sampler()
    with pytest.raises(ValueError, match="scale_rewards"):
        grouped_rewards([1.0], ["a"], "some")
    with pytest.raises(ValueError, match="column prompt_id"):
        list(UnequalRepeatSampler([{"prompt": "a"}] * 4, Allocator(), 4, 4))


def test_it_fits_the_real_trainer():
    trl = pytest.importorskip("trl", reason="needs trl, which is not installed here")
    datasets = pytest.importorskip("datasets", reason="needs datasets, which is not installed here")
    for name in ("_get_train_sampler", "_calculate_rewards", "_generate_and_score_completions"):
        assert hasattr(trl.GRPOTrainer, name)
    data = datasets.Dataset.from_list(dataset(8))
    sampler = UnequalRepeatSampler(data, Allocator(n_low=4, n_up=4), 4, 4, 2, shuffle=False)
    from trl.trainer.utils import RepeatSampler as Real

    assert list(sampler) == list(Real(data, 4, 4, 2, shuffle=False))


def tiny_model():
    """A transformer of random weights with a tokenizer of ten words: nothing is downloaded."""
    transformers = pytest.importorskip("transformers", reason="needs transformers, which is not installed here")
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["<pad>", "<eos>", *"01234567"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(words), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=64, pad_token_id=0, eos_token_id=1, bos_token_id=1,
    )  # fmt: skip
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>")
    return transformers.LlamaForCausalLM(config), fast


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_real_trainer_trains_on_unequal_groups(tmp_path):
    trl = pytest.importorskip("trl", reason="needs trl, which is not installed here")
    datasets = pytest.importorskip("datasets", reason="needs datasets, which is not installed here")
    model, tokenizer = tiny_model()

    class RealTrainer(UnequalGroups, trl.GRPOTrainer):
        sizes = np.zeros(8, np.int64)

        def _generate_and_score_completions(self, inputs):
            self.sizes += np.bincount([row["prompt_id"] for row in inputs], minlength=8)
            output = super()._generate_and_score_completions(inputs)
            ids = torch.tensor([row["prompt_id"] for row in inputs])
            assert torch.zeros(8).index_add_(0, ids, output["advantages"]).abs().max() < 1e-3
            return output

    def correct(completions, prompt_id, **_):  # questions 0 to 3 cannot be answered
        told = zip(prompt_id, completions, strict=True)
        return [float(i >= 4 and any(word in text for word in "0123")) for i, text in told]

    args = trl.GRPOConfig(
        output_dir=str(tmp_path), per_device_train_batch_size=16, num_generations=4, max_completion_length=2,
        max_steps=12, steps_per_generation=1, report_to=[], use_cpu=True, bf16=False, save_strategy="no",
        learning_rate=0.0, disable_tqdm=True,
    )  # fmt: skip
    rows = [{"prompt": f"{i} {i}", "prompt_id": i} for i in range(8)]
    trainer = RealTrainer(
        model=model, args=args, train_dataset=datasets.Dataset.from_list(rows), reward_funcs=correct,
        processing_class=tokenizer,
    )  # fmt: skip
    trainer.allocator = Allocator(n_prompts=8)
    trainer.train()
    assert trainer.state.global_step == 12
    assert trainer.allocator.stats()["prompts_known"] == 8
    assert trainer.sizes.sum() == 12 * 16
    assert trainer.sizes[4:].sum() > 1.2 * trainer.sizes[:4].sum()
