"""What the rules send, on missions whose answer is known."""

import numpy as np
import pytest
from real_data import real_data

from allocenv.core.batch import Batch
from allocenv.core.solver import Solution
from allocenv.problems.task.formats import benchmark
from allocenv.problems.task.heuristics import (
    EARLIEST,
    HEURISTICS,
    PATIENCES,
    ROUTING_RULES,
    RULES,
    Rule,
    TeamPolicy,
    play,
    tune_patience,
)
from allocenv.problems.task.mission import build_mission
from allocenv.problems.task.problem import Task


def earned(mission, name, preset="rbf", **params):
    return -play(Task(preset, **params), [mission], RULES[name])[0]


def test_the_rules_find_the_optimum_of_the_almighty_trap():
    """The generalist alone on the task of 20, a specialist on each of eight of 3: 20 + 24 - 9."""
    mission = Task("almighty").draw(np.random.default_rng(0))
    for name in ("greedy", "greedy_density", "regret", "rate"):
        assert earned(mission, name, "almighty") == 35.0


def test_patience_waits_for_the_cheap_entity_and_greed_does_not():
    """Both tasks need 4. The cheap one (cost 1) serves the first until time 1, then the second: 2 * (10 - 1). Greedy
    sends the dear one (cost 8) to the second at once: 10 - 1 + 10 - 8."""
    mission = build_mission([1, 8], [[4], [4]], [10, 10], [[4], [4]], slots=2)
    assert earned(mission, "greedy") == pytest.approx(11.0)
    assert earned(mission, "patience") == pytest.approx(18.0)


def test_a_team_sends_home_whom_it_can_spare():
    """By ability per cost: 2 for 1, then 4 for 2.1, which alone is enough for 4."""
    mission = build_mission([1, 2.1], [[2], [4]], [10], [[4]], slots=1)
    assert earned(mission, "greedy") == pytest.approx(7.9)


def test_a_loss_is_not_sent():
    assert earned(build_mission([5], [[4]], [3], [[4]], slots=1), "greedy") == 0.0


def test_random_teams_differ_by_seed_and_agree_for_one():
    problem = Task("rbf", n_tasks=6)
    missions = [problem.draw(np.random.default_rng(0))] * 6
    first, again = (play(problem, missions, RULES["random_teams"], seed=1) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert len(set(first)) > 1


def test_every_rule_acts_legally_at_any_batch_size_alike():
    problem = Task("rbf", n_entities=(5, 30), n_slots=(1, 6), n_tasks=(3, 8), n_abilities=(1, 5))
    rng = np.random.default_rng(0)
    missions = [problem.draw(rng) for _ in range(4)]
    for name, rule in RULES.items():
        together = play(problem, missions, rule)
        if name != "random_teams":
            alone = [play(problem, [mission], rule)[0] for mission in missions]
            np.testing.assert_allclose(together, alone)
    batch = Batch(problem, 4)
    batch.load(missions)
    act = HEURISTICS["patience"](rng)
    for _ in range(100):
        assert not batch.step(act(batch)).illegal.any()


def test_tuning_takes_the_patience_that_earns_most():
    problem = Task("rbf", n_entities=20, n_tasks=8)
    missions = [problem.draw(np.random.default_rng(i)) for i in range(3)]
    best = tune_patience(problem, missions)
    nets = {d: -play(problem, missions, Rule(RULES["patience"].kind, d)).mean() for d in PATIENCES}
    assert nets[best.amount] == max(nets.values())


def test_earliest_start_serves_two_tasks_with_two_robots_in_parallel():
    """Tasks at distance 1 to both sides of the depot, one robot each: 5 there, 1 of work, 5 back."""
    mission = build_mission(
        [0, 0], [[1], [1]], [1, 1], [[1], [1]], slots=2, xy=[[0, 0], [0, 0]], task_xy=[[1, 0], [-1, 0]], work=1.0
    )
    assert play(Task("dcmrta"), [mission], Rule(EARLIEST))[0] == pytest.approx(11.0)


@pytest.mark.parametrize(("preset", "mean"), [("dcmrta", 34.4), ("heteromrta", 26.4)])
def test_earliest_start_reaches_its_known_makespans(preset, mean):
    """Facts, section 4: 34.24 and 26.30 over 50 instances; the data folder keeps 34 of them."""
    real_data(f"task/{preset}_{'20a50t' if preset == 'dcmrta' else '15r20t'}.json")
    found = play(Task(preset), benchmark(preset), ROUTING_RULES["earliest_start"])
    assert len(found) == 34
    assert found.mean() == pytest.approx(mean, abs=0.3)


def test_solvers_return_what_they_were_given_where_it_is_no_worse():
    problem = Task("rbf", n_entities=10, n_tasks=4)
    mission = problem.draw(np.random.default_rng(0))
    here = problem.holding([mission])
    found = {
        name: entry.solver(here, mission, 10.0, np.random.default_rng(0)) for name, entry in problem.solvers.items()
    }
    best = min(found.values(), key=lambda solution: solution.objective)
    start = Solution(best.actions, best.objective, found_by="start")
    assert problem.solvers["random_teams"].solver(here, mission, 10.0, np.random.default_rng(0), start) is start


def test_a_team_that_nobody_completes_is_given_up():
    """Somebody else has committed an entity to a task that takes more than there is."""
    mission = build_mission([1], [[1]], [10], [[4]], slots=1)
    batch = Batch(Task.on(mission), 1)
    batch.reset(seed=0)
    batch.step(np.array([[0, 0]], np.int32))
    assert TeamPolicy(RULES["greedy"], np.random.default_rng(0))(batch).tolist() == [[1, 0]]
