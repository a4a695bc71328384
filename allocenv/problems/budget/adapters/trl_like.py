"""How does the allocator fit into TRL's GRPOTrainer, and into trainers whose sampler repeats each prompt?

Two things of TRL (1.10 to 1.16) know that groups are equal: `RepeatSampler(mini_repeat_count=num_generations)` and
`rewards.view(-1, num_generations)`. The mix-in `UnequalGroups` replaces the first and corrects the second:

    from trl import GRPOTrainer
    from allocenv import Allocator
    from allocenv.problems.budget.adapters.trl_like import UnequalGroups

    class Trainer(UnequalGroups, GRPOTrainer):
        pass

    dataset = dataset.map(lambda row, i: {"prompt_id": i}, with_indices=True)
    trainer = Trainer(model=model, args=args, train_dataset=dataset, reward_funcs=reward)
    trainer.allocator = Allocator(n_prompts=len(dataset))
    trainer.train()
    trainer.allocator.save("allocator.npz")

`num_generations` becomes the mean of a group. Each process asks an allocator of its own and observes the
gathered rewards of all, so that they stay alike. The data loader may ask for the next batch before the present
one is rewarded; then the allocator knows one batch less.

Refused: vLLM in server mode, which itself generates `num_generations` for every `num_generations`-th prompt,
and `multi_objective_aggregation` other than the default. Of what TRL logs `frac_reward_zero_std` is corrected;
the advantages of its completion tables stay those of equal groups.

Source: TRL 1.10.0.dev and 1.16.0, with which the mix-in was run (`trainer/utils.py`: RepeatSampler;
`trainer/grpo_trainer.py`).
"""

from collections.abc import Iterator, Sequence, Sized
from typing import Any, NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray
from allocenv.problems.budget.adapters.groups import as_rewards, group, moments, outcomes, require_equal_lengths
from allocenv.problems.budget.allocator import Allocator

EPSILON = 1e-4  # TRL's
AGGREGATION = "sum_then_normalize"
SCALES = ("group", "batch", "none")
SMALL = 1e-8  # a deviation up to this is none, as torch.isclose has it


class GroupedRewards(NamedTuple):
    """Of each rollout [T], in place of what follows `rewards.view(-1, num_generations)`."""

    advantages: Array  # [T]  0 where the reward is NaN or alone
    mean: Array  # [T]  of its group
    std: Array  # [T]  of its group, or of the batch
    is_std_zero: BoolArray  # [T]


class UnequalRepeatSampler:
    """TRL's `RepeatSampler` with a number of repetitions for each index: chunks of `batch_size` prompts share
    `batch_size * mini_repeat_count` places.

    Args:
        data_source: the data set; row i has an id `data_source[i]["prompt_id"]`, unless `prompt_ids` says them.
        allocator: asked once for each chunk, when the chunk is due.
        mini_repeat_count: mean of a group, TRL's `num_generations`.
        batch_size: prompts of a chunk.
        repeat_count: times that a chunk is repeated as a whole.
        shuffle: a new order in each pass.
        seed: of the orders; all processes need the same one.
        prompt_ids: of each row.
    """

    def __init__(
        self,
        data_source: Sized,
        allocator: Allocator,
        mini_repeat_count: int,
        batch_size: int = 1,
        repeat_count: int = 1,
        shuffle: bool = True,
        seed: int | None = None,
        prompt_ids: Sequence[Any] | None = None,
    ) -> None:
        self.data_source, self.allocator, self.prompt_ids = data_source, allocator, prompt_ids
        self.mini_repeat_count, self.batch_size, self.repeat_count = mini_repeat_count, batch_size, repeat_count
        self.num_samples, self.shuffle = len(data_source), shuffle
        self._rng = np.random.default_rng(seed)

    def __iter__(self) -> Iterator[int]:
        order = self._rng.permutation(self.num_samples) if self.shuffle else np.arange(self.num_samples)
        for begin in range(0, self.num_samples - self.batch_size + 1, self.batch_size):
            chunk = order[begin : begin + self.batch_size].tolist()
            ids = [self._id(index) for index in chunk]
            counts = self.allocator.allocate(ids, self.batch_size * self.mini_repeat_count)
            rows = [chunk[row] for row in self.allocator.expand(counts).tolist()]
            for _ in range(self.repeat_count):
                yield from rows

    def __len__(self) -> int:
        return (self.num_samples // self.batch_size) * self.batch_size * self.mini_repeat_count * self.repeat_count

    def _id(self, index: int) -> Any:
        if self.prompt_ids is not None:
            return self.prompt_ids[index]
        return _prompt_id(self.data_source[index])  # type: ignore[index]


class UnequalGroups:
    """Mix-in before TRL's GRPOTrainer; see above. Set `allocator` before training."""

    allocator: Allocator
    _scored: tuple[list[int], Any]

    def _get_train_sampler(self: Any, dataset: Any = None) -> UnequalRepeatSampler:
        """In place of the RepeatSampler of equal groups."""
        if getattr(self, "use_vllm", False) and getattr(self.args, "vllm_mode", None) == "server":
            raise ValueError("Expected vllm_mode='colocate' for unequal groups: TRL's server mode makes them equal.")
        aggregation = getattr(self, "multi_objective_aggregation", AGGREGATION)
        if aggregation != AGGREGATION:
            raise ValueError(f"Expected multi_objective_aggregation={AGGREGATION!r}, got {aggregation!r}.")
        return UnequalRepeatSampler(
            self.train_dataset if dataset is None else dataset,
            self.allocator,
            mini_repeat_count=self.num_generations,
            batch_size=self.args.generation_batch_size // self.num_generations,
            repeat_count=self.num_iterations * self.args.steps_per_generation,
            shuffle=self.shuffle_dataset,
            seed=self.args.seed,
        )

    def _calculate_rewards(self: Any, inputs: Any, *rest: Any) -> Any:
        """As before; keeps the prompts and the gathered rewards."""
        rewards = super()._calculate_rewards(inputs, *rest)  # type: ignore[misc]
        if self.model.training:
            ids = rewards[:0].long().new_tensor([_prompt_id(row) for row in inputs])
            self._scored = (self.accelerator.gather(ids).tolist(), rewards)
        return rewards

    def _generate_and_score_completions(self: Any, inputs: Any) -> Any:
        """As before, with advantages by unequal groups; the allocator observes what was correct."""
        output = super()._generate_and_score_completions(inputs)  # type: ignore[misc]
        if not self.model.training:
            return output
        ids, per_function = self._scored
        rewards = weighted(per_function.tolist(), self.reward_weights.tolist())
        found = grouped_rewards(rewards, ids, self.scale_rewards)
        begin = self.accelerator.process_index * len(inputs)
        mine = found.advantages[begin : begin + len(inputs)]
        output["advantages"] = output["advantages"].new_tensor(mine.tolist())
        self._metrics["train"]["frac_reward_zero_std"][-1] = float(found.is_std_zero.mean())
        self.allocator.observe(*outcomes(ids, self.correctness(rewards, per_function), leave_out_nan=True))
        return output

    def correctness(self, rewards: Array, per_function: Any) -> Array:
        """What tells whether a rollout is correct [T]: above 0.5. Override where the sum of rewards does not."""
        return rewards


def weighted(per_function: Any, weights: Any) -> Array:
    """The weighted sum [T] of the rewards [T, F] of F functions; NaN counts as 0 unless all are NaN."""
    given = np.asarray(per_function, np.float64)
    total: Array = np.nansum(given * np.asarray(weights, np.float64), axis=1)
    return np.where(np.isnan(given).all(axis=1), np.nan, total)


def grouped_rewards(rewards: Any, ids: Any, scale_rewards: str | bool = "group") -> GroupedRewards:
    """Advantages for unequal groups, as TRL's for equal ones.

    Args:
        rewards: of each rollout [T], of all processes; NaN: not scored, left out of its group's mean.
        ids: the prompt of each rollout [T].
        scale_rewards: divide by the deviation of the `group` (or True), of the `batch`, or `none` (or False).

    Raises:
        ValueError: lengths that differ, or another scale.
    """
    scale = scale_rewards
    if isinstance(scale, bool):
        scale = "group" if scale else "none"
    if scale not in SCALES:
        raise ValueError(f"Expected scale_rewards among {', '.join(SCALES)}, got {scale_rewards!r}.")
    given, groups = as_rewards(rewards), group(ids)
    require_equal_lengths(given, groups)
    seen = moments(given, groups)
    mean, std = seen.mean[groups.of], seen.std[groups.of]
    if scale == "batch":
        there = given[~np.isnan(given)]
        std = np.full(len(given), there.std(ddof=1) if len(there) > 1 else 0.0)
    off = given - mean
    advantages = off if scale == "none" else off / (std + EPSILON)
    return GroupedRewards(np.nan_to_num(advantages, nan=0.0), mean, std, np.nan_to_num(std, nan=0.0) <= SMALL)


def _prompt_id(row: Any) -> Any:
    if "prompt_id" not in row:
        raise ValueError(f"Expected a column prompt_id in the data set, got columns {', '.join(map(str, row))}.")
    return row["prompt_id"]
