"""Tuning finds the best of the grid, reports it, and never advises what is worse than today's setting."""

import math

import numpy as np
import pytest

from allocenv.problems.storage.baselines.selective import Admission, Selective
from allocenv.problems.storage.baselines.tuning import (
    HITS,
    N_TRIED,
    PROBABILITIES,
    advise,
    replayed,
    tuned_selective,
)
from allocenv.problems.storage.policies import POLICIES
from allocenv.problems.storage.rules import System
from allocenv.problems.storage.simulation import second_half
from allocenv.problems.storage.trace import PAGE_BYTES, Trace

SYSTEM = System.named("H&M")


def trace_of(pages):
    pages = np.asarray(pages)
    return Trace.of("hand-made", None, pages * PAGE_BYTES, np.full(len(pages), PAGE_BYTES), np.zeros(len(pages), bool))


@pytest.fixture(scope="module")
def skewed():
    """Two thirds of the reads go to 10 pages of 110, the rest each to another one."""
    rng = np.random.default_rng(3)
    hot = rng.integers(0, 10, 1200)
    return trace_of(np.where(np.arange(1200) % 3 < 2, hot, 10 + np.arange(1200) // 3 % 100))


@pytest.fixture(scope="module")
def scanned():
    """No page is read twice: whatever is promoted is lost."""
    return trace_of(np.arange(800))


def test_the_tuned_setting_is_no_worse_than_any_of_the_grid(skewed):
    best = replayed(skewed, SYSTEM, Selective(tuned_selective(skewed, SYSTEM, 600)), 600).mean
    grid = [Admission(probability=p) for p in PROBABILITIES] + [Admission(hits=k) for k in HITS]
    assert best <= min(replayed(skewed, SYSTEM, Selective(rule), 600).mean for rule in grid)


def test_where_moves_are_free_everything_may_be_admitted():
    """Pages that are read twice at once and then never again: who waits for the second read has lost."""
    twice = trace_of(np.repeat(np.arange(400), 2))
    assert tuned_selective(twice, System.named("H&M", accounting="free")) == Admission()


def test_every_setting_tried_is_reported(skewed):
    tried, counts = [], []
    rule = tuned_selective(skewed, SYSTEM, progress=tried.append)
    assert min(tried, key=lambda one: one.summary.mean).rule == rule
    advise(skewed, SYSTEM, progress=counts.append)
    assert counts == list(range(1, N_TRIED + 1))


def test_a_skewed_trace_is_advised_to_admit_what_is_hot(skewed):
    advice = advise(skewed, SYSTEM)
    assert advice.gain > 0.1
    assert advice.expected.mean == min(knob.summary.mean for knob in advice.knobs)
    assert {knob.name: knob.value for knob in advice.knobs}["sequential cut-off"] == math.inf
    assert advice.rate_mb_s >= advice.expected.promoted * PAGE_BYTES / 1e6 / advice.expected.seconds


def test_where_no_move_pays_none_is_advised(scanned):
    advice = advise(scanned, SYSTEM)
    assert advice.expected.mean == advice.slow_only.mean
    assert advice.expected.promoted == 0
    assert advice.rate_mb_s == 0


def test_today_stays_where_nothing_is_better(scanned):
    advice = advise(scanned, SYSTEM, today=Admission(probability=0.0))
    assert advice.gain == 0


def test_hindsight_is_no_worse_than_tuning_before(skewed):
    before, after = (
        second_half(skewed, SYSTEM, POLICIES[name].make(skewed, SYSTEM, 0))
        for name in ("tuned_lru", "oracle_tuned_lru")
    )
    assert after.mean <= before.mean
