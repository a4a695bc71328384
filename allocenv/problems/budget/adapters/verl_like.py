"""How does the allocator fit into verl, and into trainers that repeat a batch and group it by uid?

In `RayPPOTrainer.fit` (0.8) the two `repeat(repeat_times=n)` become an expansion by index; the rest stays. The
lines to change, those of verl itself indented:

    from allocenv import Allocator
    from allocenv.problems.budget.adapters import verl_like

    allocator = Allocator()                                          # before the loop
        gen_batch = self._get_gen_batch(batch)
    ids = gen_batch.non_tensor_batch["index"]                        # stable over epochs, unlike uid
    counts = allocator.allocate(ids, len(ids) * self.config.actor_rollout_ref.rollout.n)
    rows = verl_like.expansion(counts, seed=self.global_steps)
    gen_batch_output = verl_like.expand(gen_batch, rows)             # was gen_batch.repeat(...)
        ... generate ...
    batch = verl_like.expand(batch, rows)                            # was batch.repeat(...)
        batch = batch.union(gen_batch_output)
        ... rewards, advantages: GRPO groups by uid, of whatever size ...
    allocator.observe(*outcomes(batch.non_tensor_batch["index"], batch.batch["token_level_scores"].sum(-1)))
    allocator.save(f"{local_global_step_folder}/allocator.npz")      # beside a checkpoint; Allocator.load resumes

(`from allocenv.problems.budget.adapters.groups import outcomes`.) Of several data sets with indices of their
own use pairs as ids: `list(zip(batch.non_tensor_batch["data_source"], ids))`. The total stays M x n, as mini-batch
sizes are multiplied by n and the ranks get equal parts. `expansion` shuffles all rollouts, so that the many
rollouts of one hard prompt do not meet on one rank; where a prompt's rollouts should stay together (prefix
cache) use `partition`.

Source: verl 0.8.0.dev (`trainer/ppo/ray_trainer.py`, `trainer/ppo/core_algos.py`, `protocol.py`); Knapsack RL's
rollout balancing (2509.25849).
"""

import heapq
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from allocenv.core.arrays import Array, LongArray
from allocenv.problems.budget.adapters.groups import as_rewards, group, moments, require_equal_lengths

EPSILON = 1e-6  # verl's
Batch = TypeVar("Batch")


def expansion(counts: ArrayLike, seed: int | None = None) -> LongArray:
    """The row of the batch of each rollout, [total].

    Args:
        counts: rollouts of each row [M].
        seed: shuffles all rollouts, the same for the same seed; None keeps a row's rollouts side by side, as
            `repeat(interleave=True)` does.

    Raises:
        ValueError: counts that are no whole numbers of at least 0.
    """
    given = _whole(counts)
    rows = np.repeat(np.arange(len(given)), given)
    return rows if seed is None else np.random.default_rng(seed).permutation(rows)


def expand(batch: Batch, rows: LongArray) -> Batch:
    """The batch with these rows, in place of `batch.repeat(n)`. `batch` has a `select_idxs`, as DataProto has."""
    expanded: Batch = batch.select_idxs(rows)  # type: ignore[attr-defined]
    return expanded


def partition(counts: ArrayLike, ranks: int, costs: ArrayLike | None = None) -> LongArray:
    """The rank [M] of each row, so that ranks have about the same to generate; a row stays whole.

    The largest row first to the rank with least (Graham 1969: at most 4/3 of the best).

    Args:
        counts: rollouts of each row [M].
        ranks: data-parallel ranks.
        costs: expected tokens of one rollout of each row [M]; default: all alike.

    Raises:
        ValueError: no rank, counts that are no whole numbers of at least 0, or another number of costs.
    """
    given = _whole(counts)
    if ranks < 1:
        raise ValueError(f"Expected at least one rank, got {ranks}.")
    price = np.ones(len(given)) if costs is None else np.asarray(costs, np.float64)
    if price.shape != given.shape:
        raise ValueError(f"Expected one cost for each of {len(given)} rows, got shape {price.shape}.")
    load = given * price
    rank_of = np.zeros(len(given), np.int64)
    least = [(0.0, rank) for rank in range(ranks)]
    for row in np.argsort(-load, kind="stable").tolist():
        has, rank = heapq.heappop(least)
        rank_of[row] = rank
        heapq.heappush(least, (has + float(load[row]), rank))
    return rank_of


def grpo_advantages(rewards: Any, uid: Any, by_std: bool = True, epsilon: float = EPSILON) -> Array:
    """GRPO's advantage [T] of each rollout in its group, as verl's `compute_grpo_outcome_advantage` has it.

    A group of one has mean 0 and deviation 1, so its advantage is its reward.

    Args:
        rewards: of each rollout [T].
        uid: group of each rollout [T].
        by_std: divide by the group's standard deviation; False is Dr. GRPO (2503.20783).
        epsilon: added to the deviation.

    Raises:
        ValueError: lengths that differ, or a reward that is NaN.
    """
    given, groups = as_rewards(rewards), group(uid)
    require_equal_lengths(given, groups)
    if np.isnan(given).any():
        raise ValueError(f"Expected a reward for each rollout, got NaN for rollout {int(np.isnan(given).argmax())}.")
    seen = moments(given, groups)
    alone = seen.scored == 1
    mean, std = np.where(alone, 0.0, seen.mean), np.where(alone, 1.0, seen.std)
    off: Array = given - mean[groups.of]
    return off / (std[groups.of] + epsilon) if by_std else off


def _whole(counts: ArrayLike) -> LongArray:
    given = np.asarray(counts if np.size(counts) else np.zeros(0, np.int64))
    if given.ndim != 1 or given.dtype.kind not in "iu" or (given < 0).any():
        raise ValueError(f"Expected counts: a list of whole numbers of at least 0, got {counts!r}.")
    return given.astype(np.int64)
