"""How does a step go on in rounds? What a further rollout is worth once some of the group's outcomes are seen.

What was seen within the step is added to the belief in full: the learner has not changed meanwhile. It also
changes the value. With both outcomes seen a gradient is sure and nothing is left to gain; with wrong answers
only, n more rollouts give one with probability 1 - (1-p)^n, the curve of a hit; with correct ones only, with
1 - p^n, the same curve seen from the other side.

Source: derived from Knapsack RL's value (2509.25849). Reinforce-Ada (2510.04996) stops at a quota of outcomes
instead.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import betaln

from allocenv.core.arrays import Array, BoolArray, LongArray
from allocenv.problems.budget.allocation import take_largest
from allocenv.problems.budget.values import GRADIENT, HIT, Belief, Value, rows, worth_table


class StepInRounds(NamedTuple):
    """A step of M prompts; written in place."""

    numbers: LongArray  # [M]  the prompts
    given: LongArray  # [M]  rollouts handed out
    correct: LongArray  # [M]  observed
    rollouts: LongArray  # [M]  observed
    plan: LongArray  # [3]  rollouts left, most in a round, 1: nothing is worth a rollout


def updated(belief: Belief, correct: LongArray, rollouts: LongArray) -> Belief:
    """The belief after some outcomes, [M] each (Bayes' rule)."""
    k, m = correct[:, None].astype(np.float64), (rollouts - correct)[:, None].astype(np.float64)
    a, b = belief.wins, belief.losses
    if belief.spread:
        log = betaln(a + k, b + m) - betaln(a, b)
        wins, losses = a + k, b + m
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            log = np.where(k > 0, k * np.log(a), 0.0) + np.where(m > 0, m * np.log(b), 0.0)
        wins, losses = a, b
    weight = belief.weight * np.exp(log - log.max(axis=1, keepdims=True))
    return Belief(weight / weight.sum(axis=1, keepdims=True), wins, losses, belief.spread)


def round_of(of: Value, belief: Belief, step: StepInRounds, active: BoolArray, low: int, up: int) -> LongArray:
    """Rollouts [M] of the next round: those of largest expected value, none where nothing is gained.

    The first round gives every active prompt `low`, as far as they go.
    """
    room = int(min(step.plan[0], step.plan[1]))
    first = np.where(active & (step.given == 0), low, 0)
    if first.sum() > room:
        fits = np.cumsum(first) <= room
        return np.where(fits, first, 0)
    open_ = np.where(active, up - step.given - first, 0)
    levels = min(int(open_.max(initial=0)), room)
    if levels <= 0:
        return first
    gains = _gains(of, updated(belief, step.correct, step.rollouts), step, first, levels)
    gains[np.arange(levels) >= open_[:, None]] = 0.0
    room = min(room - int(first.sum()), int((gains > 0).sum()))
    return first + take_largest(gains, room)


def _gains(of: Value, belief: Belief, step: StepInRounds, first: LongArray, levels: int) -> Array:
    """What the next rollouts add, [M, levels], falling along each row."""
    out = np.zeros((len(first), levels))
    k, n = step.correct, step.rollouts
    if of.shape == HIT:
        _write(out, k == 0, of, belief, first, levels)
    elif of.shape == GRADIENT:
        _write(out, n == 0, of, belief, first, levels)
        _write(out, (n > 0) & (k == 0), of._replace(shape=HIT), belief, first, levels)
        seen_from_losses = Belief(belief.weight, belief.losses, belief.wins, belief.spread)
        turned = Value(HIT, of.failure, of.success)
        _write(out, (n > 0) & (k == n), turned, seen_from_losses, first, levels)
    else:
        _write(out, np.ones(len(n), bool), of, belief, first + n, levels)
    return out


def _write(out: Array, which: BoolArray, of: Value, belief: Belief, levels_now: LongArray, levels: int) -> None:
    """The gains of some prompts from their present levels on; where the first two are one item, both get its mean."""
    some = np.flatnonzero(which)
    if not len(some):
        return
    now = levels_now[some]
    table = np.diff(worth_table(of, rows(belief, some), int(now.max()) + levels), axis=1)
    gains = np.take_along_axis(table, now[:, None] + np.arange(levels), axis=1)
    if of.shape == GRADIENT and levels > 1:
        none = now == 0
        gains[none, :2] = gains[none, 1:2] / 2
    out[some] = np.minimum.accumulate(gains, axis=1)
