"""Means, interquartile means, paired differences, probabilities of improvement and profiles, with intervals.

Bootstrap over instances, all values of an instance together (Agarwal et al., "Deep reinforcement learning at the
edge of the statistical precipice", NeurIPS 2021, sections 4.1 to 4.3). From scipy, nothing of our own.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import bootstrap, trim_mean

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
    return _interval(np.asarray(values, np.float64), np.mean, seed, "BCa")


def iqm_interval(values: Sequence[float] | Array, seed: int = 0) -> Interval:
    """The interquartile mean: of the middle half of the values [n], or of all seeds [n, S] of n instances.

    Instances are drawn again, each with all its seeds; robust against single instances, unlike the mean.
    """
    return _interval(np.asarray(values, np.float64), _iqm, seed, "percentile")


def improvement(ours: Sequence[float] | Array, theirs: Sequence[float] | Array, seed: int = 0) -> Interval:
    """The probability that ours [n] is the lower one on an instance, equal ones counting half."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    return _interval((ours < theirs - 1e-12) + 0.5 * (np.abs(ours - theirs) <= 1e-12), np.mean, seed, "percentile")


def profile(gaps: Sequence[float] | Array, at: Sequence[float] | Array) -> Array:
    """The share of instances whose gap is at most each of `at`: [len(at)] (Dolan and More, 2002)."""
    share: Array = np.mean(np.asarray(gaps)[None] <= np.asarray(at)[:, None] + 1e-12, axis=1)
    return share


def _iqm(values: Array, axis: int = -1) -> Any:
    return trim_mean(values, 0.25, axis=axis)


def _interval(values: Array, statistic: Callable[..., Any], seed: int, method: str) -> Interval:
    """The statistic of all values, and its interval over instances (the first axis)."""
    value = float(statistic(values.reshape(-1)))
    if len(values) < 2 or np.ptp(values) == 0 or not np.isfinite(values).all():
        return Interval(value, value, value)
    rng = np.random.default_rng(seed)
    if values.ndim == 1:
        found = bootstrap((values,), statistic, n_resamples=RESAMPLES, method=method, rng=rng).confidence_interval
        return Interval(value, float(found.low), float(found.high))
    drawn = rng.integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(statistic(values[drawn].reshape(RESAMPLES, -1), axis=-1), [0.025, 0.975])
    return Interval(value, float(low), float(high))
