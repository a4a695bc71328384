"""Knapsack RL as published, with its cold start, its fallback and the quirk of its dynamic programme.

The quirk: no further rollout is worth 0, k >= 1 further ones are worth the whole V(2+k) and not its increase
over V(2). Since V(3) - 0 > V(4) - V(3) > ..., this sum is concave too, and greedy finds what the dynamic
programme finds; `solve_as_published` is that programme, for comparison of times.

Source: arXiv 2509.25849 and its code (liziniu/KnapsackRL).
"""

import numpy as np

from allocenv.core.arrays import Array, LongArray
from allocenv.core.kernel import kernel
from allocenv.problems.budget.allocation.gain_table import take_largest
from allocenv.problems.budget.estimators import LastRewards
from allocenv.problems.budget.rules.rule import OneRound, spread_evenly
from allocenv.problems.budget.values import VALUES, known, worth_table

LOW, UP = 2, 128
COLD = 8  # rollouts of a prompt with too few rewards
CERTAINTY = 0.1  # the fallback asks for both outcomes with probability 0.9


class KnapsackRL(OneRound):
    """Rates from the latest 16 rewards taken for true; prompts that look hopeless or solved get what is left."""

    def __init__(self, n_prompts: int) -> None:
        self.window = LastRewards(n_prompts)
        super().__init__(self.window)

    def allocate(self, prompts: LongArray, total: int, rng: np.random.Generator) -> LongArray:
        """See `Rule`."""
        valid = self.window.valid(prompts)
        if COLD * int((~valid).sum()) + LOW * int(valid.sum()) > total or not valid.any():
            return spread_evenly(total, np.ones(len(prompts), bool))
        counts = np.where(valid, LOW, COLD)
        counts[valid] += _beyond_base(self.window.mean(prompts)[valid], total - int(counts.sum()))
        return counts


def _beyond_base(p: Array, left: int) -> LongArray:
    """How `left` rollouts are shared beyond the two that every prompt has, at these estimates."""
    open_, hopeless = (p > 0) & (p < 1), p <= 0
    if not open_.any():
        return spread_evenly(left, hopeless if hopeless.any() else np.ones(len(p), bool))
    others = hopeless if hopeless.any() else ~open_
    needed = np.minimum(UP, np.log(CERTAINTY) / np.log(np.maximum(p, 1 - p)[open_])).sum()
    useful = min(left, int(open_.sum()) * (UP - LOW))
    if others.any():
        useful = min(useful, int(needed))
    out = spread_evenly(left - useful, others if others.any() else open_)
    out[open_] += take_largest(published_gains(p[open_]), useful)
    return out


def published_gains(p: Array) -> Array:
    """What further rollouts 1..126 add in the published sum, [M, 126]."""
    table = worth_table(VALUES["infogain"], known(p), UP)[:, LOW:]
    table[:, 0] = 0.0
    return np.diff(table, axis=1)


def solve_as_published(p: Array, room: int) -> LongArray:
    """Further rollouts [M] by dynamic programming with powers in the inner loop: O(M room 126), M room 16 bytes.

    `room` must be at most 126 M.
    """
    best = np.full((len(p) + 1, room + 1), -1.0)
    best[0, 0] = 0.0
    choice = np.zeros((len(p) + 1, room + 1), np.int64)
    _programme(np.asarray(p, np.float64), best, choice)
    out, at = np.zeros(len(p), np.int64), room
    for i in range(len(p) - 1, -1, -1):
        out[i] = choice[i + 1, at]
        at -= out[i]
    return out


@kernel
def _programme(p, best, choice):
    for i in range(p.size):
        for b in range(best.shape[1]):
            for k in range(min(b, UP - LOW) + 1):
                if best[i, b - k] < 0.0:
                    continue
                worth = 0.0
                if k > 0:
                    n = LOW + k
                    worth = (1.0 - p[i] ** n - (1.0 - p[i]) ** n) * p[i] * (1.0 - p[i]) ** 2
                if best[i, b - k] + worth > best[i + 1, b]:
                    best[i + 1, b] = best[i, b - k] + worth
                    choice[i + 1, b] = k
