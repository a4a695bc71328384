"""Shipped agents take part wherever their weights fit, act legally, and are better than chance."""

import numpy as np
import pytest

from allocenv.agents.pretrained import cards
from allocenv.agents.solvers import shipped_solvers
from allocenv.core.replay import replay
from allocenv.evaluate.contest import PolicySolver
from allocenv.heuristics import HEURISTICS
from allocenv.problems import PROBLEMS

OFFERED = {name: card for name, card in cards().items() if "offer" in card}
N = 4  # instances


def test_every_problem_has_one():
    assert {card["problem"] for card in OFFERED.values()} == set(PROBLEMS)


@pytest.mark.parametrize("name", OFFERED)
def test_it_acts_legally_and_better_than_chance(name):
    card = OFFERED[name]
    chosen = [instance for _, instance in list(PROBLEMS.find(card["problem"])().instance_set("default"))[:N]]
    problem = PROBLEMS.find(card["problem"])(**card["offer"]["params"]).holding(chosen)
    agent = shipped_solvers(card["problem"], problem)[card["agent"]].solver
    found = []
    for solver in (agent, PolicySolver(HEURISTICS["random"])):
        plans = [solver(problem, each, 1.0, np.random.default_rng(0)).actions for each in chosen]
        played = [replay(problem, each, plan) for each, plan in zip(chosen, plans, strict=True)]
        found.append(np.mean([each.costs[-1] for each in played]))
        assert not any(each.illegal.any() for each in played)
    assert found[0] < found[1]


def test_weights_of_another_preset_or_shape_are_not_offered():
    task = PROBLEMS.find("task")
    agents = {"preassign", "maskable_ppo", "two_stage"}
    assert agents <= shipped_solvers("task", task("rbf")).keys()
    assert not agents & shipped_solvers("task", task("material")).keys()
    assert not agents & shipped_solvers("task", task("dcmrta")).keys()
