"""The network under RLlib is the network under SB3: equal likelihoods, equal actions, equal updates."""

import numpy as np
import pytest
import torch

pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray"), pytest.mark.filterwarnings("default")]

AGENTS = ("two_stage", "ppo", "maskable_ppo")


@pytest.fixture
def rolled_out(tiny):
    """An agent after a rollout, and what the runners of a cluster would send of it."""
    from allocenv.agents.engines.rllib.runner import columns_of

    def make(name):
        from allocenv.agents.engines.rllib.module import build_agent

        config = tiny(name)
        agent = build_agent(config, 2, config.seed)
        model = agent.model
        model.collect_rollouts(agent.env, agent._callback, model.rollout_buffer, model.n_steps)
        return config, agent, columns_of(model.rollout_buffer)

    return make


def learner_of(config, agent):
    """A learner with the agent's weights, in this process."""
    from ray.rllib.core import DEFAULT_MODULE_ID
    from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec

    from allocenv.agents.engines.rllib.algorithm import algorithm_config

    made = algorithm_config(config, 0, 1, 0)
    spec = made.rl_module_spec
    spec.observation_space, spec.action_space = agent.env.observation_space, agent.env.action_space
    learner = made.learner_class(config=made, module_spec=MultiRLModuleSpec(rl_module_specs={DEFAULT_MODULE_ID: spec}))
    learner.build()
    learner.take_over(agent.model.policy.state_dict(), agent.model.policy.optimizer.state_dict())
    return learner


def batch_of(columns):
    from ray.rllib.core import DEFAULT_MODULE_ID
    from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch

    batch = SampleBatch(columns)
    return MultiAgentBatch({DEFAULT_MODULE_ID: batch}, len(batch))


@pytest.mark.parametrize("name", AGENTS)
def test_stored_actions_are_as_likely_under_rllib_as_when_they_were_taken(rolled_out, name):
    from ray.rllib.core import DEFAULT_MODULE_ID

    config, agent, columns = rolled_out(name)
    module = learner_of(config, agent).module[DEFAULT_MODULE_ID].unwrapped()
    tensors = {
        key: {part: torch.as_tensor(x) for part, x in value.items()}
        if isinstance(value, dict)
        else torch.as_tensor(value)
        for key, value in columns.items()
    }
    found = module.forward_train(tensors)
    np.testing.assert_allclose(found["action_logp"].detach(), columns["action_logp"], atol=1e-5)


@pytest.mark.parametrize("name", AGENTS)
def test_an_update_on_the_whole_rollout_is_sb3s(rolled_out, name):
    from allocenv.agents.engines.rllib.learner import RATE

    config, agent, columns = rolled_out(name)
    learner = learner_of(config, agent)
    agent.model.n_epochs = 1
    agent.model.train()  # its batch is the rollout
    learner.update(batch=batch_of(columns), timesteps={RATE: 3e-4}, num_epochs=1, minibatch_size=16)
    ours, _ = learner.state()
    for key, theirs in agent.model.policy.state_dict().items():
        torch.testing.assert_close(ours[key], theirs, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("name", AGENTS)
def test_what_was_learnt_under_rllib_acts_the_same_here(rolled_out, name):
    from ray.rllib.core import DEFAULT_MODULE_ID

    from allocenv.agents.engines.rllib.learner import RATE

    config, agent, columns = rolled_out(name)
    learner = learner_of(config, agent)
    learner.update(batch=batch_of(columns), timesteps={RATE: 1e-2}, num_epochs=2, minibatch_size=8)
    weights, _ = learner.state()
    agent.model.policy.load_state_dict(weights)
    there, here = learner.module[DEFAULT_MODULE_ID].unwrapped().policy, agent.model.policy
    if name == "two_stage":
        there.stage_two = here.stage_two  # both ask the same batch for the placements
    masks = {"action_masks": agent.env.action_masks()} if name == "maskable_ppo" else {}
    seen = agent.env.observe()
    first, second = (policy.predict(seen, deterministic=True, **masks)[0] for policy in (here, there))
    np.testing.assert_array_equal(first, second)


def test_a_step_too_far_ends_the_update(rolled_out):
    from dataclasses import replace

    from allocenv.agents.engines.rllib.learner import RATE

    config, agent, columns = rolled_out("ppo")
    config = replace(config, agent_params=replace(config.agent_params, target_kl=1e-9))
    learner = learner_of(config, agent)
    learner.update(batch=batch_of(columns), timesteps={RATE: 1e-2}, num_epochs=9, minibatch_size=16)
    steps = {int(state["step"]) for state in learner.state()[1]["state"].values()}
    assert steps == {1}  # at the first minibatch nothing has changed yet; at the second it had
