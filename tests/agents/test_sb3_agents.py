"""SB3's algorithms as agents and as policies."""

import numpy as np
import pytest
from stable_baselines3.common.logger import Logger

from allocenv.agents import AGENTS, agent_class
from allocenv.agents.sb3 import SB3Policy
from allocenv.core.batch import Batch

SB3 = [name for name, place in AGENTS.items() if place.startswith("allocenv.agents.sb3:")]


def build(config):
    return agent_class(config.agent)(config, config.make_problem(), Logger(None, []))


@pytest.mark.parametrize("name", SB3)
def test_an_agent_learns_in_units_and_acts_on_a_batch(tiny, name):
    agent = build(tiny(name))
    (phase,) = agent.phases
    phase.unit()
    assert phase.count() == 16
    assert not phase.ended
    assert {"return", "objective"} <= agent.figures().keys()
    batch = Batch(agent.problem, 3)
    batch.reset(1)
    actions = agent.policy()(batch)
    assert actions.shape == (3, 2)
    assert actions.dtype == np.int32


@pytest.mark.parametrize("name", SB3)
def test_the_learning_of_an_agent_can_be_saved_and_gone_on_with(tiny, name):
    agent = build(tiny(name))
    agent.unit()
    saved = agent.state_dict()
    other = build(tiny(name))
    other.load_state_dict(saved)
    again = other.state_dict()
    assert {k: v for k, v in again["counters"].items()} == saved["counters"]
    for key, tensor in agent.weights().items():
        assert (tensor == other.weights()[key]).all()
    assert all((agent.model._last_obs[k] == other.model._last_obs[k]).all() for k in agent.model._last_obs)


def test_the_masked_agent_never_does_what_is_illegal(tiny):
    agent = build(tiny("maskable_ppo"))
    batch = Batch(agent.problem, 8)
    batch.reset(0)
    policy = SB3Policy(agent.model, sequential=True, deterministic=False)
    for _ in range(4):
        assert not batch.step(policy(batch)).illegal.any()


def test_asking_a_policy_leaves_the_last_outcome_alone(tiny):
    agent = build(tiny("maskable_ppo"))
    batch = Batch(agent.problem, 2)
    batch.reset(0)
    outcome = batch.step(np.tile(agent.problem.stop, (2, 1)))
    assert outcome.terminated.any() or outcome.truncated.any()
    before = outcome.terminated.copy(), outcome.truncated.copy()
    agent.policy()(batch)
    assert all((a == b).all() for a, b in zip(before, (outcome.terminated, outcome.truncated), strict=True))


def test_the_same_seed_gives_the_same_first_weights(tiny):
    first, second = build(tiny("ppo")), build(tiny("ppo"))
    assert all((a == b).all() for a, b in zip(first.weights().values(), second.weights().values(), strict=True))
