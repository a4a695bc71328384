"""Means and their intervals, against values worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap, norm, trim_mean

from allocenv.core.statistics import RESAMPLES, Interval, improvement, iqm_interval, mean_interval, profile


def test_the_mean_is_that_of_the_values():
    assert mean_interval([1.0, 2.0, 6.0]).mean == 3.0


@pytest.mark.parametrize("values", [[0.25], [0.25, 0.25, 0.25]])
def test_without_spread_the_interval_is_the_mean(values):
    assert mean_interval(values) == Interval(0.25, 0.25, 0.25)


def test_values_hardly_apart_have_an_interval():
    found = mean_interval([0.0, 1e-200])
    assert 0 <= found.low <= found.high <= 1e-200


def test_of_many_even_values_it_is_the_normal_interval():
    # 200 coins, half heads: standard error sqrt(0.25 / 200) = 0.0354, so 0.5 -+ 1.96 * 0.0354
    values = np.tile([0.0, 1.0], 100)
    half = norm.ppf(0.975) * np.sqrt(0.25 / 200)
    found = mean_interval(values)
    assert found.mean == 0.5
    assert found.low == pytest.approx(0.5 - half, abs=0.006)
    assert found.high == pytest.approx(0.5 + half, abs=0.006)


def test_it_leans_towards_the_long_tail():
    # 29 zeros and a one: the bootstrap mean is a count of a binomial(30, 1/30) / 30, at most a few thirtieths up.
    found = mean_interval([0.0] * 29 + [1.0])
    assert 0 <= found.low <= found.mean <= found.high
    assert found.high - found.mean > found.mean - found.low


def test_it_holds_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    intervals = [mean_interval(rng.normal(1.0, 2.0, 30), seed=i) for i in range(60)]
    held = sum(low <= 1.0 <= high for _, low, high in intervals)
    assert 50 <= held <= 60  # 57 expected of 60


def test_the_same_seed_gives_the_same_interval():
    values = np.arange(10.0)
    assert mean_interval(values, seed=1) == mean_interval(values, seed=1)
    assert mean_interval(values, seed=1) != mean_interval(values, seed=2)


def test_it_reads_as_mean_and_brackets():
    assert str(Interval(0.28643, 0.28, 0.3)) == "0.2864 [0.2800, 0.3000]"


def test_the_interquartile_mean_leaves_out_the_outer_quarters():
    assert iqm_interval([0.0, 1.0, 3.0, 100.0]).mean == 2.0
    found = iqm_interval(np.array([[0.0, 1.0], [3.0, 100.0]]))  # two instances with two seeds each
    assert found.mean == 2.0
    assert found.low <= 2.0 <= found.high


def test_the_probability_of_improvement_counts_equal_ones_half():
    found = improvement([1.0, 2.0, 3.0, 4.0], [2.0, 2.0, 2.0, 2.0])
    assert found.mean == pytest.approx((1 + 0.5 + 0 + 0) / 4)
    assert improvement([1.0, 1.0], [2.0, 2.0]) == Interval(1.0, 1.0, 1.0)


def test_a_profile_rises_from_the_share_of_wins_to_one():
    assert profile([0.0, 0.0, 0.1, 0.3], [0.0, 0.05, 0.1, 1.0]).tolist() == [0.5, 0.5, 0.75, 1.0]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(-1000, 1000), min_size=3, max_size=40, unique=True), st.integers(0, 9))
def test_intervals_are_those_of_scipy(values, seed):
    for ours, statistic, method in (
        (mean_interval, np.mean, "BCa"),
        (iqm_interval, lambda x, axis: trim_mean(x, 0.25, axis=axis), "percentile"),
    ):
        theirs = bootstrap(
            (values,), statistic, n_resamples=RESAMPLES, method=method, rng=np.random.default_rng(seed)
        ).confidence_interval
        found = ours(values, seed)
        assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), rel=1e-9, abs=1e-9)
