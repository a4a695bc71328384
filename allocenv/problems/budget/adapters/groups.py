"""What do rewards say where groups are unequal? Mean, spread and advantage within each group, and what was correct."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray, LongArray
from allocenv.problems.budget.prompt_ids import listed, shown

CORRECT_ABOVE = 0.5  # a reward above this is a correct answer: right for 0/1 and for -1/1


class Groups(NamedTuple):
    """Rollouts [T] in G groups, numbered in the order in which they first come."""

    ids: list[Any]  # [G]
    of: LongArray  # [T]  group of each rollout
    sizes: LongArray  # [G]


class Outcomes(NamedTuple):
    """What `Allocator.observe` is told."""

    prompt_ids: list[Any]  # [G]
    n_correct: LongArray  # [G]
    n_rollouts: LongArray  # [G]


class Moments(NamedTuple):
    """Of the rewards of each group, NaN left out."""

    scored: LongArray  # [G]  rewards that are no NaN
    mean: Array  # [G]  NaN where there is none
    std: Array  # [G]  divided by n - 1; NaN where there are fewer than two


def group(ids: Sequence[Any]) -> Groups:
    """Group rollouts [T] by an id each: text, numbers or tuples, in a list, an array or a tensor."""
    number: dict[Any, int] = {}
    of = np.array([number.setdefault(one, len(number)) for one in listed(ids)], np.int64)
    return Groups(list(number), of, np.bincount(of, minlength=len(number)))


def moments(rewards: Array, groups: Groups) -> Moments:
    """Mean and standard deviation of each group's rewards [T]."""
    there = ~np.isnan(rewards)
    n = np.bincount(groups.of[there], minlength=len(groups.ids))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(groups.of[there], rewards[there], len(groups.ids)) / n
        off = (rewards - mean[groups.of])[there] ** 2
        std = np.sqrt(np.bincount(groups.of[there], off, len(groups.ids)) / np.where(n > 1, n - 1, np.nan))
    return Moments(n, mean, std)


def outcomes(
    prompt_ids: Sequence[Any], rewards: Any, correct_above: float = CORRECT_ABOVE, leave_out_nan: bool = False
) -> Outcomes:
    """Count correct rollouts by prompt, for `Allocator.observe(*outcomes(...))`.

    Args:
        prompt_ids: of each rollout [T].
        rewards: of each rollout [T].
        correct_above: a reward above this is a correct answer.
        leave_out_nan: rollouts without a reward do not count; else they are an error.

    Raises:
        ValueError: lengths that differ, or NaN where not left out.
    """
    groups, given = group(prompt_ids), as_rewards(rewards)
    require_equal_lengths(given, groups)
    unscored = np.isnan(given)
    if unscored.any() and not leave_out_nan:
        i = int(np.argmax(unscored))
        raise ValueError(
            f"Expected a reward for each rollout, got NaN for rollout {i} of prompt {shown(groups.ids[groups.of[i]])}."
        )

    def count(which: BoolArray) -> LongArray:
        return np.bincount(groups.of[which], minlength=len(groups.ids)).astype(np.int64)

    return Outcomes(groups.ids, count(given > correct_above), count(~unscored))


def as_rewards(rewards: Any) -> Array:
    """Rewards [T] of a list, an array or a tensor on any device.

    Raises:
        ValueError: no list of numbers.
    """
    given = np.asarray(rewards.tolist() if hasattr(rewards, "tolist") else rewards, np.float64)
    if given.ndim != 1:
        raise ValueError(f"Expected rewards: a number for each rollout, got shape {given.shape}.")
    return given


def require_equal_lengths(rewards: Array, groups: Groups) -> None:
    """Raise ValueError where there is not one id for each reward."""
    if len(rewards) != len(groups.of):
        raise ValueError(f"Expected one id for each of {len(rewards)} rewards, got {len(groups.of)}.")
