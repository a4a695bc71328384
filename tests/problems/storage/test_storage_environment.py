"""Hybrid storage as an environment: modes, rewards, objective, windows, limits."""

import numpy as np
import pytest

import allocenv
from allocenv.core.batch import Batch
from allocenv.core.replay import replay
from allocenv.heuristics import random_legal
from allocenv.problems.storage.instances import Given, Window, second_half_windows
from allocenv.problems.storage.planning import RULES, play
from allocenv.problems.storage.problem import Storage
from allocenv.problems.storage.trace import PAGE_BYTES, Trace

SEQUENCE = [0, 1, 2, 0, 1, 0]  # pages, one a request


def tiny(writes=(False,) * 6, pages=10):
    """Reads of single pages out of ten; the fast device of `H&M` holds one of them (10 %)."""
    touch_all = list(range(pages))  # so that the ten pages exist
    page = np.array(SEQUENCE + touch_all)
    write = np.array(list(writes) + [False] * pages)
    return Trace.of("tiny", None, page * PAGE_BYTES, np.full(len(page), PAGE_BYTES), write)


def begin(trace=None, end=6, **params):
    problem = Storage.on(Window(trace or tiny(), 0, end), **params)
    batch = Batch(problem, 1)
    batch.reset()
    return problem, batch


def act(batch, *pairs):
    """Carry out (slot, device) pairs; the rewards."""
    rewards = []
    for pair in pairs:
        outcome = batch.step(np.array([pair]))
        assert not outcome.illegal[0]
        rewards.append(float(outcome.rewards[0]))
    return rewards


def many(n, **params):
    batch = Batch(Storage(episode=200, **params), n)
    batch.reset()
    return batch


def test_the_return_is_the_objective_but_for_scale():
    """Six reads in place: 37 us each on M, 10 us on H. Objective 3.7, return -6."""
    problem, batch = begin()
    assert problem.cost(batch.state, 0) == pytest.approx(3.7)  # what is to come counts as served by M
    assert act(batch, *[(0, 1)] * 6) == pytest.approx([-1.0] * 6)
    assert problem.cost(batch.state, 0) == pytest.approx(3.7)
    assert batch.outcome.truncated[0]


def test_who_asks_for_moves_waits_for_them():
    """Page 0 to H: read on M 37 us, written to H 10 us. Page 1: 37, then page 0 down: 10 + 37, page 1 up: 10."""
    _, batch = begin()
    assert act(batch, (0, 0), (0, 0)) == pytest.approx([-47 / 37, -94 / 37])
    assert batch.state.model.last_evictions[0] == 1


@pytest.mark.parametrize(("accounting", "us"), [("charged", 47), ("background", 37), ("free", 37)])
def test_the_accounting_decides_what_a_promotion_costs_its_request(accounting, us):
    _, batch = begin(accounting=accounting)
    assert act(batch, (0, 0)) == pytest.approx([-us / 37])


def test_rewards_by_the_inverse_of_latency_take_off_evictions_in_sibyls():
    """H's read is 10 us. The second request takes 94 us with 47 of evicting: 10/94, less 0.001 x 47/10."""
    assert act(begin(reward="inverse")[1], (0, 0), (0, 0)) == pytest.approx([10 / 47, 10 / 94])
    assert act(begin(reward="sibyl")[1], (0, 0), (0, 0)) == pytest.approx([10 / 47, 10 / 94 - 0.0047])


def test_a_request_larger_than_a_device_may_not_go_there():
    """Two pages, one fits on H."""
    trace = Trace.of("wide", None, np.array([0, 0]), np.array([2, 10]) * PAGE_BYTES, np.array([True, True]))
    _, batch = begin(trace, end=1)
    assert batch.placement_mask(np.array([0])).tolist() == [[False, True]]
    outcome = batch.step(np.array([[0, 0]]))
    assert outcome.illegal[0]
    assert outcome.rewards[0] < -1
    assert batch.state.model.served[0] == 0
    assert outcome.truncated[0]  # one request, one step


def test_an_ended_episode_ignores_what_comes():
    _, batch = begin(end=1)
    act(batch, (0, 1))
    before = batch.state_dict()["state"]
    outcome = batch.step(np.array([[0, 0]]))
    assert (outcome.truncated[0], outcome.illegal[0], outcome.rewards[0]) == (True, False, 0.0)
    for name, array in batch.state_dict()["state"].items():
        np.testing.assert_array_equal(array, before[name])


def test_going_on_serves_a_stride_of_requests_in_place():
    problem, batch = begin(mode="migration", stride=4, candidates=2)
    assert problem.max_steps == 2 * (1 + 2)
    assert act(batch, (0, 1)) == pytest.approx([-1.0])  # the mean of four
    assert batch.state.model.served[0] == 4
    assert act(batch, (0, 1)) == pytest.approx([-0.5])  # two were left of a stride of four
    assert batch.outcome.truncated[0]


def test_a_migration_is_paid_for_and_pays():
    """After 0, 1, 2, 0 page 0 has most accesses, so it is the first candidate. Up: 37 + 10 us. Then page 1 by M
    at 37 us, page 0 by H at 10 us: less by 27 of the six requests' latency, which is not worth it."""
    _, batch = begin(mode="migration", stride=4, candidates=2)
    act(batch, (0, 1))
    assert batch.state.candidates[0, 0] == 0
    assert act(batch, (1, 0), (0, 1)) == pytest.approx([-47 / 37 / 4, -47 / 37 / 4])
    assert batch.state.model.alloc.bin_of[0, 0] == 0
    assert batch.state.model.migrated[0] == 1


def test_no_more_pages_are_migrated_in_a_stride_than_there_are_candidates():
    batch = many(4, mode="joint", stride=20, candidates=3)
    rng = np.random.default_rng(0)
    while not batch.outcome.truncated.any():
        outcome = batch.step(random_legal(rng)(batch))
        assert not outcome.illegal.any()
        assert (batch.state.moves_left >= 0).all()
    for b in range(batch.n):
        batch.problem.check(batch.state, b)


@pytest.mark.parametrize("mode", ["placement", "migration", "joint"])
@pytest.mark.parametrize("loop", ["open", "closed"])
def test_limits_on_wear_and_bandwidth_are_never_passed(mode, loop):
    """`check` compares both; tight ones: 0.05 MB/s, 0.0001 of the warranted writes."""
    batch = many(2, mode=mode, loop=loop, devices="H&M&L_SSD", budget_mb_s=0.05, endurance=1e-4)
    rng = np.random.default_rng(0)
    for i in range(150):
        outcome = batch.step(random_legal(rng)(batch))
        assert not outcome.illegal.any()
        if i % 50 == 0:
            for b in range(batch.n):
                batch.problem.check(batch.state, b)
        batch.restart(np.flatnonzero(outcome.truncated).tolist())


@pytest.mark.parametrize("features", ["binned", "float"])
@pytest.mark.parametrize("devices", ["H&L", "H&M&L_SSD&L"])
def test_features_stay_within_one(features, devices):
    batch = many(2, mode="joint", features=features, devices=devices)
    rng = np.random.default_rng(0)
    for _ in range(60):
        batch.step(random_legal(rng)(batch))
        seen = batch.observe()
        assert all(np.abs(array).max() <= 1 for array in seen[:3])
        assert np.abs(batch.placement_features(np.array([0, 1]))).max() <= 1


def test_binned_sizes_and_counts_fall_into_the_papers_bins():
    """A request of 16 pages: bin 4 of 8. Its page was requested 7 times: 4 log2(8) = bin 12 of 64."""
    first = np.zeros(8, int)
    trace = Trace.of("bins", None, first, np.full(8, 16) * PAGE_BYTES, np.zeros(8, bool))
    _, batch = begin(trace, end=8)
    act(batch, *[(0, 1)] * 7)
    slot = batch.observe().slots[0, 0]
    assert slot[1] == pytest.approx(4 / 7)
    assert slot[3] == pytest.approx(12 / 63)
    assert slot[2] == pytest.approx(4 / 63)  # one request ago: 4 log2(2)


def test_a_window_begins_as_lru_left_the_devices():
    """After 0, 1, 2 page 2 is on H, and no time has passed."""
    problem = Storage.on(Window(tiny(), 3, 6, warm=3))
    batch = Batch(problem, 1)
    batch.reset()
    s = batch.state.model
    assert s.alloc.bin_of[0].tolist() == [1, 1, 0] + [1] * 7
    assert (s.clock[0], s.latency[0], s.written[0].sum()) == (0, 0, 0)
    assert s.accesses[0].tolist() == [1, 1, 1] + [0] * 7


def test_rows_of_several_traces_do_not_mix():
    small, large = tiny(), tiny(pages=20)
    windows = (Window(small, 0, 6), Window(large, 0, 6), Window(large, 1, 6), Window(small, 2, 6))
    batch = Batch(Storage(source=Given(windows)), 4)
    batch.load(windows)
    for _ in range(3):
        batch.step(np.zeros((4, 2), np.int32))
        for b, window in enumerate(windows):
            batch.problem.check(batch.state, b)
            alone = Batch(Storage.on(window), 1)
            alone.load([window])
            for _ in range(int(batch.state.model.served[b])):
                alone.step(np.zeros((1, 2), np.int32))
            assert batch.state.model.latency[b] == alone.state.model.latency[0]


def test_a_window_of_another_trace_is_refused():
    batch = Batch(Storage.on(Window(tiny(), 0, 6)), 1)
    with pytest.raises(ValueError, match="holding"):
        batch.load([Window(tiny(), 0, 6)])


def test_training_windows_and_judging_windows_are_of_different_halves():
    problem = Storage(episode=100)
    trace = problem.windows.traces[0]
    drawn = [problem.draw(np.random.default_rng(i)) for i in range(50)]
    assert max(window.end for window in drawn) <= len(trace) // 2
    assert min(window.begin for window in second_half_windows(trace, 5, 100, 100)) >= len(trace) // 2


def test_the_default_instances_need_no_data_and_do_not_overlap():
    found = list(Storage(episode=300).instance_set("default"))
    assert len(found) == 20
    assert len({label for label, _ in found}) == 20
    assert all(len(window) == 300 for _, window in found)
    with pytest.raises(ValueError, match="instance set"):
        list(Storage().instance_set("nonsense"))


@pytest.mark.parametrize("mode", ["placement", "joint"])
@pytest.mark.parametrize("rule", RULES)
def test_every_rule_plays_a_window_to_its_end_legally(mode, rule):
    problem = Storage(mode=mode, episode=60)
    window = problem.draw(np.random.default_rng(0))
    played = replay(problem, window, play(problem, window, RULES[rule], np.random.default_rng(0)))
    assert not played.illegal.any()
    assert len(played.rewards) >= 60


def test_a_plan_is_the_best_of_the_rules():
    problem = Storage(episode=60)
    window = problem.draw(np.random.default_rng(0))
    found = allocenv.plan(problem, window, seconds=20, workers=1)
    ends = [
        replay(problem, window, play(problem, window, rule, np.random.default_rng(0))).costs[-1]
        for name, rule in RULES.items()
        if name in ("in_place", "lru")
    ]
    assert found.solution.objective <= min(ends) + 1e-9


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"mode": "both"}, "mode among"),
        ({"stride": 0}, "stride from 1"),
        ({"devices": "H"}, "2 to 8 devices"),
        ({"reward": "speed"}, "reward among"),
        ({"accounting": "none"}, "accounting among"),
    ],
)
def test_bad_parameters_are_named(params, message):
    with pytest.raises(ValueError, match=message):
        Storage(**params)


def test_an_open_loop_needs_a_clock():
    with pytest.raises(ValueError, match="no clock"):
        begin(loop="open")
