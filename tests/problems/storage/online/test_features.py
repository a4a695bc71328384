"""What the published agents see, on cases made by hand."""

import numpy as np
import pytest

from allocenv.problems.storage.dynamics import NEVER, begin, empty_state, serve
from allocenv.problems.storage.online.features import (
    harmonia_levels,
    long_bin,
    observe_for_harmonia,
    observe_for_sibyl,
    sibyl_levels,
    since_bin,
    size_bin,
)
from allocenv.problems.storage.rules import System
from allocenv.problems.storage.trace import Trace


@pytest.mark.parametrize(("pages", "found"), [(1, 0), (2, 1), (3, 1), (4, 2), (127, 6), (128, 7), (10_000, 7)])
def test_a_size_has_a_bin_per_power_of_two(pages, found):
    assert size_bin(pages) == found


def test_long_bins_are_exact_below_eight_and_then_four_per_power_of_two():
    assert [long_bin(v) for v in range(8)] == list(range(8))
    assert [long_bin(v) for v in (8, 9, 10, 12, 14, 15, 16, 20)] == [8, 8, 9, 10, 11, 11, 12, 13]
    assert [long_bin(v) for v in (98_304, 114_687, 114_688, 10**9)] == [62, 62, 63, 63]


def test_never_is_the_last_bin_of_an_interval():
    assert since_bin(7, NEVER) == 63
    assert since_bin(7, 4) == 3


@pytest.fixture
def served():
    """Three devices of 2, 4 and 16 pages; request 0 wrote pages 0 and 1 to the fastest device."""
    page = np.array([0, 5, 0, *range(16)]) * 4096
    size = np.array([2, 1, 1, *[1] * 16]) * 4096
    trace = Trace.of("toy", None, page, size, np.array([1, 0, 0, *[0] * 16]))
    rules = System.named("H&M&L_SSD", shares=(2 / 16, 4 / 16)).rules(trace)
    state = empty_state(1, trace.n_pages, 3)
    begin(rules, state, 0, 0)
    serve(trace.requests, rules, state, 0, 0)
    serve(trace.requests, rules, state, 0, 1)
    return trace.requests, rules, state


def test_sibyl_sees_the_next_request(served):
    # request 2 reads page 0 (one page: bin 0), accessed 2 requests ago and once, on device 0;
    # device 0 is full (0 of 2 free), 3 of the 4 pages of device 1 are free: bin 8 * 3 // 4 = 6
    bins = np.zeros(7, np.uint8)
    observe_for_sibyl(*served, 0, bins)
    assert bins.tolist() == [0, 0, 2, 1, 0, 6, 0]


def test_harmonia_sees_a_page(served):
    # page 5 was read by request 1, which also moved it to device 1; page 9 was never touched
    bins = np.zeros(7, np.uint8)
    observe_for_harmonia(*served[1:], 0, 5, 0, 3, bins)
    assert bins.tolist() == [0, 3, 1, 1, 0, 1, 1]
    observe_for_harmonia(*served[1:], 0, 9, 1, 0, bins)
    assert bins.tolist() == [1, 0, 63, 0, 0, 2, 63]


def test_there_is_a_feature_more_for_each_further_device():
    assert sibyl_levels(2).tolist() == [8, 2, 64, 64, 8, 2]
    assert sibyl_levels(3).tolist() == [8, 2, 64, 64, 8, 8, 3]
    assert len(harmonia_levels(4)) == 7
