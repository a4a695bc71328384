"""What TensorBoard reads of a run."""

import pytest
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.summary.writer import event_file_writer

from allocenv.agents.sb3 import PPOAgent
from allocenv.agents.tensorboard import Curves
from allocenv.agents.train import train


@pytest.fixture(autouse=True)
def _one_figure_counter(monkeypatch):
    """Files of the same second are read in the order of their names: keep their number in the name below ten."""
    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(0))


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
    assert [step for step, _ in points(mine, "train/loss")] == [16, 32, 48, 64]
    assert points(mine, "eval/objective") == [(0, 0.25), (32, 0.25), (64, 0.25)]
    assert points(read(tmp_path / "tensorboard/greedy"), "eval/objective") == [(0, 0.5), (32, 0.5), (64, 0.5)]
    assert len(mine.Images("data/solved")) == 3


def table(events):
    """Hyper-parameters of the run's row and the curves whose last values stand beside them."""
    content = {tag: metadata.plugin_data.content for tag, metadata in events.summary_metadata.items()}
    start = HParamsPluginData.FromString(content["_hparams_/session_start_info"]).session_start_info
    experiment = HParamsPluginData.FromString(content["_hparams_/experiment"]).experiment
    return start.hparams, {metric.name.tag for metric in experiment.metric_infos}


def test_a_finished_run_has_a_row_of_hyper_parameters_beside_its_last_figures(tiny, tmp_path):
    train(tiny(total_steps=16, learning_rate=0.5), tmp_path, progress=False, evaluate=objective)
    entries, metrics = table(read(tmp_path / "tensorboard/ppo"))
    assert entries["train.learning_rate"].number_value == 0.5
    assert entries["train.figures"].string_value == "false"
    assert entries["agent"].string_value == "ppo"
    assert metrics == {"eval/objective"}


def test_a_run_that_nothing_judged_shows_what_its_training_episodes_came_to(tiny, tmp_path):
    train(tiny(total_steps=16), tmp_path, progress=False)
    mine = read(tmp_path / "tensorboard/ppo")
    assert {"final/return", "final/objective"} <= table(mine)[1] <= set(mine.Tags()["scalars"])


def test_imitation_and_ppo_draw_their_losses_and_speed_along_one_axis(tiny, tmp_path):
    train(tiny("two_stage", total_steps=32), tmp_path, progress=False)  # 3 rounds of 2 episodes, at most 4 steps each
    mine = read(tmp_path / "tensorboard/two_stage")
    for name in ("slot_loss", "placement_loss", "value_loss", "slot_agreement"):
        assert [step for step, _ in points(mine, f"loss/imitation_{name}")] == [8, 16, 24]
    for name in ("entropy_loss", "policy_gradient_loss", "value_loss", "approx_kl"):
        assert [step for step, _ in points(mine, f"train/{name}")] == [40, 56]
    assert [step for step, _ in points(mine, "time/steps_per_second")] == [8, 16, 24, 40, 56]


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
