"""Every prompt the same number of rollouts, with or without a filter afterwards."""

import numpy as np

from allocenv.core.arrays import BoolArray, LongArray
from allocenv.problems.budget.rules.rule import OneRound, spread_evenly


class Uniform(OneRound):
    """GRPO: equal groups."""

    def allocate(self, prompts: LongArray, total: int, rng: np.random.Generator) -> LongArray:
        """See `Rule`."""
        return spread_evenly(total, np.ones(len(prompts), bool))


class DapoFilter(Uniform):
    """Equal groups, of which those without a gradient are dropped before the update.

    DAPO goes on with other prompts until its batch is full. Here these are part of the step already: a step
    of M prompts is what has been generated, and `trains_on` is what is left of it.
    """

    def trains_on(self, n_correct: LongArray, n_rollouts: LongArray) -> BoolArray:
        """See `Rule`: groups with both outcomes."""
        return (n_correct > 0) & (n_correct < n_rollouts)
