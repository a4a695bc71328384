"""What do all rollouts of a prompt say about its rate, if old ones count less? A Beta for each prompt.

The counts of a prompt shrink by `forget` at each visit, since the learner changes; the prior is the Beta
whose first two moments are those of the pool's recent groups (empirical Bayes). k/n and k(k-1)/(n(n-1))
estimate E[p] and E[p^2] without bias whatever n the allocator chose.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from allocenv.core.arrays import Array
from allocenv.core.state_dict import copy_arrays, load_arrays
from allocenv.problems.budget.estimators.estimator import checked_groups, checked_prompts
from allocenv.problems.budget.values import Belief, beta

PASSES = 4  # the pool's moments are those of about so many visits of every prompt
START = (0.5, 0.5)  # Jeffreys, until the pool says more
LEAST_GROUPS = 8  # before the pool's moments are used
LEAST, MOST = 0.02, 20.0  # parameters of the prior


class Counts(NamedTuple):
    """Discounted counts of P prompts, and sums over recent groups of the pool."""

    correct: Array  # [P]
    wrong: Array  # [P]
    pool: Array  # [3]  groups, sum of k/n, sum of k(k-1)/(n(n-1))


class DiscountedBeta:
    """An `Estimator` with a Beta for each prompt.

    Args:
        n_prompts: P.
        forget: what the counts of a prompt keep at each visit, above 0, at most 1.
    """

    def __init__(self, n_prompts: int, forget: float = 0.9) -> None:
        if not 0 < forget <= 1:
            raise ValueError(f"Expected 0 < forget <= 1, got {forget}.")
        self.n_prompts, self.forget = n_prompts, forget
        self.state = Counts(np.zeros(n_prompts), np.zeros(n_prompts), np.zeros(3))

    def observe(self, prompts: ArrayLike, n_correct: ArrayLike, n_rollouts: ArrayLike) -> None:
        """See `Estimator`."""
        ids, correct, rollouts = checked_groups(prompts, n_correct, n_rollouts, self.n_prompts)
        self.state.correct[ids] = self.forget * self.state.correct[ids] + correct
        self.state.wrong[ids] = self.forget * self.state.wrong[ids] + (rollouts - correct)
        two = rollouts >= 2
        k, n = correct[two], rollouts[two]
        seen = np.array([len(k), (k / n).sum(), (k * (k - 1) / (n * (n - 1))).sum()])
        self.state.pool[:] = self.state.pool * np.exp(-len(k) / (PASSES * self.n_prompts)) + seen

    def prior(self) -> tuple[float, float]:
        """The Beta of the pool."""
        groups, first, second = self.state.pool.tolist()
        if groups < LEAST_GROUPS:
            return START
        p, square = first / groups, second / groups
        # mean m and variance v belong to Beta(m s, (1-m) s) with s = m (1-m) / v - 1
        strength = p * (1 - p) / max(square - p * p, 1e-3) - 1
        a, b = np.clip([p * strength, (1 - p) * strength], LEAST, MOST).tolist()
        return a, b

    def mean(self, prompts: ArrayLike) -> Array:
        """See `Estimator`."""
        wins, losses = self._parameters(prompts)
        rates: Array = wins / (wins + losses)
        return rates

    def posterior(self, prompts: ArrayLike) -> Belief:
        """A Beta for each prompt, K = 1."""
        return beta(*self._parameters(prompts))

    def state_dict(self) -> dict[str, Array]:
        """See `Estimator`."""
        return copy_arrays(self.state)

    def load_state_dict(self, saved: dict[str, Array]) -> None:
        """See `Estimator`."""
        load_arrays(self.state, saved)

    def _parameters(self, prompts: ArrayLike) -> tuple[Array, Array]:
        ids = checked_prompts(prompts, self.n_prompts)
        a, b = self.prior()
        return a + self.state.correct[ids], b + self.state.wrong[ids]
