"""PPO on a game: it starts where it is told, goes on exactly, is judged on held-out episodes, and can be shipped."""

import numpy as np
import pytest
from safetensors.numpy import load_file
from stable_baselines3.common.logger import Logger

from allocenv.agents.config import RunConfig
from allocenv.agents.export import export_run
from allocenv.agents.games import GamePPOAgent, HeldOutGame, player, shipped_player
from allocenv.agents.train import train
from allocenv.wrappers.game_sb3 import GameVecEnv, make_game

START = [0.25, 0.5, -1.0, 0.75, 0.125]
SETTING = {"prompts": 12, "batch": 4, "updates": 6, "every": 3}


def config(**changes):
    own = {
        "game": "RolloutBudgetTuned-v0",
        "setting": SETTING,
        "start": START,
        "n_steps": 4,
        "batch_size": 8,
        "n_epochs": 1,
        "width": 4,
        **changes,
    }
    steps = {"total_steps": 16, "n_envs": 2, "checkpoint_every": 8, "eval_every": 8, "figures": False}
    return RunConfig.from_dict({"problem": "budget", "agent": "game_ppo", "train": steps, "agent_params": own})


def build(chosen):
    return GamePPOAgent(chosen, chosen.make_problem(), Logger(None, []))


def test_before_training_it_acts_as_told_whatever_it_sees():
    agent = build(config())
    actions = agent.play(agent.env.reset())
    np.testing.assert_array_equal(actions, np.tile(np.float32(START), (2, 1)))


def test_a_start_of_another_length_is_refused():
    with pytest.raises(ValueError, match="start of 5 numbers, got 2"):
        build(config(start=[0.0, 0.0]))


def test_its_learning_can_be_saved_and_gone_on_with():
    agent, other = build(config()), build(config())
    agent.unit()
    other.load_state_dict(agent.state_dict())
    np.testing.assert_array_equal(agent.env.observe(), other.model._last_obs)
    for _ in range(3):  # an episode is of two steps: it goes over its end
        a, b = (x.env.step(np.tile(START, (2, 1))) for x in (agent, other))
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_array_equal(a[1], b[1])


def test_a_run_is_judged_and_its_weights_play_as_the_agent_does(tmp_path):
    chosen = config()
    result = train(chosen, tmp_path / "run", progress=False, evaluate=HeldOutGame(chosen, 3))
    assert result.finished
    assert {"objective", "gain", "return"} <= result.metrics.keys()
    play = player(load_file(export_run(tmp_path / "run", "last", "small", tmp_path)))
    agent = build(chosen)
    from allocenv.agents.train import load_agent

    agent = load_agent(tmp_path / "run", "last")
    seen = agent.env.reset()
    np.testing.assert_allclose(play(seen), agent.play(seen), atol=1e-6)


def test_the_row_of_an_ended_episode_tells_its_return():
    env = GameVecEnv("RolloutBudgetTuned-v0", 2, 0, SETTING)
    env.reset()
    one = env.step(np.tile(START, (2, 1)))
    two = env.step(np.tile(START, (2, 1)))
    assert not one[2].any()
    assert two[2].all()
    for b in range(2):
        assert two[3][b]["episode"]["r"] == pytest.approx(one[1][b] + two[1][b])
        assert two[3][b]["metrics"]["gain"] == pytest.approx(one[1][b] + two[1][b])
        assert two[3][b]["terminal_observation"][0] == 1.0  # all updates done


@pytest.mark.parametrize(
    ("title", "setting", "told"),
    [("Chess-v0", {}, "a game among"), ("RolloutBudgetTuned-v0", {"colour": 1}, "parameters of RolloutBudgetTuned-v0")],
)
def test_a_game_that_cannot_be_made_is_a_clear_error(title, setting, told):
    with pytest.raises(ValueError, match=told):
        make_game(title, 2, **setting)


def test_only_what_is_shipped_plays():
    with pytest.raises(ValueError, match="shipped weights of a game"):
        shipped_player("nothing")
