"""Oracles: by hand, never better than the best of all choices, Belady the best where moves are free."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storage_best_placement import least_latency

from allocenv.core.resource_state import check
from allocenv.problems.storage.baselines.clairvoyant import Clairvoyant, belady, cost_aware, future_of, worth_of
from allocenv.problems.storage.devices import Device
from allocenv.problems.storage.rules import System
from allocenv.problems.storage.simulation import Simulation
from allocenv.problems.storage.trace import PAGE_BYTES, Trace

FAST, SLOW = Device("fast", 10, 20, 1, 2), Device("slow", 100, 300, 5, 7)


def trace_of(requests):
    """Requests (first page, pages, whether it writes)."""
    first, pages, write = (np.array(column) for column in zip(*requests, strict=True))
    return Trace.of("hand-made", None, first * PAGE_BYTES, pages * PAGE_BYTES, write.astype(bool))


def system(share, accounting="charged"):
    return System((FAST, SLOW), (share,), accounting)


def replayed(trace, system, policy):
    run = Simulation(trace, system)
    run.run(policy)
    check(run.state.alloc, 0)
    return run


def test_the_future_names_the_next_access_of_every_page():
    future = future_of(trace_of([(0, 2, 0), (1, 1, 0), (0, 2, 0)]))  # accesses 0 1 | 1 | 0 1
    assert future.begins.tolist() == [0, 2, 3, 5]
    assert future.next_access.tolist() == [3, 2, 4, 5, 5]
    assert future.request.tolist() == [0, 0, 1, 2, 2, 3]


def test_only_uses_that_come_soon_enough_count():
    future = future_of(trace_of([(p, 1, 0) for p in (0, 0, 1, 1, 0, 0)]))
    assert worth_of(future, 9, 1).uses.tolist() == [3, 2, 1, 0, 1, 0]
    assert worth_of(future, 2, 1).uses.tolist() == [1, 0, 1, 0, 1, 0]  # the second gap of page 0 is 3


def test_the_page_used_sooner_takes_the_place_of_the_one_used_later():
    # one place; pages 0 0 1 1 0: 0 enters (100 + 20), is hit (10); 1 is used before 0, so it takes its place:
    # 100 + 20 and 0 goes down 10 + 300; hit 10; 0 is not used again: 100
    trace = trace_of([(p, 1, 0) for p in (0, 0, 1, 1, 0)])
    run = replayed(trace, system(0.5), belady(trace))
    assert run.latency.tolist() == [120, 10, 430, 10, 100]


def test_a_page_that_is_used_too_seldom_stays_below():
    trace = trace_of([(p, 1, 0) for p in (0, 0, 0, 1, 1, 0)])
    run = replayed(trace, system(0.5), Clairvoyant(future_of(trace), wanted=2))
    assert run.latency.tolist() == [120, 10, 10, 100, 100, 10]


def test_pages_of_one_request_go_where_each_belongs():
    # places for 2 of 4; 0-3 are read: 100 + 3 x 5, and 2-3, used soonest, written as one I/O: 20 + 2;
    # 2-3 are hit: 10 + 1; 0-1 are read below: 100 + 5
    trace = trace_of([(0, 4, 0), (2, 2, 0), (0, 2, 0)])
    assert replayed(trace, system(0.5), belady(trace)).latency.tolist() == [137, 11, 105]


def test_a_page_that_its_own_neighbour_drives_out_goes_down_with_the_request():
    # one place; 0 enters (100 + 20), then 0-1 are read: 10 above beside 100 below; 1 is used before 0 and takes its
    # place: 300 to write 0 down, 20 to write 1 up; 1 is hit: 10; 0 is read below: 100
    trace = trace_of([(0, 1, 0), (0, 2, 0), (1, 1, 0), (0, 1, 0)])
    assert replayed(trace, system(0.5), belady(trace)).latency.tolist() == [120, 420, 10, 100]


def test_pages_written_go_straight_to_their_devices():
    # places for 2 of 4; 0-3 are written: 0-1 below, 300 + 7, beside 2-3 above, 20 + 2; all are then used once
    trace = trace_of([(0, 4, 1), (2, 2, 0), (0, 2, 0)])
    assert replayed(trace, system(0.5), belady(trace)).latency.tolist() == [307, 11, 105]


@settings(max_examples=60, deadline=None)
@given(
    requests=st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=9),
    capacity=st.integers(1, 3),
    charged=st.booleans(),
    wanted=st.integers(1, 2),
)
def test_no_oracle_is_better_than_the_best_of_all_choices(requests, capacity, charged, wanted):
    trace = trace_of([(page, 1, write) for page, write in requests])
    capacity = min(capacity, trace.n_pages)
    rules = system(capacity / trace.n_pages, "charged" if charged else "free")
    run = replayed(trace, rules, Clairvoyant(future_of(trace), wanted=wanted))
    best = least_latency(tuple(requests), int(run.rules.capacity[0]), (10, 20), (100, 300), charged)
    assert run.state.latency[0] >= best
    if not charged and wanted == 1 and not any(write for _, write in requests):
        assert run.state.latency[0] == best


@settings(max_examples=30, deadline=None)
@given(
    requests=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 5), st.booleans()), min_size=1, max_size=30),
    shares=st.sampled_from([(0.3,), (0.5,), (1.0,), (0.2, 0.4)]),
    endurance=st.sampled_from([None, 1e-9]),
)
def test_the_state_stays_sound_whatever_the_requests(requests, shares, endurance):
    devices = (FAST, *[SLOW] * len(shares))
    limited = tuple(Device(d.name, d.read_us, d.write_us, 1, 1, gigabytes=1e-4, dwpd=1) for d in devices)
    trace = trace_of(requests)
    run = replayed(trace, System(limited, shares, endurance=endurance), belady(trace))
    assert (run.latency > 0).all()
    if endurance is not None:
        allowed = run.rules.wear[:-1] * (run.state.done[0] + 3_600e6)
        assert (run.state.written[0, :-1] <= allowed).all()


def test_the_best_of_the_grid_is_no_worse_than_belady():
    rng = np.random.default_rng(5)
    trace = trace_of([(int(p), 1, 0) for p in rng.zipf(1.3, 400) % 40])
    rules = system(0.1)
    tuned = replayed(trace, rules, cost_aware(trace, rules, 0))
    assert tuned.state.latency[0] <= replayed(trace, rules, belady(trace)).state.latency[0]


def test_an_oracle_refuses_a_run_that_has_begun():
    trace = trace_of([(0, 1, 0)] * 4)
    run = Simulation(trace, system(1.0))
    run.run(belady(trace), 2)
    with pytest.raises(ValueError, match="first request"):
        run.run(belady(trace))


def test_an_oracle_refuses_a_trace_that_it_does_not_know():
    run = Simulation(trace_of([(0, 1, 0)] * 4), system(1.0))
    with pytest.raises(ValueError, match="3 requests"):
        run.run(belady(trace_of([(0, 1, 0)] * 3)))
