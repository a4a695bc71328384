"""Foresight: labels by hand, admission and eviction on small cases, safety, and the same seed."""

from math import exp

import numpy as np
import pytest

from allocenv.core import resource_state
from allocenv.core.bits import seeded
from allocenv.problems.storage.dynamics import begin, empty_state, serve
from allocenv.problems.storage.foresight import prediction
from allocenv.problems.storage.foresight.agent import Foresight
from allocenv.problems.storage.foresight.choice import FORESEE, RULES, SELECT, Rule, foresee
from allocenv.problems.storage.foresight.history import FEATURES, describe, empty_history, record
from allocenv.problems.storage.foresight.leaving import fills_soon, new_price, nobody_called
from allocenv.problems.storage.foresight.replay import asset_us
from allocenv.problems.storage.policies import POLICIES
from allocenv.problems.storage.rules import System
from allocenv.problems.storage.simulation import Simulation, second_half
from allocenv.problems.storage.trace import Trace

H_AND_M, H_AND_M_FREE = (System.named("H&M", shares=(0.25,), accounting=pays) for pays in ("charged", "free"))


def reads(pages, length=1):
    """A read of `length` pages at each of these pages."""
    pages = np.array(pages)
    return Trace.of("reads", None, pages * 4096, np.full(len(pages), length * 4096), np.zeros(len(pages), bool))


def skewed(n, pages=400, hot=40, seed=0):
    """Nine in ten reads go to `hot` scattered pages, the others to any page once in a while."""
    rng = np.random.default_rng(seed)
    favourites = rng.permutation(pages)[:hot]
    return reads(np.where(rng.random(n) < 0.9, favourites[rng.integers(hot, size=n)], rng.integers(pages, size=n)))


def predictor(pages, capacity=10, unit=2.0, worth=0.0):
    """One to whom every page is worth so many units."""
    p = prediction.new_predictor(pages, capacity, unit, 2.0, np.random.default_rng(0))
    p.acting[:] = 0.0
    p.acting[-1] = worth
    return p


def label(p, sampled, accesses, view=1, cost=0.0):
    """What page 0 was found to be worth at time `sampled`; requests of one page each save 6 us."""
    history = empty_history(2, 2)
    for page in accesses:
        record(history, page, 1, False, False)
        prediction.label_request(p, history, page, 1, 6.0, cost)
        if history.clock[0] == sampled:
            prediction.put_sample(p, history, 0, view)
        known = p.known[0]
        prediction.label_samples(p, history)
        if p.known[0] > known:
            assert history.clock[0] == sampled + 15  # 1.5 capacities
            return p.labels[known % len(p.labels)]
    raise AssertionError("no label")


EVERY_THIRD = [0, 1, 1] * 20  # page 0 at times 1, 4, 7, ...


@pytest.mark.parametrize("view", [0, 1])
def test_a_label_is_what_the_next_access_saves_less_the_rent_until_then(view):
    by_access = prediction.VIEWS[view][0] * 2.0 / 10  # unit over capacity
    assert label(predictor(2), 7, EVERY_THIRD, view) == pytest.approx((6.0 - 3 * by_access) / 2.0)


def test_who_is_not_accessed_pays_rent_only():
    assert label(predictor(2), 1, [0] + [1] * 20) == pytest.approx(-15 * 0.2 / 10)


@pytest.mark.parametrize(("cost", "left"), [(10.0, 1.5), (0.5, 1.0), (-3.0, -1.5)])
def test_what_comes_after_the_next_access_is_predicted_and_worth_no_more_than_coming_then(cost, left):
    """1.5 units are predicted; four times the cost bounds them, or the gain of coming where writes are redirected."""
    p = predictor(2, worth=1.5)
    p.known[0] = prediction.READY
    assert label(p, 7, EVERY_THIRD, cost=cost) == pytest.approx((6.0 - 3 * 0.04) / 2.0 + left)


def test_a_view_has_its_own_bound():
    p = predictor(2, worth=9.0)
    p.known[0] = prediction.READY
    found = [label(p, 7, EVERY_THIRD, view, cost=2.0) for view in (1, 2)]  # four times the cost and once
    assert found[0] - found[1] == pytest.approx((4 - 1) * 2.0 / 2.0)


@pytest.mark.parametrize(("worth", "left"), [(1.5, 1.5), (-1.5, 0.0)])
def test_who_is_not_accessed_is_worth_what_it_is_later_or_leaves(worth, left):
    p = predictor(2, worth=worth)
    p.known[0] = prediction.READY
    assert label(p, 1, [0] + [1] * 20) == pytest.approx(left - 15 * 0.2 / 10)


def test_every_sample_of_a_page_gets_its_label():
    history, p = empty_history(2, 2), predictor(2)
    for t in range(200):  # page 0 at times 1, 51, 101, ...; samples of it at all times
        page = 0 if t % 50 == 0 else 1
        record(history, page, 1, False, False)
        prediction.label_request(p, history, page, 1, 6.0, 0.0)
        prediction.put_sample(p, history, 0, 1)
        prediction.label_samples(p, history)
    found = p.labels[: p.known[0]]
    wait = 50 - np.arange(len(found)) % 50  # from each sample to the next access
    np.testing.assert_allclose(found, np.where(wait <= 15, 3.0 - 0.02 * wait, -0.02 * 15))
    assert len(found) == 185


def test_features_are_about_one():
    history, out = empty_history(1000, 100), np.zeros(len(FEATURES))
    rng = np.random.default_rng(0)
    for _ in range(3000):
        record(history, int(rng.integers(990)), 8, True, True)
    for page in range(1000):
        describe(history, page, np.log((0.05, 2.0)) / 4, out)
        assert np.isfinite(out).all()
        assert np.abs(out).max() < 3


def placed(value, system=H_AND_M, pages=8, fast=()):
    """A request for page 7, others on the fast device, and whether foreseeing brings it there."""
    trace = reads([*fast, 7, *range(pages)])
    rules, s = system.rules(trace), empty_state(1, trace.n_pages, 2)
    begin(rules, s, 0, 0)
    for _ in fast:
        serve(trace.requests, rules, s, 0, 0)
    history = empty_history(trace.n_pages, 2)
    p = predictor(trace.n_pages, unit=1.0, worth=1.0)  # every page on the device is worth 1 us
    p.value[:, 7], p.valued_at[:, 7] = value, 0
    called, room = nobody_called(trace.n_pages), np.zeros(1, np.int64)
    found = foresee(trace.requests, rules, s, 0, 1.0, 0, p, history, 0, new_price(rules), called, room, seeded(0))
    return found, room[0]


def test_regions_tell_whether_their_pages_come_again():
    history, seen = empty_history(600, 1000), np.zeros(len(FEATURES))
    again = slice(len(FEATURES) - 5, len(FEATURES) - 2)
    for page in (0, 1, 0, 100, 300, 300, 300):
        record(history, page, 1, False, False)
    describe(history, 2, np.zeros(2), seen)
    everywhere = 3 / 7  # of seven accesses those that were not a page's first
    of_256 = (1 + 0.5 * everywhere) / (4 + 0.5)
    of_16 = (1 + 0.5 * of_256) / (3 + 0.5)
    assert seen[again] == pytest.approx([of_16, of_256, everywhere], rel=0.02)  # spans of 100 forget a little


def test_who_comes_after_six_capacities_does_not_come_again():
    history = empty_history(64, 2)
    for page in (0, *range(16, 29), 0):
        record(history, page, 1, False, False)
    assert history.near_again[0] == 0.0


def test_a_page_comes_only_if_it_saves_more_than_its_moves():
    # to H: a write of 10 us now, and one day a read of 10 and a write of 37: 57 us in all
    assert not placed(56.9)[0]
    assert placed(57.1)[0]


def test_where_the_device_is_full_it_must_also_save_more_than_who_leaves():
    # two of two pages held: moving one down costs the same 47 us, and it would have saved 1 us
    assert not placed(57.9, fast=(2, 5))[0]
    assert placed(58.1, fast=(2, 5)) == (True, 0)


@pytest.mark.parametrize(("value", "comes"), [(36.8, True), (36.6, False)])
def test_the_last_page_of_an_extent_saves_what_the_others_could_not(value, comes):
    """A request waits for its slowest page: what one of its two pages saves alone is 44.3 - 37 of 32.6 us."""
    trace = Trace.of("pair", None, np.array([0, 0]) * 4096, np.array([1, 2]) * 4096, np.zeros(2, bool))
    rules, s = System.named("H&M", shares=(1.0,)).rules(trace), empty_state(1, trace.n_pages, 2)
    begin(rules, s, 0, 0)
    serve(trace.requests, rules, s, 0, 0)  # page 0 is there
    slow, fast = rules.timing.first[0, 1], rules.timing.first[0, 0] + rules.timing.further[0, 0]
    whole = slow + rules.timing.further[0, 1] - fast
    p = predictor(trace.n_pages)
    p.value[:], p.valued_at[:] = value, 0
    assert (2 * value * (slow - fast) / whole > 57) == comes
    history, called, room = empty_history(2, 2), nobody_called(2), np.zeros(1, np.int64)
    found = foresee(trace.requests, rules, s, 0, 1.0, 0, p, history, 0, new_price(rules), called, room, seeded(0))
    assert found == comes


def test_room_that_will_long_be_free_costs_less():
    # one of two pages held at time 10: at that rate full at time 20; a horizon of 10 counts 47 us by 1/e then
    trace = reads([5, 7, *range(8)])
    rules, s = H_AND_M.rules(trace), empty_state(1, trace.n_pages, 2)
    begin(rules, s, 0, 0)
    serve(trace.requests, rules, s, 0, 0)
    assert fills_soon(rules, s, 0, 0, 10.0, 10) == pytest.approx(exp(-1))
    serve(trace.requests, rules, s, 0, 0)
    assert fills_soon(rules, s, 0, 0, 10.0, 20) == 1.0


@pytest.mark.parametrize("system", ["H&M", "H&M&L_SSD"])
def test_assets_are_what_is_held_and_the_evictions_that_free_room_saves(system):
    trace = reads([5, 7, 1, *range(8)])
    rules, s = System.named(system, shares=(0.5, 0.4)[: system.count("&")]).rules(trace), empty_state(1, 8, 3)
    begin(rules, s, 0, 0)
    history, p = empty_history(8, 4), predictor(8)
    for page, device in ((5, 0), (7, 0), (1, len(rules.capacity) - 2)):
        serve(trace.requests, rules, s, 0, device)
        record(history, page, 1, False, False)
    p.value[-1], p.valued_at[-1] = [0, 3, 0, 0, 0, 20, 0, -9], 3  # a page that is worth less than nothing may leave
    us = rules.timing.first[0]
    expected = 0.0
    for device in range(len(us) - 1):
        held = [page for page in range(8) if s.alloc.bin_of[0, page] == device]
        worth = sum(max(p.value[-1, page], 0.0) for page in held) * (us[-1] - us[device]) / (us[-1] - us[0])
        free = rules.capacity[device] - len(held)
        due = exp(-free * 3 / max(len(held), 1) / p.horizon)
        expected += worth + free * due * (us[device] + rules.timing.first[1, device + 1])
    assert asset_us(rules, s, 0, p, history, new_price(rules), 1.0) == pytest.approx(expected)


def test_an_extent_leaves_as_a_whole():
    trace = reads([0, 6], length=2)
    rules, s = System.named("H&M", shares=(0.5,)).rules(trace), empty_state(1, trace.n_pages, 2)
    begin(rules, s, 0, 0)
    serve(trace.requests, rules, s, 0, 0)  # pages 0 and 1 fill the device
    history = empty_history(trace.n_pages, 2)
    p = predictor(trace.n_pages)
    p.value[:, 2:], p.valued_at[:, 2:] = 99.0, 0
    called, room = nobody_called(trace.n_pages), np.zeros(1, np.int64)
    assert foresee(trace.requests, rules, s, 0, 1.0, 0, p, history, 0, new_price(rules), called, room, seeded(0))
    serve(trace.requests, rules, s, 0, 0, room[0])
    assert s.alloc.bin_of[0].tolist() == [1, 1, 0, 0]


def test_it_learns_which_pages_pay():
    """Forty scattered pages take nine of ten reads: it beats random admission and comes near the clairvoyant."""
    trace, system = skewed(30_000), System.named("H&L_SSD")
    found = {
        name: second_half(trace, system, POLICIES[name].make(trace, system, 0)).normalised
        for name in ("foresight", "lru_p05", "slow_only", "oracle_cost_aware")
    }
    assert found["foresight"] < 0.95 * found["lru_p05"] < found["slow_only"]
    assert found["foresight"] < 1.15 * found["oracle_cost_aware"]


def test_it_does_no_harm_where_nothing_is_used_again():
    """Every page is read once: staying is best, and what is tried costs at most two percent."""
    trace, system = reads(np.random.default_rng(0).permutation(20_000)), System.named("H&M")
    run = second_half(trace, system, POLICIES["foresight"].make(trace, system, 0))
    assert run.normalised <= 1.02 * 3.7  # 37 us instead of 10


def test_the_same_seed_gives_the_same_run_and_chunks_do_not_matter():
    trace = skewed(8_000)
    runs = []
    for sizes in ([8_000], [3_000, 5_000]):
        run = Simulation(trace, H_AND_M, 1)
        agent = Foresight(trace, H_AND_M, 1)
        for n in sizes:
            run.run(agent, n)
        resource_state.check(run.state.alloc, 0)
        runs.append(run.latency)
    np.testing.assert_array_equal(*runs)


def test_it_reads_no_request_before_it_is_served():
    """Whatever comes later, what was served before is the same."""
    one, other = skewed(6_000, seed=1), skewed(6_000, seed=1)
    other.requests.first[4_000:] = other.requests.first[4_000:][::-1].copy()
    latencies = []
    for trace in (one, other):
        run = Simulation(trace, H_AND_M, 0)
        run.run(Foresight(trace, H_AND_M, 0), 4_000)
        latencies.append(run.latency[:4_000])
    np.testing.assert_array_equal(*latencies)


@pytest.mark.parametrize("learnt", ["foresight", "foresight_online"])
def test_where_moves_are_free_it_is_lru_until_it_has_learnt(learnt):
    """Pages are read three times in a row, then never again; nine hundred requests are too few to learn that."""
    trace = reads(np.repeat(np.arange(300), 3))
    lru, ours = (
        second_half(trace, H_AND_M_FREE, POLICIES[name].make(trace, H_AND_M_FREE, 0)).mean for name in ("lru", learnt)
    )
    assert ours == lru == (37 + 10 + 10) / 3


@pytest.mark.parametrize(("used_again", "best"), [(True, 0), (False, 1)])
def test_it_begins_with_the_rule_that_did_best_before(used_again, best):
    everything, nothing = Rule(SELECT, 0.0, 0, 1.0), Rule(SELECT, 0.0, 0, 0.0)
    trace = skewed(8_000, pages=4_000) if used_again else reads(np.random.default_rng(0).permutation(8_000))
    agent = Foresight.taught(trace, System.named("H&L_SSD"), 0, rules=(everything, nothing))
    assert agent.mind.following[0] == best
    assert agent.mind.served[0] == 0


@pytest.mark.parametrize(
    ("pages", "every", "memory"), [(1_000, 250, 2_000), (200_000, 1_250, 10_000), (4_000_000, 2_000, 10_000)]
)
def test_large_devices_are_appraised_less_often(pages, every, memory):
    trace = Trace.of("one", None, np.zeros(1), np.array([pages * 4096]), np.zeros(1, bool))
    mind = Foresight(trace, System.named("H&M"), rules=RULES[:2]).mind
    assert (mind.every, mind.memory) == (every, memory)


def test_rules_may_be_chosen():
    trace = skewed(4_000)
    agent = Foresight(trace, H_AND_M, 0, rules=(RULES[0], Rule(FORESEE, 1.0, 0, 0.0)))
    run = Simulation(trace, H_AND_M, 0)
    run.run(agent)
    assert run.summary().requests == 4_000
