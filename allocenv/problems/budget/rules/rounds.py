"""Rules that look at the outcomes of a first round before they spend the rest."""

import numpy as np

from allocenv.core.arrays import BoolArray, LongArray
from allocenv.problems.budget.rules.rule import OneRound, spread_evenly

QUOTA = 2  # correct ones (and wrong ones) that a group of 4 needs
MAX_ROUNDS = 8
SKIP, DEFER = 0.75, 0.125  # Pilot-Commit: solved above, hopeless below
COMMIT = 3  # rollouts of a commitment by those of the pilot (48 and 16)


class ReinforceAda(OneRound):
    """Rounds of equal chunks; a prompt leaves when its quota is met. No memory of former steps.

    As published: at most 4 rounds of 8, whatever that costs. Here at most 8 rounds of half an equal group, so
    that the step's total can be kept; where all quotas are met rollouts stay unspent (adapted).

    Args:
        balanced: two correct and two wrong ones, else two correct ones.
    """

    def __init__(self, balanced: bool) -> None:
        super().__init__()
        self.balanced = balanced
        self.chunk, self.rounds = 0, 0

    def allocate(self, prompts: LongArray, total: int, rng: np.random.Generator) -> LongArray:
        """See `Rule`."""
        self.chunk, self.rounds = max(1, total // (2 * max(len(prompts), 1))), 1
        return _chunks(np.ones(len(prompts), bool), self.chunk, total, rng)

    def next_round(
        self, prompts: LongArray, n_correct: LongArray, n_rollouts: LongArray, left: int, rng: np.random.Generator
    ) -> LongArray:
        """See `Rule`."""
        open_ = n_correct < QUOTA
        if self.balanced:
            open_ |= n_rollouts - n_correct < QUOTA
        self.rounds += 1
        return _chunks(open_ & (self.rounds <= MAX_ROUNDS), self.chunk, left, rng)


class PilotCommit(OneRound):
    """A pilot for all; then the open ones get three times as much, in any order, until nothing is left.

    As published: pilot 16, skip above 0.75, defer below 0.125, commit 48. Here the pilot is half an equal
    group; what is left when all open ones are served goes evenly to the deferred ones (adapted).
    """

    def __init__(self) -> None:
        super().__init__()
        self.pilot = 0

    def allocate(self, prompts: LongArray, total: int, rng: np.random.Generator) -> LongArray:
        """See `Rule`."""
        self.pilot = max(1, total // (2 * max(len(prompts), 1)))
        return _chunks(np.ones(len(prompts), bool), self.pilot, total, rng)

    def next_round(
        self, prompts: LongArray, n_correct: LongArray, n_rollouts: LongArray, left: int, rng: np.random.Generator
    ) -> LongArray:
        """See `Rule`."""
        if (n_rollouts > self.pilot).any() or left == 0:
            return np.zeros(len(prompts), np.int64)
        p = n_correct / np.maximum(n_rollouts, 1)
        committed = _chunks((p >= DEFER) & (p <= SKIP), COMMIT * self.pilot, left, rng)
        return committed + spread_evenly(left - int(committed.sum()), p < DEFER, rng)


def _chunks(among: BoolArray, chunk: int, left: int, rng: np.random.Generator) -> LongArray:
    """A chunk for each of some prompts [M]; in any order, where `left` does not suffice for all."""
    out = np.zeros(len(among), np.int64)
    chosen = np.flatnonzero(among)
    if chunk * len(chosen) > left:
        chosen = rng.permutation(chosen)
    served = chosen[: left // chunk]
    out[served] = chunk
    if len(served) < len(chosen):
        out[chosen[len(served)]] = left - chunk * len(served)
    return out
