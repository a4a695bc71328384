"""An agent that takes nothing back, and stops only where it is nearly sure."""

import numpy as np
import pytest
import torch

from allocenv.agents.two_stage.decoding import TwoStagePolicy, _hold_back, placements_of
from allocenv.agents.two_stage.imitation import Imitation, Imitator
from allocenv.agents.two_stage.network import TwoStageNetwork, Widths
from allocenv.core.batch import Batch
from allocenv.problems import make_problem


@pytest.fixture(scope="module")
def problem():
    return make_problem("task", preset="rbf", n_entities=12, n_slots=3, n_tasks=5, step_limit=60)


@pytest.fixture(scope="module")
def network(problem):
    torch.manual_seed(0)
    return TwoStageNetwork(Widths.of(problem.sizes), 16, 2)


def taken_back(problem, network, recall):
    """How often an untrained agent gives a team up that it began, in four missions."""
    batch = Batch(problem, 4, 0)
    batch.reset()
    policy = TwoStagePolicy(network, torch.Generator().manual_seed(0), recall=recall)
    slot, placement = problem.stop
    count = 0
    for _ in range(60):
        actions = policy(batch)
        count += int(((actions[:, 0] == slot) & (actions[:, 1] != placement)).sum())
        batch.step(actions)
    return count


def test_what_was_begun_is_taken_back_only_where_that_is_allowed(problem, network):
    assert taken_back(problem, network, recall=True) > 0
    assert taken_back(problem, network, recall=False) == 0


def test_other_slots_keep_their_placements(problem):
    batch = Batch(problem, 3, 0)
    batch.reset()
    stop, placement = problem.stop
    slots = np.array([0, stop, 1], np.int32)
    legal, allowed = batch.placement_mask(slots), placements_of(batch, slots, recall=False)
    assert np.array_equal(allowed[[0, 2]], legal[[0, 2]])
    assert np.flatnonzero(allowed[1]).tolist() == [placement]


def test_an_imitation_without_recall_learns_nothing_that_takes_back(problem, network):
    learnt = []

    class Watched(Imitator):
        def _learn(self, batch, seen, actions, mask, acceptable, returns, taught):
            learnt.append(actions[taught])
            return super()._learn(batch, seen, actions, mask, acceptable, returns, taught)

    Watched(network, [problem], Imitation(rounds=1, rows=4, recall=False)).run_round()
    actions = np.concatenate(learnt)
    slot, placement = problem.stop
    assert len(actions) > 20
    assert (actions[actions[:, 0] == slot, 1] == placement).all()


def test_a_stop_is_held_back_unless_it_is_likely_or_alone():
    scores = torch.tensor([[0.7, 0.2, 0.1], [0.9, 0.06, 0.04], [1.0, 0.0, 0.0]]).log()
    _hold_back(scores, 0, 0.8)
    assert torch.isinf(scores[:, 0]).tolist() == [True, False, False]
    assert scores.argmax(-1).tolist() == [1, 0, 0]
