"""Means, interquartile means, paired differences, probabilities of improvement and profiles, with intervals.

Bootstrap over instances, all values of an instance together (Agarwal et al., "Deep reinforcement learning at the
edge of the statistical precipice", NeurIPS 2021, sections 4.1 to 4.3). `scipy.stats` gives the same intervals,
but loading it takes longer than many an evaluation.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from allocenv.core.arrays import Array

RESAMPLES = 5_000


class Interval(NamedTuple):
    """A figure and its 95 % interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.4f} [{self.low:.4f}, {self.high:.4f}]"


def mean_interval(values: Sequence[float] | Array, seed: int = 0) -> Interval:
    """The mean of one value an instance, with a bias-corrected bootstrap interval over instances."""
    return _interval(np.asarray(values, np.float64), _mean, seed, corrected=True)


def iqm_interval(values: Sequence[float] | Array, seed: int = 0) -> Interval:
    """The interquartile mean: of the middle half of the values [n], or of all seeds [n, S] of n instances.

    Instances are drawn again, each with all its seeds; robust against single instances, unlike the mean.
    """
    return _interval(np.asarray(values, np.float64), _iqm, seed, corrected=False)


def improvement(ours: Sequence[float] | Array, theirs: Sequence[float] | Array, seed: int = 0) -> Interval:
    """The probability that ours [n] is the lower one on an instance, equal ones counting half."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    return _interval((ours < theirs - 1e-12) + 0.5 * (np.abs(ours - theirs) <= 1e-12), _mean, seed, corrected=False)


def profile(gaps: Sequence[float] | Array, at: Sequence[float] | Array) -> Array:
    """The share of instances whose gap is at most each of `at`: [len(at)] (Dolan and More, 2002)."""
    share: Array = np.mean(np.asarray(gaps)[None] <= np.asarray(at)[:, None] + 1e-12, axis=1)
    return share


def _mean(values: Array) -> Array:
    """Over the last axis."""
    mean: Array = values.mean(axis=-1)
    return mean


def _iqm(values: Array) -> Array:
    """Over the last axis: without the lowest and the highest quarter, rounded down."""
    cut = values.shape[-1] // 4
    mean: Array = np.sort(values, axis=-1)[..., cut : values.shape[-1] - cut].mean(axis=-1)
    return mean


def _interval(values: Array, statistic: Callable[[Array], Array], seed: int, corrected: bool) -> Interval:
    """The statistic of all values [n] or [n, S], and its interval over instances, which are the first axis."""
    value = float(statistic(values.reshape(-1)))
    n = len(values)
    if n < 2 or np.ptp(values) == 0 or not np.isfinite(values).all():
        return Interval(value, value, value)
    drawn = np.random.default_rng(seed).integers(n, size=(RESAMPLES, n))
    again = statistic(values[drawn].reshape(RESAMPLES, -1))
    levels = np.array([0.025, 0.975])
    if corrected:
        levels = _corrected(levels, value, again, values, statistic)
    low, high = np.quantile(again, levels)
    return Interval(value, float(low), float(high))


def _corrected(levels: Array, value: float, again: Array, values: Array, statistic: Callable[[Array], Array]) -> Array:
    """Levels of the bootstrap distribution, corrected for its bias and for its skew (BCa: Efron, 1987)."""
    n = len(values)
    bias = ndtri(np.mean((again < value) + 0.5 * (again == value)))
    left_out = statistic(np.broadcast_to(values, (n, n))[~np.eye(n, dtype=np.bool_)].reshape(n, n - 1))
    away = left_out.mean() - left_out
    spread = (away**2).sum() ** 1.5
    if spread == 0 or not np.isfinite(bias):
        return levels  # values apart by less than numbers resolve
    skew = (away**3).sum() / (6 * spread)
    shifted = bias + ndtri(levels)
    found: Array = ndtr(bias + shifted / (1 - skew * shifted))
    return found
