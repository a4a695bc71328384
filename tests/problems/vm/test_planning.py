"""The solvers as the planner calls them, judged by the environment."""

import numpy as np
import pytest
from small_clusters import random_cluster
from vm_crowded_clusters import crowded_cluster

from allocenv.core.batch import Batch
from allocenv.core.replay import replay
from allocenv.core.solver import Solution
from allocenv.planner import plan
from allocenv.problems.vm.planning import SOLVERS, moves_of, target_of
from allocenv.problems.vm.problem import VM

SECONDS = {"annealing": 0.05, "exact": 20.0}  # the others end by themselves
OBJECTIVES = ["cpu:4", "cpu:4x2", "0.7*cpu:4 + 0.3*memory:3", "empty", "cpu:3 + 0.5*empty"]


def solve(name, problem, cluster, start=None, seconds=None):
    limit = seconds or SECONDS.get(name, 5.0)
    return SOLVERS[name].solver(problem, cluster, limit, np.random.default_rng(0), start)


def outcomes(problem, cluster):
    """Every sequence of legal actions through the environment: what it leads to, as (rank, cost, moves)."""
    batch = Batch(problem, 1)
    found, frontier = [], [[]]
    for _ in range(problem.max_moves + 1):
        longer = []
        for actions in frontier:
            batch.load([cluster])
            rewards = [float(batch.step(np.array([action], np.int32)).rewards[0]) for action in actions]
            cost = float(batch.costs()[0])
            found.append((problem.rank(np.array([cost]), np.array(rewards)), cost, len(actions)))
            if len(actions) == problem.max_moves:
                continue
            for slot in np.flatnonzero(batch.observe().slot_mask[0][:-1]):
                mask = batch.placement_mask(np.array([slot], np.int32))[0]
                longer += [[*actions, (int(slot), int(place))] for place in np.flatnonzero(mask)]
        frontier = longer
    return found


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("seed", range(8))
def test_every_solver_returns_a_legal_plan_that_is_no_worse_than_staying(name, seed):
    cluster = random_cluster(seed, n_cells=1 + seed % 3) if seed % 2 else crowded_cluster(seed)
    problem = VM.on(cluster, objective=OBJECTIVES[seed % len(OBJECTIVES)], max_moves=1 + seed % 4)
    solution = solve(name, problem, cluster, seconds=1.0 if name == "exact" else None)
    checked = replay(problem, cluster, solution.actions)
    assert not checked.illegal.any()
    assert len(solution.actions) <= problem.max_moves
    assert solution.objective == pytest.approx(checked.costs[-1], abs=1e-12)
    assert solution.objective <= checked.costs[0] + 1e-12
    assert solution.bound <= solution.objective + 1e-9


@pytest.mark.parametrize("seed", range(10))
def test_exact_finds_the_best_of_all_sequences_and_nobody_beats_it(seed):
    cluster = crowded_cluster(seed, tied_memory=seed % 3 == 0)
    problem = VM.on(cluster, objective=OBJECTIVES[seed % len(OBJECTIVES)], max_moves=2)
    best = min(cost for _, cost, _ in outcomes(problem, cluster))
    exact = solve("exact", problem, cluster)
    assert exact.objective == pytest.approx(best, abs=1e-9)
    assert exact.proven
    for name in SOLVERS:
        assert solve(name, problem, cluster).objective >= best - 1e-9


@pytest.mark.parametrize("seed", [0, 3, 5, 7, 8, 14, 22])
def test_a_price_on_moves_is_weighed_against_what_they_win(seed):
    cluster = crowded_cluster(seed)
    problem = VM.on(cluster, objective="cpu:4", max_moves=2, move_price=0.4)
    best = min(rank for rank, _, _ in outcomes(problem, cluster))
    exact = solve("exact", problem, cluster)
    checked = replay(problem, cluster, exact.actions)
    assert problem.rank(checked.costs, checked.rewards) == pytest.approx(best, abs=1e-5)  # rewards are float32


@pytest.mark.parametrize("seed", [3, 5, 7, 8, 9, 14, 15, 17])
def test_a_goal_is_reached_with_the_fewest_moves(seed):
    cluster = crowded_cluster(seed)
    reachable = outcomes(VM.on(cluster, objective="cpu:4", max_moves=2), cluster)
    costs = sorted({cost for _, cost, _ in reachable})
    goal = costs[min(seed % 2, len(costs) - 1)]  # the lowest, or the next
    problem = VM.on(cluster, objective="cpu:4", max_moves=2, goal=goal)
    fewest = min(moves for _, cost, moves in reachable if cost <= goal)
    exact = solve("exact", problem, cluster)
    assert exact.objective <= goal + 1e-9
    assert len(exact.actions) == fewest
    found = plan(problem, cluster, 5.0, workers=1)
    assert found.solution.objective <= goal + 1e-9
    assert len(found.solution.actions) == fewest


@pytest.mark.parametrize("seed", [1, 4, 5, 7, 11, 15])
def test_a_second_plan_on_the_result_proposes_nothing(seed):
    cluster = crowded_cluster(seed, cells=1 + seed % 2)
    problem = VM.on(cluster, objective=OBJECTIVES[seed % len(OBJECTIVES)], max_moves=2 * cluster.n_vms)
    first = plan(problem, cluster, 5.0, workers=1)
    assert first.proven
    assert len(first.solution.actions)
    after = cluster.moved(*target_of(problem, cluster, first.solution))
    again = plan(VM.on(after, objective=problem.objective, max_moves=problem.max_moves), after, 5.0, workers=1)
    assert len(again.solution.actions) == 0
    assert again.proven
    assert again.start == pytest.approx(first.solution.objective)


@pytest.mark.parametrize("name", SOLVERS)
def test_a_start_that_is_better_is_handed_back(name):
    cluster = crowded_cluster(7)
    problem = VM.on(cluster, objective="cpu:4", max_moves=2)
    best = solve("exact", problem, cluster)
    assert len(best.actions)
    start = Solution(best.actions, best.objective, found_by="somebody")
    assert solve(name, problem, cluster, start).objective == pytest.approx(best.objective, abs=1e-12)


def test_the_same_seed_gives_the_same_expert_plan():
    cluster = crowded_cluster(7)
    problem = VM.on(cluster, objective="cpu:4", max_moves=3)
    actions, rewards = problem.expert(cluster, 3, np.random.default_rng(0))
    again, _ = problem.expert(cluster, 3, np.random.default_rng(1))
    checked = replay(problem, cluster, actions)
    assert len(actions)
    assert actions.tolist() == again.tolist()
    assert not checked.illegal.any()
    np.testing.assert_array_equal(rewards, checked.rewards)


def test_stopping_is_no_move():
    cluster = crowded_cluster(4)
    problem = VM.on(cluster)
    variants = problem.sizes.variants
    actions = np.array([[3, 2 * variants + 1], problem.stop], np.int32)
    assert moves_of(problem, actions).tolist() == [[3, 2, 1]]
