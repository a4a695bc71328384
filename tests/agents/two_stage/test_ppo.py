"""Two stages under SB3's PPO: what stage two saw is stored, and macro-moves share their reward."""

import numpy as np
import pytest
import torch
from stable_baselines3.common.logger import Logger

from allocenv.agents import agent_class
from allocenv.agents.two_stage.ppo import share_credit


def shared(rewards, sources, starts=()):
    """The rewards of one row after sharing; `starts` are the steps that begin an episode, beside the first."""
    rewards = np.array(rewards, np.float32)[:, None]
    begins = np.zeros(rewards.shape, bool)
    begins[[0, *starts]] = True
    share_credit(rewards, np.array(sources)[:, None], begins)
    return rewards[:, 0].tolist()


@pytest.mark.parametrize(
    ("rewards", "sources", "expected"),
    [
        ([0, 0, 3], [5, 5, 5], [1, 1, 1]),  # three moves out of bin 5 win 3 chunks: one each
        ([0, 0, 2], [5, 7, 5], [1, 0, 1]),  # the move out of bin 7 had no part in it
        ([2, 0, 1], [5, 5, 5], [2, 0.5, 0.5]),  # the first has had its reward
        ([0, -1, 2], [5, 5, 5], [1, -1, 1]),  # a loss stays where it was made, and earns nothing
        ([0, 0, 2], [-1, 5, 5], [0, 1, 1]),  # stopping takes from no bin
        ([0, 2], [-1, -1], [0, 2]),  # what takes from no bin keeps its reward
    ],
)
def test_a_reward_is_shared_with_the_unrewarded_steps_from_the_same_bin(rewards, sources, expected):
    assert shared(rewards, sources) == expected


def test_nothing_is_shared_across_the_beginning_of_an_episode():
    assert shared([0, 0, 2], [5, 5, 5], starts=[1]) == [0, 1, 1]


def test_rows_share_nothing_with_each_other():
    rewards = np.array([[0, 0], [0, 4]], np.float32)
    share_credit(rewards, np.full((2, 2), 5), np.array([[True, True], [False, False]]))
    assert rewards.tolist() == [[0, 2], [0, 2]]


def test_the_sum_over_every_episode_stays():
    rng = np.random.default_rng(0)
    rewards = rng.integers(-1, 3, (60, 4)).astype(np.float32)
    starts = rng.random((60, 4)) < 0.1
    starts[0] = True
    episode = starts.cumsum(0)
    before = [[rewards[episode[:, b] == e, b].sum() for e in range(1, episode[-1, b] + 1)] for b in range(4)]
    share_credit(rewards, rng.integers(-1, 3, (60, 4)), starts)
    for b, sums in enumerate(before):
        for e, total in enumerate(sums, 1):
            assert rewards[episode[:, b] == e, b].sum() == pytest.approx(total, abs=1e-4)


@pytest.fixture
def collected(tiny):
    """An agent, and the buffer of one rollout it has not learnt from."""
    config = tiny("two_stage")
    agent = agent_class("two_stage")(config, config.make_problem(), Logger(None, []))
    model = agent.model
    model.collect_rollouts(agent.env, agent._callback, model.rollout_buffer, model.n_steps)
    return agent, model.rollout_buffer


def test_the_buffer_reproduces_values_and_log_probabilities_of_acting(collected):
    agent, buffer = collected
    policy = agent.model.policy
    for batch in buffer.get(5):
        values, log_prob, entropy = policy.evaluate_actions(batch.observations, batch.actions)
        torch.testing.assert_close(log_prob, batch.old_log_prob, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(values, batch.old_values, rtol=1e-5, atol=1e-5)
        assert (entropy >= 0).all()
        assert (batch.old_log_prob > -50).all()  # nothing forbidden was taken


def test_the_mask_stored_is_that_of_the_slot_chosen(collected):
    _, buffer = collected
    slots, placements = buffer.actions.astype(int).transpose(2, 0, 1)
    mask = buffer.observations["placement_mask"].astype(bool)
    assert np.take_along_axis(mask, placements[..., None], 2).all()
    assert np.take_along_axis(buffer.observations["slot_mask"], slots[..., None], 2).all()
    assert (mask.sum(-1) < mask.shape[-1]).all()  # some placement is always forbidden


def test_choosing_the_likeliest_is_what_the_decoder_does(collected):
    agent, _ = collected
    obs = {name: torch.from_numpy(array) for name, array in agent.env.observe().items()}
    with torch.no_grad():
        actions, values, _ = agent.model.policy(obs, deterministic=True)
    assert np.array_equal(actions.numpy(), agent.policy()(agent.env.batch))
    torch.testing.assert_close(values, agent.model.policy.predict_values(obs))
