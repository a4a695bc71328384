"""By what does one see that a made-up learner is like a real one? Figures of success counts over visits.

The same figures are taken of the real run and of the simulator under equal groups of 8.
"""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, IntArray
from allocenv.problems.budget.real_run import ABSENT, GROUP

LAGS = (1, 10, 20, 40)  # visits
EDGES = (0.0, 0.03, 0.08, 0.18, 0.34, 0.5, 0.65, 0.82, 0.92, 1.01)  # of the rate at the start, for gains
WIDTH = 5  # visits averaged for a gain


class Figures(NamedTuple):
    """Of a pool of prompts over some visits."""

    transitions: Array  # [9]  P(both outcomes in the next group | k of 8 correct now)
    begin: Array  # [9]  mean rate of the prompts of each bin at the beginning; NaN: none
    gains: Array  # [9]  how much it has risen at the end
    members: Array  # [9]  prompts in the bin
    first: Array  # [2]  Beta of the first visit
    last: Array  # [2]  Beta of the last
    lags: Array  # [4]  correlation of counts so many visits apart; NaN: too few visits
    path: Array  # [V]  mean rate at each visit
    large_gains: Array  # [2]  share of prompts with a gain above .2 and above .4


def figures(correct: IntArray, begin: slice, end: slice) -> Figures:
    """Figures of successes [P, V] of 8.

    Args:
        correct: ABSENT where there was no visit.
        begin, end: visits between which gains are taken.
    """
    now, after = correct[:, :-1], correct[:, 1:]
    both = (after > 0) & (after < GROUP)
    pairs = (now != ABSENT) & (after != ABSENT)
    found = [both[pairs & (now == k)] for k in range(GROUP + 1)]
    whole = (correct[:, begin] != ABSENT).all(axis=1) & (correct[:, end] != ABSENT).all(axis=1)
    start = correct[whole][:, begin].mean(axis=1) / GROUP
    gain = correct[whole][:, end].mean(axis=1) / GROUP - start
    bin_of = np.digitize(start, EDGES[1:-1])
    bins = range(len(EDGES) - 1)
    seen = correct != ABSENT
    return Figures(
        transitions=np.array([_mean(x) for x in found]),
        begin=np.array([_mean(start[bin_of == x]) for x in bins]),
        gains=np.array([_mean(gain[bin_of == x]) for x in bins]),
        members=np.bincount(bin_of, minlength=len(EDGES) - 1),
        first=fitted_beta(correct[:, 0]),
        last=fitted_beta(correct[:, -1]),
        lags=np.array([_correlation(correct, lag) for lag in LAGS]),
        path=np.where(seen, correct, 0).sum(axis=0) / (GROUP * seen.sum(axis=0)),
        large_gains=np.array([(gain > 0.2).mean(), (gain > 0.4).mean()]),
    )


def fitted_beta(correct: IntArray) -> Array:
    """The Beta [2] whose first two moments are those of the rates behind counts [P] of 8; NaN: they do not differ."""
    k = correct[correct != ABSENT].astype(np.float64)
    p, square = k.mean() / GROUP, (k * (k - 1)).mean() / (GROUP * (GROUP - 1))
    if square <= p * p:
        return np.full(2, np.nan)
    strength = p * (1 - p) / (square - p * p) - 1
    return np.array([p * strength, (1 - p) * strength])


def _correlation(correct: IntArray, lag: int) -> float:
    """Of counts `lag` visits apart, over all pairs."""
    if correct.shape[1] <= lag:
        return float("nan")
    now, after = correct[:, :-lag], correct[:, lag:]
    pairs = (now != ABSENT) & (after != ABSENT)
    return float(np.corrcoef(now[pairs], after[pairs])[0, 1])


def _mean(x: Array) -> float:
    return float(x.mean()) if x.size else float("nan")
