"""The exact allocation for what is believed about the rates: one rule for every value and every estimator."""

import numpy as np

from allocenv.core.arrays import LongArray
from allocenv.problems.budget.allocation.greedy import allocate
from allocenv.problems.budget.estimators import Estimator
from allocenv.problems.budget.rules.rule import OneRound, Rates
from allocenv.problems.budget.values import Belief, Value, known

UP = 128  # most rollouts of a prompt, as published


class ExpectedValue(OneRound):
    """Maximises the expected value under the estimator's posterior.

    Args:
        estimator: what believes.
        of: what is maximised.
        base: share of an equal group that every prompt gets at least; 2 rollouts in any case.
    """

    def __init__(self, estimator: Estimator, of: Value, base: float = 0.0) -> None:
        super().__init__(estimator)
        self.beliefs, self.of, self.base = estimator, of, base

    def allocate(self, prompts: LongArray, total: int, rng: np.random.Generator) -> LongArray:
        """See `Rule`."""
        low = max(2, int(self.base * total / max(len(prompts), 1)))
        return allocate(self.of, self.belief(prompts), total, low, max(UP, low))

    def belief(self, prompts: LongArray) -> Belief:
        """About the rates [M]."""
        return self.beliefs.posterior(prompts)


class ToldTwice(ExpectedValue):
    """Is told as many outcomes again as its rollouts have, drawn at the true rates: what more information is worth."""

    def __init__(self, estimator: Estimator, of: Value, rates: Rates) -> None:
        super().__init__(estimator, of)
        self.rates, self.rng = rates, np.random.default_rng(0)

    def allocate(self, prompts: LongArray, total: int, rng: np.random.Generator) -> LongArray:
        """See `Rule`."""
        self.rng = rng
        return super().allocate(prompts, total, rng)

    def observe(self, prompts: LongArray, n_correct: LongArray, n_rollouts: LongArray) -> None:
        """See `Rule`."""
        more = self.rng.binomial(n_rollouts, self.rates(prompts))
        super().observe(prompts, n_correct + more, 2 * n_rollouts)


class KnownRates(OneRound):
    """Maximises the value at the true rates."""

    def __init__(self, rates: Rates, of: Value) -> None:
        super().__init__()
        self.rates, self.of = rates, of

    def allocate(self, prompts: LongArray, total: int, rng: np.random.Generator) -> LongArray:
        """See `Rule`."""
        return allocate(self.of, known(self.rates(prompts)), total, 2, UP)
