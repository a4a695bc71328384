"""Is the lower bound what the best of all action sequences reaches in the simulator, and never above it?"""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocenv.problems.storage.baselines.selective import Fixed
from allocenv.problems.storage.bound import lower_bound
from allocenv.problems.storage.dynamics import STAY
from allocenv.problems.storage.policies import POLICIES
from allocenv.problems.storage.rules import System
from allocenv.problems.storage.simulation import Simulation
from allocenv.problems.storage.trace import PAGE_BYTES, Trace


def single_pages(accesses: list[int], writes: list[bool]) -> Trace:
    offset = np.array(accesses) * 2 * PAGE_BYTES  # no two pages are neighbours
    return Trace.of("tiny", None, offset, np.full(len(accesses), PAGE_BYTES), np.array(writes))


def best_by_trial(trace: Trace, system: System) -> float:
    """The least total latency over all sequences of targets."""
    totals = []
    for targets in product((STAY, 0, 1), repeat=len(trace)):
        run = Simulation(trace, system)
        for target in targets:
            run.run(Fixed(target), 1)
        totals.append(float(run.state.latency[0]))
    return min(totals)


def system_of(devices: str, fast_pages: int, trace: Trace) -> System:
    return System.named(devices, (min(1.0, (fast_pages + 0.5) / trace.n_pages),))


requests = st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=6)


@pytest.mark.parametrize("devices", ["H&M", "H&L_SSD"])
@settings(max_examples=12, deadline=None)
@given(requests=requests, fast_pages=st.integers(1, 2))
def test_the_bound_is_the_best_of_all_action_sequences(
    devices: str, requests: list[tuple[int, bool]], fast_pages: int
) -> None:
    trace = single_pages([page for page, _ in requests], [write for _, write in requests])
    system = system_of(devices, fast_pages, trace)
    assert lower_bound(trace, system) == pytest.approx(best_by_trial(trace, system), abs=1e-3)


def test_a_page_read_often_pays_for_its_move() -> None:
    # H&M: the first of 4 reads on the slow device, 37 us, and the move up, 10 us; then 3 reads of 10 us
    trace = single_pages([0] * 4, [False] * 4)
    assert lower_bound(trace, system_of("H&M", 1, trace)) == 37 + 10 + 3 * 10


def test_a_page_read_once_stays() -> None:
    trace = single_pages([0, 1], [False] * 2)
    assert lower_bound(trace, system_of("H&M", 1, trace)) == 37 + 37


def test_the_last_page_written_stays_on_the_fast_device() -> None:
    # one page fits: one of the two writes, 10 us, may stay there, the other goes to the slow device, 37 us
    trace = single_pages([0, 1], [True] * 2)
    assert lower_bound(trace, system_of("H&M", 1, trace)) == 10 + 37


@pytest.mark.parametrize("name", ["slow_only", "lru", "lru_p05", "lru_4hit"])
@pytest.mark.parametrize("devices", ["H&M", "H&L"])
def test_no_policy_is_below_the_bound(name: str, devices: str) -> None:
    rng = np.random.default_rng(5)
    accesses = np.minimum(rng.zipf(1.3, 2000) - 1, 199).tolist()
    trace = single_pages(accesses, (rng.random(2000) < 0.3).tolist())
    system = System.named(devices)
    run = Simulation(trace, system)
    run.run(POLICIES[name].make(trace, system, 0))
    assert lower_bound(trace, system) <= float(run.state.latency[0])


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        (System.named("H&M&L"), "2 devices"),
        (System.named("H&M", accounting="free"), "charged"),
    ],
)
def test_what_the_bound_does_not_cover_is_refused(system: System, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        lower_bound(single_pages([0, 1], [True, False]), system)


wide_requests = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3), st.booleans()), min_size=1, max_size=5)


@settings(max_examples=25, deadline=None)
@given(requests=wide_requests, fast_pages=st.integers(1, 4))
def test_no_action_sequence_is_below_the_bound_for_wide_requests(
    requests: list[tuple[int, int, bool]], fast_pages: int
) -> None:
    first, pages, write = (np.array(column) for column in zip(*requests, strict=True))
    trace = Trace.of("wide", None, first * PAGE_BYTES, pages * PAGE_BYTES, write)
    system = system_of("H&M", fast_pages, trace)
    assert lower_bound(trace, system) <= best_by_trial(trace, system) + 1e-3


def test_a_wide_request_is_served_by_one_device_at_a_time_where_splitting_does_not_help() -> None:
    # 4 pages, read three times: H 10 + 3 * 1.7 = 15.1 us, M 37 + 3 * 7.3 = 58.9 us, a split at least 37 us;
    # the move up 10 + 3 * 2.05 = 16.15 us
    trace = Trace.of("wide", None, np.zeros(3, np.int64), np.full(3, 4 * PAGE_BYTES), np.zeros(3, bool))
    assert lower_bound(trace, System.named("H&M", (1.0,))) == pytest.approx(58.9 + 16.15 + 2 * 15.1, abs=0.02)
