"""Search over whole episodes and ahead: exact on small missions, never above the bound, actions that replay."""

import numpy as np
import pytest

from allocenv.core.batch import Batch
from allocenv.core.replay import replay
from allocenv.problems.task.bound import task_bounds, upper_bound
from allocenv.problems.task.mission import build_mission
from allocenv.problems.task.problem import Task
from allocenv.problems.task.search.exact import solve_exactly
from allocenv.problems.task.search.lookahead import Lookahead, pool_of
from allocenv.problems.task.search.settings import Setting, cover_costs
from allocenv.problems.task.search.whole_episode import VARIATIONS, search

SMALL = {"n_entities": 3, "n_slots": 2, "n_tasks": 3, "horizon": 10.0}


def waiting_pays():
    """Both tasks need 4; the cheap one (cost 1) can serve both in turn: 2 * (10 - 1) = 18; at once: 11."""
    mission = build_mission([1, 8], [[4], [4]], [10, 10], [[4], [4]], slots=2)
    return Task.on(mission, horizon=20.0), mission


def test_the_exact_search_waits_for_the_cheap_entity():
    problem, mission = waiting_pays()
    found = solve_exactly(problem, mission)
    assert found.proven
    assert found.objective == pytest.approx(-18.0)
    assert replay(problem, mission, found.actions).costs[-1] == pytest.approx(-18.0)


@pytest.mark.parametrize("seed", range(4))
def test_nothing_beats_the_exact_search_and_it_keeps_to_the_bound(seed):
    problem = Task("rbf", **SMALL)
    mission = problem.draw(np.random.default_rng(seed))
    held = problem.holding([mission])
    found = solve_exactly(held, mission, seconds=60)
    assert found.proven
    assert replay(held, mission, found.actions).costs[-1] == pytest.approx(found.objective)
    assert -found.objective <= upper_bound(held, mission) + 1e-9
    near = search(held, mission, "oracle_search", 1.0, most=256)
    assert near.objective >= found.objective - 1e-9


@pytest.mark.parametrize("name", VARIATIONS)
def test_whole_episode_search_finds_that_waiting_pays_and_repeats_itself(name):
    problem, mission = waiting_pays()
    found, again = (search(problem, mission, name, 1.0, seed=3, most=512) for _ in range(2))
    assert found.objective == pytest.approx(-18.0)
    np.testing.assert_array_equal(found.actions, again.actions)
    assert replay(problem, mission, found.actions).costs[-1] == pytest.approx(found.objective)


def test_the_bound_is_value_less_fractional_cover():
    """The need of 6 is covered by the 4 of cost 1 and half of the 4 of cost 8: 10 - 5 = 5. The other costs more than
    it pays: 0."""
    mission = build_mission([1, 8], [[4], [4]], [10, 2], [[6], [6]], slots=2)
    problem = Task.on(mission, decay=1.0)
    np.testing.assert_allclose(task_bounds(problem, mission), [5.0, 0.0])
    np.testing.assert_allclose(cover_costs(mission), [5.0, 5.0])


def test_a_task_that_fades_may_pay_more_than_a_fresh_one():
    """At factor 2/3 the 4 of cost 1 is enough for the need of 6: 2/3 * 10 - 1 = 5.67 > 10 - (1 + 8 / 2) = 5."""
    mission = build_mission([1, 8], [[4], [4]], [10], [[6]], slots=1)
    bound = upper_bound(Task.on(mission, decay=0.9), mission)
    assert 17 / 3 - 1e-9 <= bound <= 17 / 3 + 0.1


def test_what_is_out_of_reach_now_counts_where_its_need_shrinks():
    """The fleet of 4 covers half of the need of 8, when half of the value is left: 10 / 2 - 1 = 4."""
    mission = build_mission([1], [[4]], [10], [[8]], slots=1)
    assert 4.0 <= upper_bound(Task.on(mission, decay=0.9), mission) <= 4.1
    assert upper_bound(Task.on(mission, decay=1.0), mission) == 0.0


def test_lookahead_waits_where_the_rule_alone_would_not():
    """The base rule accepts any team that pays and sends the dear one at once (11); lookahead earns 18."""
    problem, mission = waiting_pays()
    batch = Batch(problem, 1)
    batch.load([mission])
    policy = Lookahead(Setting(1.0), np.random.default_rng(0), known=True)
    while not batch.state.model.over[0]:
        batch.step(policy(batch))
    assert batch.state.model.n_illegal[0] == 0
    assert -batch.costs()[0] == pytest.approx(18.0)


def test_lookahead_that_does_not_know_the_tasks_to_come_does_not_read_them():
    """Two missions that differ only in tasks not yet opened: the first round is the same."""
    rng = np.random.default_rng(5)
    problem = Task("rbf", n_entities=8, n_tasks=6, n_slots=2)
    one, other = problem.draw(rng), problem.draw(rng)
    pool = pool_of([problem.draw(rng)])
    first = []
    for late in (one, other):
        mission = build_mission(
            one.cost, one.ability, [*one.value[:2], *late.value[2:]], [*one.need[:2], *late.need[2:]], slots=2
        )
        held = problem.holding([mission])
        batch = Batch(held, 1)
        batch.load([mission])
        policy = Lookahead(Setting(0.5), np.random.default_rng(0), pool=pool)
        first.append([])
        while batch.state.model.now[0] == 0.0:
            first[-1].append(tuple(policy(batch)[0]))
            batch.step(np.array(first[-1][-1:], np.int32))
    assert first[0] == first[1]
