"""The published estimate: how often was a prompt solved in its latest 16 rollouts?

Source: Knapsack RL (2509.25849), its code: the mean of the latest visit where that had at least 16 rollouts,
else the mean of the latest 16 rewards across visits; valid from 8 rewards on. The order of rewards within a
visit is not kept here, so of a visit that is only partly among the latest 16 the same share of its successes
counts.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from allocenv.core.arrays import Array, BoolArray, LongArray
from allocenv.core.state_dict import copy_arrays, load_arrays
from allocenv.problems.budget.estimators.estimator import checked_groups, checked_prompts
from allocenv.problems.budget.values import Belief, known

SIZE = 16  # rewards in the window, and visits kept
VALID = 8  # rewards from which on the estimate is used


class Window(NamedTuple):
    """The latest visits of P prompts, the newest first."""

    correct: LongArray  # [P, SIZE]
    rollouts: LongArray  # [P, SIZE]


class LastRewards:
    """An `Estimator` that takes the mean of the latest 16 rewards for the rate itself."""

    def __init__(self, n_prompts: int) -> None:
        self.n_prompts = n_prompts
        self.state = Window(np.zeros((n_prompts, SIZE), np.int64), np.zeros((n_prompts, SIZE), np.int64))

    def observe(self, prompts: ArrayLike, n_correct: ArrayLike, n_rollouts: ArrayLike) -> None:
        """See `Estimator`."""
        ids, correct, rollouts = checked_groups(prompts, n_correct, n_rollouts, self.n_prompts)
        for kept, new in ((self.state.correct, correct), (self.state.rollouts, rollouts)):
            kept[ids, 1:] = kept[ids, :-1]
            kept[ids, 0] = new

    def mean(self, prompts: ArrayLike) -> Array:
        """Means of the windows [M]; 0.5 where nothing was seen yet."""
        ids = checked_prompts(prompts, self.n_prompts)
        correct, rollouts = self.state.correct[ids], self.state.rollouts[ids]
        newer = np.cumsum(rollouts, axis=1) - rollouts
        taken = np.clip(np.where(newer > 0, SIZE - newer, rollouts), 0, rollouts)  # the latest visit counts in full
        solved = (correct * taken / np.maximum(rollouts, 1)).sum(axis=1)
        n = taken.sum(axis=1)
        return np.where(n > 0, solved / np.maximum(n, 1), 0.5)

    def valid(self, prompts: ArrayLike) -> BoolArray:
        """Whether enough rewards were seen [M]."""
        return self.state.rollouts[checked_prompts(prompts, self.n_prompts)].sum(axis=1) >= VALID  # type: ignore[no-any-return]

    def posterior(self, prompts: ArrayLike) -> Belief:
        """The means, believed without doubt."""
        return known(np.clip(self.mean(prompts), 0.0, 1.0))

    def state_dict(self) -> dict[str, Array]:
        """See `Estimator`."""
        return copy_arrays(self.state)

    def load_state_dict(self, saved: dict[str, Array]) -> None:
        """See `Estimator`."""
        load_arrays(self.state, saved)
