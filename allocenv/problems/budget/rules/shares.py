"""Rollouts in proportion to a weight, or so that a concave utility of what a prompt got over time is largest."""

import numpy as np

from allocenv.core.arrays import Array, LongArray
from allocenv.problems.budget.allocation.gain_table import take_largest
from allocenv.problems.budget.estimators import DiscountedBeta, LastRewards
from allocenv.problems.budget.rules.rule import OneRound, largest_remainder, spread_evenly

LOW, UP = 2, 128
SHRINK, POWER = 1e-3, 2.0  # a and b of GVM's formula
KEPT = 0.9  # of the cumulative allocation, from one visit to the next


class Gvm(OneRound):
    """Samples in proportion to G / sqrt(p + a / p^(b-1)); prompts never accepted get the base of 2 only.

    The published rule runs 8 samples a prompt before each stage to know p and the gradient norm G. Here p is
    the mean of the latest 16 rewards, G is taken as equal, and the base keeps the estimates alive (adapted).
    """

    def __init__(self, n_prompts: int) -> None:
        self.window = LastRewards(n_prompts)
        super().__init__(self.window)

    def allocate(self, prompts: LongArray, total: int, rng: np.random.Generator) -> LongArray:
        """See `Rule`."""
        p = self.window.mean(prompts)
        accepted = p > 0
        left = total - LOW * len(p)
        if left < 0 or not accepted.any():
            return spread_evenly(total, np.ones(len(p), bool))
        solved = np.where(accepted, p, 1.0)
        weight = np.where(accepted, 1.0 / np.sqrt(solved + SHRINK / solved ** (POWER - 1)), 0.0)
        return LOW + largest_remainder(weight, left)


class Cero(OneRound):
    """The largest sum of E[p (1-p)] log(1 + cumulative rollouts), from a Beta for each prompt.

    Like CERO in its Beta posterior and its concave utility of the allocation over epochs; its Fenchel dual
    price for a budget over epochs is here the price at which the rollouts of this step are used up exactly
    (adapted).
    """

    def __init__(self, n_prompts: int, forget: float = 0.9) -> None:
        self.rates = DiscountedBeta(n_prompts, forget)
        super().__init__(self.rates)
        self.given: Array = np.zeros(n_prompts)

    def allocate(self, prompts: LongArray, total: int, rng: np.random.Generator) -> LongArray:
        """See `Rule`."""
        room = total - LOW * len(prompts)
        if room < 0:
            return spread_evenly(total, np.ones(len(prompts), bool))
        belief = self.rates.posterior(prompts)
        a, b = belief.wins[:, 0], belief.losses[:, 0]
        weight = a * b / ((a + b) * (a + b + 1))
        had = 1 + KEPT * self.given[prompts]
        after = had[:, None] + np.arange(LOW, UP + 1)  # [M, UP - LOW + 1]
        return LOW + take_largest(weight[:, None] * np.diff(np.log(after), axis=1), room)

    def observe(self, prompts: LongArray, n_correct: LongArray, n_rollouts: LongArray) -> None:
        """See `Rule`."""
        super().observe(prompts, n_correct, n_rollouts)
        self.given[prompts] = KEPT * self.given[prompts] + n_rollouts
