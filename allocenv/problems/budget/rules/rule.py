"""What does a rule of allocation promise? One protocol for one round and for many, and how a step is played."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from allocenv.core.arrays import Array, BoolArray, LongArray
from allocenv.problems.budget.estimators import Estimator

Draw = Callable[[LongArray], LongArray]  # rollouts [M] -> how many of them were correct [M]
Rates = Callable[[LongArray], Array]  # prompts [M] -> true success rates [M]


class Rule(Protocol):
    """Shares the rollouts of a step among its prompts. Rules that know the true rates carry `oracle_` in their name."""

    def allocate(self, prompts: LongArray, total: int, rng: np.random.Generator) -> LongArray:
        """Rollouts [M] of the first round for different prompts [M]; all of `total` where there is but one round.

        Raises:
            ValueError: a total that the rule's bounds do not allow.
        """

    def next_round(
        self, prompts: LongArray, n_correct: LongArray, n_rollouts: LongArray, left: int, rng: np.random.Generator
    ) -> LongArray:
        """Rollouts [M] of another round after these outcomes, at most `left`; all 0: done."""

    def trains_on(self, n_correct: LongArray, n_rollouts: LongArray) -> BoolArray:
        """Which groups [M] the update uses."""

    def observe(self, prompts: LongArray, n_correct: LongArray, n_rollouts: LongArray) -> None:
        """Take in the outcomes of the whole step."""


class OneRound:
    """What rules of one round that learn through an estimator have in common."""

    def __init__(self, estimator: Estimator | None = None) -> None:
        self.estimator = estimator

    def next_round(
        self, prompts: LongArray, n_correct: LongArray, n_rollouts: LongArray, left: int, rng: np.random.Generator
    ) -> LongArray:
        """See `Rule`: there is no other round."""
        return np.zeros(len(prompts), np.int64)

    def trains_on(self, n_correct: LongArray, n_rollouts: LongArray) -> BoolArray:
        """See `Rule`: all groups."""
        return np.ones(len(n_rollouts), bool)

    def observe(self, prompts: LongArray, n_correct: LongArray, n_rollouts: LongArray) -> None:
        """See `Rule`."""
        if self.estimator is not None:
            self.estimator.observe(prompts, n_correct, n_rollouts)


class Played(NamedTuple):
    """The outcome of one step."""

    first: LongArray  # [M]  rollouts of the first round
    correct: LongArray  # [M]
    rollouts: LongArray  # [M]


def play(rule: Rule, prompts: LongArray, total: int, draw: Draw, rng: np.random.Generator) -> Played:
    """Play all rounds of one step and let the rule observe it.

    Raises:
        ValueError: the rule wants more than `total`.
    """
    first = counts = rule.allocate(prompts, total, rng)
    correct, rollouts = np.zeros_like(counts), np.zeros_like(counts)
    while counts.any():
        if rollouts.sum() + counts.sum() > total:
            raise ValueError(f"Expected at most {total} rollouts, got {rollouts.sum() + counts.sum()}.")
        correct = correct + draw(counts)
        rollouts = rollouts + counts
        counts = rule.next_round(prompts, correct, rollouts, total - int(rollouts.sum()), rng)
    rule.observe(prompts, correct, rollouts)
    return Played(first, correct, rollouts)


def spread_evenly(room: int, among: BoolArray, rng: np.random.Generator | None = None) -> LongArray:
    """`room` rollouts [M] shared evenly among some; what remains goes to the first, or with `rng` to any, one each."""
    out = np.zeros(len(among), np.int64)
    chosen = np.flatnonzero(among)
    if len(chosen) and room > 0:
        each, more = divmod(room, len(chosen))
        out[chosen] = each
        lucky = chosen if rng is None else rng.permutation(chosen)
        out[lucky[:more]] += 1
    return out


def largest_remainder(shares: Array, total: int) -> LongArray:
    """Whole numbers [M] in proportion to the shares that sum to `total`; equal ones from the first on."""
    exact = shares / shares.sum() * total
    out: LongArray = np.floor(exact).astype(np.int64)
    missing = total - int(out.sum())
    out[np.argsort(out - exact, kind="stable")[:missing]] += 1
    return out
