"""Which unsolved task gets the next sample, if tasks that stand near in a benchmark are alike? A learnt index.

A policy that is told outcomes only cannot do better than turns (`test_time.best_blind`). HumanEval's tasks get
harder with their number, which is known beforehand. So the prior of a task is a mixture of the rates of other
tasks, those with a near number first (empirical Bayes; VIP, 2602.01601, has a Gaussian process over prompts):

    P(next passes | n failures) = sum_s w_s p_s (1 - p_s)^n / sum_s w_s (1 - p_s)^n,  w_s = FAR + exp(-(t - s)^2 / 2h^2)

which falls with n, so the largest first is optimal under this prior. Rates p_s and width h are of the half of the
tasks that is not played; h makes its own counts likeliest, each told by the others.
"""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray, LongArray
from allocenv.problems.budget.sample_sets import HUMANEVAL_BETA
from allocenv.problems.budget.test_time import first_pass, oracle

WIDTHS = (3.0, 6.0, 12.0, 24.0, 48.0, np.inf)  # in numbers of tasks; infinite: one prior for all
FAR = 0.02  # weight of a task however far


class Calibration(NamedTuple):
    """What was learnt from C tasks."""

    number: Array  # [C]  of the tasks
    rate: Array  # [C]  of passing samples, drawn to the mean of all tasks so that none is 0
    width: float


class Compared(NamedTuple):
    """Shares solved by budget, [budgets] each, means over random halves, each played once."""

    learnt: Array
    oracle: Array  # in one round by the true shares, of the same tasks


def calibrated(number: Array, passed: BoolArray) -> Calibration:
    """Rates and width from the samples [C, S] of some tasks and their numbers [C]."""
    samples, right = passed.shape[1], passed.sum(axis=1)[:, None]
    a, b = HUMANEVAL_BETA
    rate = (right[:, 0] + a) / (samples + a + b)
    log = right * np.log(rate) + (samples - right) * np.log1p(-rate)  # [C, C]  of a task's counts at another's rate
    top = log.max(axis=1, keepdims=True)

    def likelihood(width: float) -> float:
        near = nearness(number, number, width)
        np.fill_diagonal(near, 0.0)
        return float(np.log((near * np.exp(log - top)).sum(axis=1) / near.sum(axis=1)).sum())

    return Calibration(number, rate, max(WIDTHS, key=likelihood))


def nearness(number: Array, others: Array, width: float) -> Array:
    """Weights of other tasks, [T, C]."""
    weights: Array = FAR + np.exp(-0.5 * ((number[:, None] - others) / width) ** 2)
    return weights


def chances(known: Calibration, number: Array, samples: int) -> Array:
    """P(next passes | n failures) of tasks with these numbers [T], [T, samples] for n = 0.."""
    weights = nearness(number, known.number, known.width)
    none = (1.0 - known.rate)[:, None] ** np.arange(samples)
    found: Array = (weights @ (known.rate[:, None] * none)) / (weights @ none)
    return found


def play(passed: BoolArray, index: Array, budgets: tuple[int, ...], rng: np.random.Generator) -> list[float]:
    """Shares solved in one random order, [budgets], when the largest index [T, S], which falls, is always next."""
    tasks, samples = passed.shape
    last = first_pass(passed, rng)[:, None] - 1
    n = np.broadcast_to(np.arange(samples), index.shape)
    drawn, luck = n <= last, np.broadcast_to(rng.random((tasks, 1)), index.shape)
    queue = np.lexsort((n[drawn], luck[drawn], -index[drawn]))  # of equal tasks one after the other
    solved = np.cumsum((n == last)[drawn][queue])
    return [float(solved[min(budget * tasks, len(solved)) - 1]) / tasks for budget in budgets]


def compare(passed: BoolArray, budgets: tuple[int, ...], seeds: int) -> Compared:
    """Learn from one random half of the tasks [T, S], in the order of their numbers, play the other; and swapped."""
    learnt, known = [], []
    for seed in range(seeds):
        rng = np.random.default_rng([seed, len(passed)])
        order: LongArray = rng.permutation(len(passed))
        half = len(passed) // 2
        for taught, played in ((order[:half], order[half:]), (order[half:], order[:half])):
            index = chances(calibrated(taught.astype(float), passed[taught]), played.astype(float), passed.shape[1])
            learnt.append(play(passed[played], index, budgets, rng))
            known.append([oracle(passed[played], budget) for budget in budgets])
    return Compared(np.mean(learnt, axis=0), np.mean(known, axis=0))
