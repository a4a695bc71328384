"""Planning with the network: the best prefix, never worse than the start, on time."""

from time import perf_counter

import numpy as np
import pytest
import torch

from allocenv.agents.two_stage import solver as module
from allocenv.agents.two_stage.decoding import TwoStagePolicy
from allocenv.agents.two_stage.solver import GuidedSolver, TwoStageSolver, trajectory
from allocenv.core.replay import replay
from allocenv.core.solver import Solution

RANDOM = np.random.default_rng


@pytest.fixture
def instance(problem):
    return problem.draw(RANDOM(5))


def greedy_episode(problem, instance, network):
    """Every action of the trajectory that is greedy and acts on no item twice, and the objective along it."""
    actions, policy = [], TwoStagePolicy(network)
    policy.barred = np.zeros((1, problem.sizes.slots), np.bool_)
    batch = module.Batch(problem, 1)
    batch.load([instance])
    for _ in range(problem.max_steps):
        actions.append(policy(batch)[0])
        outcome = batch.step(actions[-1][None])
        policy.barred[0, actions[-1][0]] = actions[-1][0] != problem.stop[0]
        if outcome.terminated[0] or outcome.truncated[0]:
            break
    return np.array(actions), replay(problem, instance, np.array(actions)).costs


@pytest.mark.parametrize("seed", range(4))
def test_a_trajectory_is_cut_where_it_stood_best(problem, network, seed):
    instance = problem.draw(RANDOM(seed))
    actions, costs = greedy_episode(problem, instance, network)
    objective, taken = trajectory(network, problem, instance, 1, None, lambda: False)
    assert objective == costs.min()
    assert np.array_equal(taken, actions[: int(costs.argmin())])


def test_no_item_is_acted_on_twice(problem, instance, network, monkeypatch):
    slots, step = [], module.Batch.step
    monkeypatch.setattr(
        module.Batch, "step", lambda self, actions: (slots.append(actions[:, 0].copy()), step(self, actions))[1]
    )
    trajectory(network, problem, instance, 8, torch.Generator().manual_seed(0), lambda: False)
    for row in np.array(slots).T:
        acted_on = row[row != problem.stop[0]].tolist()
        assert len(set(acted_on)) == len(acted_on)
    assert len(slots) == problem.max_steps


def test_the_plan_leads_to_the_objective_it_states(problem, instance, network):
    found = TwoStageSolver(network, trajectories=25)(problem, instance, 60, RANDOM(0))
    again = replay(problem, instance, found.actions)
    assert not again.illegal.any()
    assert again.costs[-1] == found.objective <= again.costs[0]
    assert found.found_by == "two_stage"


def test_more_trajectories_are_never_worse(problem, network):
    instance = problem.draw(RANDOM(4))
    objectives = [TwoStageSolver(network, n)(problem, instance, 60, RANDOM(0)).objective for n in (1, 5, 49)]
    assert objectives == sorted(objectives, reverse=True)
    assert objectives[-1] < objectives[0]


def test_the_same_generator_gives_the_same_plan(problem, instance, network):
    plans = [TwoStageSolver(network, 49)(problem, instance, 60, RANDOM(3)).actions for _ in range(2)]
    assert np.array_equal(*plans)


def test_it_is_never_worse_than_the_start(problem, instance, network):
    unbeatable = Solution(np.zeros((0, 2), np.int32), -1.0, found_by="another")
    assert TwoStageSolver(network, 5)(problem, instance, 60, RANDOM(0), unbeatable) is unbeatable
    poor = Solution(np.zeros((0, 2), np.int32), 2.0, found_by="another")
    assert TwoStageSolver(network, 5)(problem, instance, 60, RANDOM(0), poor).found_by == "two_stage"


def test_it_ends_when_the_time_is_up(problem, instance, network):
    began = perf_counter()
    found = TwoStageSolver(network)(problem, instance, 0.2, RANDOM(0))
    assert 0.2 <= found.seconds <= perf_counter() - began < 2


@pytest.mark.parametrize("asked_at", [0, 3, 20])
def test_it_ends_within_a_step_when_asked_to(problem, instance, network, monkeypatch, asked_at):
    steps, step = [], module.Batch.step
    monkeypatch.setattr(module.Batch, "step", lambda self, actions: (steps.append(1), step(self, actions))[1])
    found = TwoStageSolver(network)(problem, instance, 60, RANDOM(0), stop=lambda: len(steps) >= asked_at)
    assert len(steps) == asked_at
    assert replay(problem, instance, found.actions).costs[-1] == found.objective


def test_a_guided_search_begins_at_the_greedy_trajectory(problem, instance, network):
    starts = []

    def search(problem, instance, seconds, rng, start, stop):
        starts.append(start)
        return start

    found = GuidedSolver(network, search)(problem, instance, 60, RANDOM(0))
    objective, actions = trajectory(network, problem, instance, 1, None, lambda: False)
    assert found is starts[0]
    assert found.objective == objective
    assert np.array_equal(found.actions, actions)
    assert GuidedSolver(network, search)(problem, instance, 1e-9, RANDOM(0)).objective >= objective
    assert len(starts) == 1  # no time was left to search
