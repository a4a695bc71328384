"""Means over instances with bootstrap intervals, and paired differences. From scipy, nothing of our own."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import bootstrap

from allocenv.core.arrays import Array

RESAMPLES = 5_000


class Interval(NamedTuple):
    """A mean and its 95 % interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.4f} [{self.low:.4f}, {self.high:.4f}]"


def mean_interval(values: Sequence[float] | Array, seed: int = 0) -> Interval:
    """The mean of one value an instance, with a bias-corrected bootstrap interval over instances."""
    values = np.asarray(values, np.float64)
    mean = float(values.mean())
    if len(values) < 2 or np.ptp(values) == 0:
        return Interval(mean, mean, mean)
    found = bootstrap((values,), np.mean, n_resamples=RESAMPLES, rng=np.random.default_rng(seed)).confidence_interval
    return Interval(mean, float(found.low), float(found.high))
