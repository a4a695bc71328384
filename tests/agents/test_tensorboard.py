"""What TensorBoard reads of a run."""

import pytest
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from allocenv.agents.sb3 import PPOAgent
from allocenv.agents.tensorboard import Curves
from allocenv.agents.train import train


def read(folder):
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    return events


def points(events, tag):
    return [(event.step, pytest.approx(event.value)) for event in events.Scalars(tag)]


def objective(policy):
    return {"objective": 0.25}


def test_a_run_draws_returns_losses_speed_and_opponents_in_shared_charts(tiny, tmp_path, monkeypatch):
    config = tiny(total_steps=64, figures=True)
    monkeypatch.setattr(type(config.make_problem()), "render_figure", lambda *_: Figure(), raising=False)
    train(config, tmp_path, progress=False, evaluate=objective, opponents={"greedy": {"objective": 0.5}})
    mine = read(tmp_path / "tensorboard/ppo")
    tags = set(mine.Tags()["scalars"])
    assert {"rollout/ep_rew_mean", "rollout/objective", "time/steps_per_second", "eval/objective"} <= tags
    assert {"train/entropy_loss", "train/policy_gradient_loss", "train/value_loss", "train/approx_kl"} <= tags
    assert {"final/objective"} <= tags
    assert [step for step, _ in points(mine, "train/loss")] == [16, 32, 48, 64]
    assert points(mine, "eval/objective") == [(0, 0.25), (32, 0.25), (64, 0.25)]
    assert points(read(tmp_path / "tensorboard/greedy"), "eval/objective") == [(0, 0.5), (32, 0.5), (64, 0.5)]
    assert len(mine.Images("data/solved")) == 3
    assert "_hparams_/session_start_info" in mine.summary_metadata


def test_events_behind_the_checkpoint_are_dropped_on_resume(tiny, tmp_path, monkeypatch):
    unit = PPOAgent.unit

    def dies(self):
        unit(self)
        if self.model.num_timesteps == 64:
            raise RuntimeError("power cut")

    config = tiny(checkpoint_every=32)
    monkeypatch.setattr(PPOAgent, "unit", dies)
    with pytest.raises(RuntimeError):
        train(config, tmp_path, progress=False, evaluate=objective)
    assert [step for step, _ in points(read(tmp_path / "tensorboard/ppo"), "train/loss")] == [16, 32, 48]
    monkeypatch.setattr(PPOAgent, "unit", unit)
    train(config, tmp_path, progress=False, evaluate=objective)
    mine = read(tmp_path / "tensorboard/ppo")
    assert [step for step, _ in points(mine, "train/loss")] == [16, 32, 48, 64, 80]
    assert [step for step, _ in points(mine, "eval/objective")] == [0, 32, 64, 80]


def test_histories_of_opponents_are_purged_too(tmp_path):
    for last_step, steps in ((None, (0, 10, 20)), (10, (20, 30))):
        curves = Curves(tmp_path, "mine", last_step)
        for step in steps:
            curves.opponent("greedy", {"objective": 1.0 + step}, step)
        curves.close()
    assert points(read(tmp_path / "greedy"), "eval/objective") == [(0, 1.0), (10, 11.0), (20, 21.0), (30, 31.0)]


def test_an_opponent_called_like_the_agent_is_refused(tmp_path):
    curves = Curves(tmp_path, "mine")
    with pytest.raises(ValueError, match="another name than the agent"):
        curves.opponent("mine", {"objective": 1.0}, 0)
    curves.close()
