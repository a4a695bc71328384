"""What does an estimator of success rates promise? One protocol, and the check of what it is told."""

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from allocenv.core.arrays import Array, LongArray
from allocenv.problems.budget.values import Belief


class Estimator(Protocol):
    """Learns the success rates of P prompts, numbered 0..P-1, from groups of rollouts."""

    n_prompts: int

    def observe(self, prompts: ArrayLike, n_correct: ArrayLike, n_rollouts: ArrayLike) -> None:
        """Take in one group for each of some different prompts, [M] each. Groups of 0 rollouts say nothing."""

    def mean(self, prompts: ArrayLike) -> Array:
        """Expected rates [M]."""

    def posterior(self, prompts: ArrayLike) -> Belief:
        """What is believed about the rates [M] now."""

    def state_dict(self) -> dict[str, Array]:
        """A copy of all that was learnt."""

    def load_state_dict(self, saved: dict[str, Array]) -> None:
        """Go on from a copy. Raises ValueError where it is of another kind or size."""


def checked_prompts(prompts: ArrayLike, n_prompts: int) -> LongArray:
    """Numbers of different prompts, [M].

    Raises:
        ValueError: something that is no number of a prompt, or one given twice.
    """
    ids = _whole("prompts", prompts)
    if ids.size and not 0 <= ids.min() <= ids.max() < n_prompts:
        wrong = ids[(ids < 0) | (ids >= n_prompts)][0]
        raise ValueError(f"Expected prompts from 0 to {n_prompts - 1}, got {wrong}.")
    if len(np.unique(ids)) < len(ids):
        raise ValueError("Expected each prompt once, got some of them twice.")
    return ids


def checked_groups(
    prompts: ArrayLike, n_correct: ArrayLike, n_rollouts: ArrayLike, n_prompts: int
) -> tuple[LongArray, LongArray, LongArray]:
    """Groups without those of 0 rollouts, [M] each.

    Raises:
        ValueError: bad prompts, lengths that differ, no whole numbers (NaN), or not 0 <= correct <= rollouts.
    """
    ids = checked_prompts(prompts, n_prompts)
    correct, rollouts = _whole("n_correct", n_correct), _whole("n_rollouts", n_rollouts)
    if not len(ids) == len(correct) == len(rollouts):
        raise ValueError(f"Expected equal lengths, got {len(ids)}, {len(correct)} and {len(rollouts)}.")
    wrong = (correct < 0) | (correct > rollouts)
    if wrong.any():
        i = int(np.argmax(wrong))
        raise ValueError(f"Expected 0 <= correct <= rollouts, got {correct[i]} of {rollouts[i]} for prompt {ids[i]}.")
    if (rollouts > 0).all():
        return ids, correct, rollouts
    there = rollouts > 0
    return ids[there], correct[there], rollouts[there]


def _whole(name: str, x: ArrayLike) -> LongArray:
    given = np.asarray(x)
    if given.ndim != 1:
        raise ValueError(f"Expected {name}: a list of whole numbers, got shape {given.shape}.")
    if given.dtype.kind == "f" and (given != np.floor(given)).any():  # NaN differs from itself
        raise ValueError(f"Expected {name}: whole numbers, got {given[given != np.floor(given)][0]}.")
    if given.dtype.kind not in "iuf" or (given.dtype.kind == "f" and not np.isfinite(given).all()):
        raise ValueError(f"Expected {name}: whole numbers, got {given.dtype} values such as {given[:1]}.")
    return given.astype(np.int64)
