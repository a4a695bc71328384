"""Who leaves: runs beside their slow twin, what a place costs, and who pays for it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocenv.core.bits import seeded
from allocenv.problems.storage.dynamics import begin, empty_state, serve
from allocenv.problems.storage.foresight.choice import foresee
from allocenv.problems.storage.foresight.costs import place_us
from allocenv.problems.storage.foresight.history import empty_history
from allocenv.problems.storage.foresight.leaving import (
    LONGEST,
    call_anew,
    cheapest_run,
    look_at_price,
    new_price,
    nobody_called,
    remember_price,
)
from allocenv.problems.storage.foresight.prediction import new_predictor
from allocenv.problems.storage.rules import System
from allocenv.problems.storage.trace import Trace

ONE, FURTHER = 10.0 + 37.0, 1.7 + 8.0  # microseconds: a page from H to M, and each neighbour that goes with it


def holding(pages, held, values, accounting="charged"):
    """Trace and rules of reads of single pages, a state with some of them on H, and a predictor that knows values."""
    order = [k for k in range(len(pages)) if held[k]] + [k for k in range(len(pages)) if not held[k]]
    address = np.array(pages)
    trace = Trace.of("pages", None, address[order] * 4096, np.full(len(pages), 4096), np.zeros(len(pages), bool))
    system = System.named("H&M", shares=(max(sum(held), 1) / len(pages),), accounting=accounting)
    rules, s = system.rules(trace), empty_state(1, trace.n_pages, 2)
    begin(rules, s, 0, 0)
    for _ in range(sum(held)):
        serve(trace.requests, rules, s, 0, 0)
    p = new_predictor(trace.n_pages, sum(held), 1.0, 2.0, np.random.default_rng(0))
    p.value[:], p.valued_at[:] = values, 0
    return trace, rules, s, p, empty_history(trace.n_pages, sum(held))


def slow_run(pages, held, values, seed, moves=True):
    """The pages that leave with page number `seed`, by the words of `leaving.py`."""
    one, further = (ONE, FURTHER) if moves else (0.0, 0.0)
    run, total = [seed], one + values[seed]
    while len(run) < LONGEST:
        beside = [k for k in (run[0] - 1, run[-1] + 1) if 0 <= k < len(pages) and held[k]]
        beside = [k for k in beside if min(abs(pages[k] - pages[other]) for other in run) == 1]
        if not beside:
            break
        chosen = min(beside, key=lambda k: max(values[k], 0.0))
        more = further + max(values[chosen], 0.0)
        if (total + more) / (len(run) + 1) >= total / len(run):
            break
        run, total = sorted([*run, chosen]), total + more
    lost = values[seed] + sum(max(values[k], 0.0) for k in run if k != seed)
    return run, lost, (one + further * (len(run) - 1) + lost) / len(run)


@settings(deadline=None)
@given(st.data())
@pytest.mark.parametrize("accounting", ["charged", "free"])
def test_the_run_that_leaves_is_the_cheapest_of_its_slow_twin(accounting, data):
    n = data.draw(st.integers(2, 45))
    pages = np.cumsum([1] + data.draw(st.lists(st.sampled_from([1, 1, 1, 1, 5]), min_size=n - 1, max_size=n - 1)))
    held = data.draw(st.lists(st.booleans(), min_size=n, max_size=n))
    values = [float(v) for v in data.draw(st.lists(st.integers(-20, 60), min_size=n, max_size=n))]
    if not any(held):
        return
    trace, rules, s, p, history = holding(pages.tolist(), held, values, accounting)
    asked = data.draw(st.integers(0, n - 1))  # the request's own page never leaves
    caution = 1.0 if accounting == "charged" else 0.0
    called, random = nobody_called(n), seeded(data.draw(st.integers(0, 99)))
    call_anew(called, asked, 1)
    front, back, lost = cheapest_run(trace.requests, rules, s, 0, caution, 0, p, history, 0, called, random)
    may = [k and i != asked for i, k in enumerate(held)]
    runs = [slow_run(pages, may, values, k, accounting == "charged") for k in range(n) if may[k]]
    if front == back:
        assert not runs
        return
    found = list(range(front, back))
    assert any(found == run and lost == pytest.approx(max(value, 0.0)) for run, value, _ in runs)
    if len(runs) <= 3:  # so few are all drawn
        of_found = min(each for run, _, each in runs if run == found)
        assert of_found == pytest.approx(min(each for _, _, each in runs))


def comes(value):
    """Whether a page that will save so much replaces one of four neighbours worth nothing; and who else leaves."""
    trace, rules, s, p, history = holding([0, 1, 2, 3, 9], [True] * 4 + [False], [0.0] * 4 + [value])
    called, room = nobody_called(trace.n_pages), np.zeros(1, np.int64)
    found = foresee(trace.requests, rules, s, 0, 1.0, 0, p, history, 0, new_price(rules), called, room, seeded(0))
    if found:
        serve(trace.requests, rules, s, 0, 0, room[0])
    return found, s.alloc.bin_of[0].tolist()


def test_neighbours_leave_together_and_a_request_pays_for_the_place_it_needs():
    a_place = (ONE + 3 * FURTHER) / 4
    assert comes(10.0 + a_place - 0.1) == (False, [0, 0, 0, 0, 1])
    assert comes(10.0 + a_place + 0.1) == (True, [1, 1, 1, 1, 0])


def test_runs_that_leave_for_one_request_are_different_ones():
    """A request for two pages finds four scattered ones: the two that are worth least leave, each once."""
    offset, size = np.array([0, 2, 4, 6, 8]) * 4096, np.array([1, 1, 1, 1, 2]) * 4096
    trace = Trace.of("scattered", None, offset, size, np.zeros(5, bool))
    rules, s = System.named("H&M", shares=(4 / 6,)).rules(trace), empty_state(1, trace.n_pages, 2)
    begin(rules, s, 0, 0)
    for _ in range(4):
        serve(trace.requests, rules, s, 0, 0)
    p = new_predictor(trace.n_pages, 4, 1.0, 2.0, np.random.default_rng(0))
    p.value[:], p.valued_at[:] = [9.0, 1.0, 0.0, 9.0, 99.0, 99.0], 0
    history, called, room = empty_history(trace.n_pages, 4), nobody_called(trace.n_pages), np.zeros(1, np.int64)
    assert foresee(trace.requests, rules, s, 0, 1.0, 0, p, history, 0, new_price(rules), called, room, seeded(0))
    assert room[0] == 0
    serve(trace.requests, rules, s, 0, 0, room[0])
    assert s.alloc.bin_of[0].tolist() == [0, 1, 1, 0, 0, 0]


def test_a_price_is_what_places_cost_lately():
    _, rules, *_ = holding([0, 1], [True, False], [0.0, 0.0])
    price = new_price(rules)
    assert price.tolist() == [[ONE, 0.0]]
    for _ in range(500):
        remember_price(rules, price, 0, 4, 12.0)
    np.testing.assert_allclose(price, [[(ONE + 3 * FURTHER) / 4, 3.0]], rtol=1e-3)
    assert place_us(rules, price, 0, 1) == price[0, 0]
    assert place_us(rules, price, 0, 8) == pytest.approx((ONE + 7 * FURTHER) / 8)  # many at once cost no more


def test_who_finds_a_free_place_looks_now_and_then_at_what_places_cost():
    """Else a price that was once too high would never be corrected: nobody would come, and nobody leave."""
    trace, rules, s, p, history = holding([0, 1, 2, 3, 9], [True] * 4 + [False], [2.0] * 5)
    price, called, random = new_price(rules), nobody_called(5), seeded(0)
    call_anew(called, 4, 1)
    price[0] = 1000.0
    for _ in range(5_000):
        look_at_price(trace.requests, rules, s, 0, 1.0, 0, p, history, 0, called, price, random)
    np.testing.assert_allclose(price, [[(ONE + 3 * FURTHER) / 4, 2.0]], rtol=1e-2)
