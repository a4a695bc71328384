"""Coalition routing: readers, schedules, greedy, search, bound and decisions."""

import json

import numpy as np
import pytest
import routing_reference
from hypothesis import given, settings
from hypothesis import strategies as st
from real_data import real_data

from allocenv.core.files import InputError
from allocenv.problems.task.routing.construct import (
    FEATURES,
    begin,
    greedy_weights,
    rollout,
    score_features,
    step,
)
from allocenv.problems.task.routing.formats import read_dcmrta, read_heteromrta
from allocenv.problems.task.routing.generator import generate_dcmrta, generate_heteromrta
from allocenv.problems.task.routing.greedy import EARLIEST_START, SETTINGS, greedy
from allocenv.problems.task.routing.instance import Routing, RoutingError
from allocenv.problems.task.routing.lower_bound import lower_bound
from allocenv.problems.task.routing.schedule import (
    EARLIEST,
    LATEST,
    NEAREST,
    RULES,
    choose,
    fleet_of,
    layout_of,
    serve,
    time_routes,
)
from allocenv.problems.task.routing.search import search
from allocenv.problems.task.routing.solvers import plan_routing

SEEDS = st.integers(0, 2**32)


def line(n_robots=2, **fields):
    """Robots at 0, tasks at 1 and 2 on a line, velocity 1, durations 3 and 1; the second needs two robots."""
    whole = {
        "start_xy": [[0, 0]] * n_robots,
        "ability": [[1]] * n_robots,
        "task_xy": [[1, 0], [2, 0]],
        "need": [[1], [2]],
        "duration": [3, 1],
        "velocity": 1.0,
    }
    return Routing(**{**whole, **fields})


def drawn(seed):
    """A random problem: of either benchmark's kind, or with robots of several skills and any need."""
    rng = np.random.default_rng(seed)
    kind = seed % 3
    if kind == 0:
        return generate_dcmrta(rng, n_robots=5, n_tasks=8, most_needed=4)
    if kind == 1:
        return generate_heteromrta(rng, n_species=3, robots_each=2, n_tasks=7)
    ability = rng.integers(0, 3, (5, 3))
    need = np.minimum(rng.integers(0, 5, (7, 3)), ability.sum(0))
    return Routing(rng.random((5, 2)), ability, rng.random((7, 2)), need, rng.random(7))


def test_a_team_starts_when_its_last_member_is_there():
    # Robot 0 works on task 0 from 1 to 4 and reaches task 1 at 5; robot 1 waits there since 2. Home: 6 + 2 = 8.
    timing = serve(line(), [0, 1])
    assert timing.start.tolist() == [1, 5]
    assert timing.makespan == 8
    assert timing.longest_wait == 3
    assert timing.routes == [[0, 1], [1]]


def test_the_order_decides():
    # Task 1 first: both there at 2, done at 3; task 0 from 4 to 7; home at 8.
    timing = serve(line(), [1, 0])
    assert timing.start.tolist() == [4, 2]
    assert timing.makespan == 8


def test_the_rule_decides_who_of_the_robots_there_in_time_joins():
    # Skills: robots 0 and 1 have the first, 1 and 3 away from the task; robot 2 the second, 5 away: start at 5.
    problem = Routing([[1, 0], [3, 0], [5, 0]], [[1, 0], [1, 0], [0, 1]], [[0, 0]], [[1, 1]], [2], velocity=1.0)
    teams = {rule: serve(problem, [0], rule).routes for rule in (EARLIEST, LATEST, NEAREST)}
    assert teams == {EARLIEST: [[0], [], [0]], LATEST: [[], [0], [0]], NEAREST: [[0], [], [0]]}
    assert serve(problem, [0], LATEST).longest_wait == 2  # 5 - 3
    assert serve(problem, [0], EARLIEST).makespan == 12


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_serving_gives_routes_that_an_event_simulation_times_the_same(seed):
    problem, rng = drawn(seed), np.random.default_rng(seed)
    timing = serve(problem, rng.permutation(problem.n_tasks), rng.integers(0, RULES, problem.n_tasks))
    start, makespan = routing_reference.run(problem, timing.routes)
    assert [start[task] for task in range(problem.n_tasks)] == pytest.approx(timing.start.tolist())
    assert makespan == pytest.approx(timing.makespan)
    assert time_routes(problem, timing.routes).makespan == pytest.approx(timing.makespan)
    assert lower_bound(problem) <= timing.makespan + 1e-9


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_teams_cover_their_task_and_have_no_idler(seed):
    problem, rng = drawn(seed), np.random.default_rng(seed)
    timing = serve(problem, rng.permutation(problem.n_tasks), rng.integers(0, RULES, problem.n_tasks))
    for task, team in enumerate(timing.team):
        assert (problem.ability[team].sum(0) >= problem.need[task]).all()
        for r in np.flatnonzero(team):
            rest = team.copy()
            rest[r] = False
            assert (problem.ability[rest].sum(0) < problem.need[task]).any()


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_any_routes_are_timed_as_by_the_event_simulation(seed):
    problem, rng = drawn(seed), np.random.default_rng(seed)
    routes = [
        rng.permutation(problem.n_tasks)[: rng.integers(0, problem.n_tasks + 1)].tolist()
        for _ in range(problem.n_robots)
    ]
    timing = time_routes(problem, routes)
    start, makespan = routing_reference.run(problem, routes)
    expected = [start.get(task, np.inf) for task in range(problem.n_tasks)]
    assert timing.start.tolist() == pytest.approx(expected)
    assert timing.makespan == pytest.approx(np.inf if makespan is None else makespan)


def test_robots_that_wait_for_each_other_never_finish():
    problem = line(need=[[2], [2]])
    timing = time_routes(problem, [[0, 1], [1, 0]])
    assert timing.makespan == np.inf
    assert np.isinf(timing.start).all()


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"need": [[-1], [2]]}, "need of whole numbers >= 0, got -1"),
        ({"task_xy": [[np.nan, 0], [2, 0]]}, "finite task_xy, got nan"),
        ({"need": [[1, 1], [2, 1]]}, r"need of shape \(2, 1\)"),
        ({"duration": [1]}, "duration of shape"),
        ({"duration": [1, -1]}, "duration >= 0"),
        ({"velocity": 0.0}, "velocity > 0"),
        ({"task_xy": [[1, 0], [2]]}, "equal length"),
    ],
)
def test_what_is_no_problem_is_refused(fields, told):
    with pytest.raises(RoutingError, match=told):
        line(**fields)


def test_tasks_nobody_can_cover_are_named():
    problem = line(need=[[1], [3]])
    assert lower_bound(problem) == np.inf
    for solve in (
        serve,
        lambda p, _: greedy(p),
        lambda p, _: search(p, 1.0, 0),
        lambda p, _: plan_routing(p),
    ):
        with pytest.raises(ValueError, match=r"tasks \[1\] cannot be"):
            solve(problem, [0, 1])


@pytest.mark.parametrize("order", [[0], [0, 0], [0, 2]])
def test_what_is_no_order_of_the_tasks_is_refused(order):
    with pytest.raises(ValueError, match="each of 2 tasks once"):
        serve(line(), order)


def test_routes_to_unknown_tasks_are_refused():
    with pytest.raises(ValueError, match="Expected tasks"):
        time_routes(line(), [[0, 5], []])


RECORD = {
    "id": 3, "n_agents": 2, "n_tasks": 2, "depot": [0, 0], "task_xy": [[1, 0], [2, 0]], "task_req": [1, 2],
    "task_time": [3, 1], "velocity": 1.0, "makespan": {"MIP": 8.0},
}  # fmt: skip


def test_a_record_is_read(tmp_path):
    path = tmp_path / "d.json"
    path.write_text(json.dumps([RECORD]))
    (problem,) = read_dcmrta(path)
    assert serve(problem, [0, 1]).makespan == problem.reference["MIP"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"task_req": [1, -2]}, "record 0: found .*need of whole numbers >= 0"),
        ({"task_req": [1]}, "task_req of 2 tasks, got 1"),
        ({"task_xy": [[1, 0]]}, "need of shape|task_xy of shape"),
        ({"n_agents": 0}, "n_agents >= 1"),
        ({"velocity": "fast"}, "record 0"),
        ({"depot": None}, "record 0"),
    ],
)
def test_a_broken_record_is_refused_by_file_and_record(tmp_path, change, told):
    path = tmp_path / "d.json"
    path.write_text(json.dumps([{**RECORD, **change}]))
    with pytest.raises(InputError, match=told):
        read_dcmrta(path)


def test_what_is_not_json_is_refused_by_line(tmp_path):
    path = tmp_path / "d.json"
    path.write_text("[\n{,}]")
    with pytest.raises(InputError, match="line 2"):
        read_heteromrta(path)
    path.write_text('[{"id": 1}]')
    with pytest.raises(InputError, match="Expected the field robot_xy"):
        read_heteromrta(path)


def test_generated_problems_look_like_the_benchmarks():
    d, h = generate_dcmrta(np.random.default_rng(0)), generate_heteromrta(np.random.default_rng(0))
    assert (d.n_robots, d.n_tasks, set(d.need.ravel())) == (20, 50, {1, 2, 3, 4, 5})
    assert (h.n_robots, h.n_tasks, h.need.max()) == (15, 20, 1)
    assert (h.need.sum(1) > 0).all()
    assert (generate_dcmrta(np.random.default_rng(0)).task_xy == d.task_xy).all()


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_search_is_no_worse_than_greedy_and_the_same_for_the_same_seed(seed):
    problem = drawn(seed)
    one, two = (search(problem, 60.0, 3, tries=300) for _ in range(2))
    assert (one.order == two.order).all()
    assert (one.rules == two.rules).all()
    assert one.makespan <= greedy(problem).makespan
    assert one.timing(problem).makespan == pytest.approx(one.makespan)


def test_greedy_with_all_settings_is_no_worse_than_with_one():
    problem = generate_dcmrta(np.random.default_rng(2))
    assert greedy(problem).makespan <= min(greedy(problem, (w,)).makespan for w in SETTINGS)
    first = greedy(problem, (EARLIEST_START,))
    assert serve(problem, first.order, first.rules).makespan == pytest.approx(first.makespan)


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_random_decisions_end_in_the_schedule_they_describe(seed):
    problem, rng = drawn(seed), np.random.default_rng(seed)
    layout = layout_of(problem)
    state = begin(layout, 2, 0)
    for left in range(problem.n_tasks, 0, -1):
        actions = []
        for b in range(2):
            pairs, features = score_features(layout, state, b)
            assert len(pairs) == left * RULES
            assert features.shape == (left * RULES, FEATURES)
            assert np.isfinite(features).all()
            assert features[:, 0].min() == 0
            actions.append(pairs[rng.integers(len(pairs))])
        step(layout, state, np.array(actions))
    for b in range(2):
        timing = serve(problem, state.order[b], state.rules[b])
        assert timing.makespan == pytest.approx(state.makespan[b])


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_features_are_those_of_the_slow_twin(seed):
    problem, rng = drawn(seed), np.random.default_rng(seed)
    layout = layout_of(problem)
    state, fleet = begin(layout, 1, 0), fleet_of(layout)
    for _ in range(rng.integers(problem.n_tasks)):
        pairs, _ = score_features(layout, state)
        step(layout, state, pairs[[rng.integers(len(pairs))]])
    pairs, features = score_features(layout, state)
    fleet.ready[:], fleet.place[:] = state.ready[0], state.place[0]
    teams = {}
    for task, rule in pairs.tolist():
        start = choose(layout, fleet, task, rule)
        teams[task, rule] = np.flatnonzero(fleet.member).tolist(), start
    place = [int(at) if at < problem.n_tasks else None for at in fleet.place]
    left = np.flatnonzero(~state.done[0]).tolist()
    expected = routing_reference.Candidates(problem, fleet.ready, place, left).features(teams)
    for pair, row in zip(pairs.tolist(), features, strict=True):
        assert row == pytest.approx(expected[tuple(pair)], abs=1e-9), pair


def test_a_task_is_served_once():
    layout = layout_of(line())
    state = begin(layout, 1, 0)
    step(layout, state, [[0, 0]])
    for action in ([0, 0], [1, RULES], [2, 0]):
        with pytest.raises(ValueError, match="Expected an open task"):
            step(layout, state, [action])


def test_the_untrained_scorer_is_the_greedy_it_imitates():
    problem = generate_heteromrta(np.random.default_rng(1))
    weights = greedy_weights()
    once = rollout(problem, weights, repaired=0)
    assert once.makespan == pytest.approx(greedy(problem, (SETTINGS[1],)).makespan)


def test_more_samples_and_repair_are_no_worse_and_repeat():
    problem = generate_dcmrta(np.random.default_rng(4), n_robots=6, n_tasks=12)
    weights = greedy_weights()
    few, many = (rollout(problem, weights, 0, n, 0.1, 5, repaired=0) for n in (4, 16))
    assert many.makespan <= few.makespan
    one, two = (rollout(problem, weights, 0, 4, 0.1, 5) for _ in range(2))
    assert one.makespan == two.makespan <= few.makespan


def test_published_means_are_those_of_the_data():
    d = read_dcmrta(real_data("task/dcmrta_20a50t.json"))
    h = read_heteromrta(real_data("task/heteromrta_15r20t.json"))
    assert all(p.reference["CTASD_lower_bound"] < p.reference["CTASD_600s"] for p in h)
    assert np.mean([greedy(p).makespan for p in d]) < np.mean([p.reference["REINFORCE_LF"] for p in d])
    assert np.mean([greedy(p).makespan for p in h]) < np.mean([p.reference["SAS"] for p in h])
