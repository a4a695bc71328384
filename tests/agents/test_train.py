"""Training: the run folder, judging, interrupting, refusing."""

import json
import os
import signal

import numpy as np
import pytest
import torch

from allocenv.agents import agent_class
from allocenv.agents.checkpoint import CheckpointError, Checkpoints, read_header
from allocenv.agents.config import ConfigError, RunConfig
from allocenv.agents.sb3 import PPOAgent
from allocenv.agents.train import load_agent, train
from allocenv.core.batch import Batch


@pytest.fixture
def judge(tiny):
    """The mean objective on two fixed instances."""
    batch = Batch(tiny().make_problem(), 2, seed=99)

    def evaluate(policy):
        batch.reset(99)
        for _ in range(batch.problem.max_steps):
            batch.step(policy(batch))
        return {"objective": batch.costs().mean(), "illegal": 0.0}

    return evaluate


def test_a_run_leaves_all_that_is_needed_to_repeat_and_judge_it(tiny, judge, tmp_path):
    config = tiny(total_steps=64)
    result = train(config, tmp_path / "run", progress=False, evaluate=judge, opponents={"greedy": {"objective": 0.5}})
    assert (result.step, result.finished) == (64, True)
    assert RunConfig.load(tmp_path / "run/config.toml") == config
    (session,) = json.loads((tmp_path / "run/run.json").read_text())["sessions"]
    assert session["seed"] == 0
    assert session["versions"]["torch"] == torch.__version__
    results = json.loads((tmp_path / "run/results.json").read_text())
    assert [entry["step"] for entry in results["evaluations"]] == [0, 32, 64]
    assert results["opponents"] == {"greedy": {"objective": 0.5}}
    assert result.metrics == {k: v for k, v in results["evaluations"][-1].items() if k != "step"}
    best = min(results["evaluations"], key=lambda entry: entry["objective"])
    assert read_header(result.best).step == best["step"]
    assert read_header(result.last).step == 64


def test_a_loaded_agent_acts_as_the_trained_one(tiny, judge, tmp_path):
    result = train(tiny(total_steps=32), tmp_path, progress=False, evaluate=judge)
    torch.manual_seed(3)
    state = torch.get_rng_state()
    agent = load_agent(tmp_path, "last")
    assert torch.equal(torch.get_rng_state(), state)
    assert judge(agent.policy()) == result.metrics


def test_weights_of_the_set_network_act_on_larger_instances(tiny, tmp_path):
    config = tiny(total_steps=16)
    train(config, tmp_path, progress=False)
    larger = type(config.make_problem())(n_pms=5, max_moves=4)
    batch = Batch(larger, 2)
    batch.reset(0)
    assert load_agent(tmp_path, problem=larger).policy()(batch).shape == (2, 2)


def test_weights_that_do_not_fit_are_refused(tiny, tmp_path):
    config = tiny("dqn", total_steps=16)  # its head has one output an action
    train(config, tmp_path, progress=False)
    larger = type(config.make_problem())(n_pms=5, max_moves=4)
    with pytest.raises(CheckpointError, match=r"shape of weight q_net.* found \(.*\), expected \("):
        load_agent(tmp_path, problem=larger)


def test_judging_does_not_disturb_training(tiny, judge, tmp_path):
    def wild(policy):
        torch.rand(5), np.random.rand(5)  # noqa: NPY002
        return judge(policy)

    results = [train(tiny(), tmp_path / name, False, evaluate=e) for name, e in (("with", wild), ("without", None))]
    first, second = (load_agent(result.folder, "last").weights() for result in results)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_finished_run_goes_on_when_given_more_steps(tiny, tmp_path):
    train(tiny(total_steps=32), tmp_path, progress=False)
    assert train(tiny(total_steps=32), tmp_path, progress=False).step == 32
    result = train(tiny(total_steps=64), tmp_path, progress=False)
    assert result.step == 64
    assert len(json.loads((tmp_path / "run.json").read_text())["sessions"]) == 3


def test_a_run_of_another_config_is_refused(tiny, tmp_path):
    train(tiny(total_steps=16), tmp_path, progress=False)
    with pytest.raises(
        ConfigError, match=r"config.toml: train.learning_rate: found 1.0, expected 0.0003 as in the run"
    ):
        train(tiny(total_steps=16, learning_rate=1), tmp_path, progress=False)
    again = train(tiny(total_steps=16, learning_rate=1), tmp_path, progress=False, resume=False)
    assert again.finished


def test_ctrl_c_ends_the_unit_writes_a_checkpoint_and_says_how_to_go_on(tiny, tmp_path, monkeypatch, capsys):
    unit = PPOAgent.unit

    def interrupted(self):
        if self.model.num_timesteps == 16:
            os.kill(os.getpid(), signal.SIGINT)
        unit(self)

    monkeypatch.setattr(PPOAgent, "unit", interrupted)
    handler = signal.getsignal(signal.SIGINT)
    result = train(tiny(), tmp_path, progress=True)
    assert (result.step, result.finished) == (32, False)
    assert read_header(result.last).step == 32
    assert f"allocenv train {tmp_path}/config.toml" in capsys.readouterr().err.replace("\n", "")
    assert signal.getsignal(signal.SIGINT) is handler
    assert train(tiny(), tmp_path, progress=False).finished


class Warmed(PPOAgent):
    """Two phases: three rounds of something else, then PPO."""

    def __init__(self, *args):
        super().__init__(*args)
        self.rounds = 0

    @property
    def phases(self):
        from allocenv.agents.agent import Phase

        return (Phase("warm", self.warm, lambda: self.rounds, 3), *super().phases)

    def warm(self):
        self.rounds += 1
        with torch.no_grad():
            for tensor in self.model.policy.parameters():
                tensor += 0.01 * torch.randn_like(tensor)
        self.model.logger.record("warm/rounds", self.rounds)

    def state_dict(self):
        return super().state_dict() | {"rounds": self.rounds}

    def load_state_dict(self, saved):
        super().load_state_dict(saved)
        self.rounds = saved["rounds"]


def test_phases_follow_each_other_each_ends_with_a_checkpoint_and_resumes(tiny, tmp_path, monkeypatch):
    import allocenv.agents.engines.training as module

    monkeypatch.setattr(module, "agent_class", lambda name: Warmed)
    whole = train(tiny(total_steps=32, keep_checkpoints=9), tmp_path / "whole", progress=False)
    headers = [read_header(folder) for folder in sorted((tmp_path / "whole/checkpoints").glob("step-*"))]
    assert [(h.step, h.phase) for h in headers] == [(0, ""), (3, "warm"), (35, "ppo")]

    warm = Warmed.warm

    def dies(self):
        warm(self)
        if self.rounds == 2:
            raise RuntimeError("power cut")

    monkeypatch.setattr(Warmed, "warm", dies)
    config = tiny(total_steps=32, checkpoint_every=1)
    with pytest.raises(RuntimeError):
        train(config, tmp_path / "cut", progress=False)
    assert read_header(Checkpoints(tmp_path / "cut/checkpoints").find("last")).step == 1
    monkeypatch.setattr(Warmed, "warm", warm)
    cut = train(config, tmp_path / "cut", progress=False)
    first, second = (load_agent(run.folder, "last").weights() for run in (whole, cut))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_every_agent_is_found_under_its_name():
    assert agent_class("ppo") is PPOAgent


def test_a_missing_run_is_named(tiny, tmp_path):
    (tmp_path / "config.toml").write_text(tiny().to_toml())
    with pytest.raises(CheckpointError, match=r"checkpoints: checkpoint: found None, expected one called 'best'"):
        load_agent(tmp_path)
