"""A run killed at any moment and resumed ends with the weights of the uninterrupted run, bit by bit."""

import signal
import subprocess
import sys

import pytest

from allocenv.agents.checkpoint import Checkpoints, read_checkpoint, read_header
from allocenv.agents.config import RunConfig
from allocenv.agents.train import train
from allocenv.wrappers.sb3 import AllocVecEnv

KILLED = """
import os, pathlib, signal, sys, warnings
warnings.simplefilter("error")
from allocenv.agents import checkpoint
from allocenv.agents.config import RunConfig
from allocenv.agents.train import train
from allocenv.agents.two_stage.imitation import Imitator
from allocenv.wrappers.sb3 import AllocVecEnv

def kill_at(owner, name, count):
    method, calls = getattr(owner, name), []
    def counted(*args, **kwargs):
        calls.append(1)
        if len(calls) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return method(*args, **kwargs)
    setattr(owner, name, counted)

moment, config, folder = sys.argv[1:]
if moment == "in a rollout":
    kill_at(AllocVecEnv, "step_wait", 8 * 4 + 3)
elif moment == "in a round of imitation":
    kill_at(Imitator, "_learn", 3)  # the second of the second round's three
else:
    kill_at(pathlib.Path, "rename", 3)  # the third checkpoint is on the disk, but not yet under its name
train(RunConfig.load(config), folder, progress=False)
"""


def final(folder):
    return read_checkpoint(Checkpoints(folder / "checkpoints").find("last"))


def same(a, b):
    if hasattr(a, "shape"):
        return a.shape == b.shape and bool((a == b).all())
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a if key != "t")  # t: seconds
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.mark.parametrize(
    ("agent", "moment", "every", "saved"),
    [
        ("ppo", "in a rollout", 32, (64, "ppo")),
        ("ppo", "while a checkpoint is written", 32, (32, "ppo")),
        ("two_stage", "in a round of imitation", 8, (8, "imitation")),
    ],
)
def test_killed_with_sigkill(tiny, tmp_path, agent, moment, every, saved):
    file = tmp_path / "config.toml"
    file.write_text(tiny(agent, total_steps=112, checkpoint_every=every, learning_rate_decay=True).to_toml())
    config = RunConfig.load(file)
    killed = subprocess.run([sys.executable, "-c", KILLED, moment, file, tmp_path / "killed"], check=False)
    assert killed.returncode == -signal.SIGKILL
    last = read_header(Checkpoints(tmp_path / "killed/checkpoints").find("last"))
    assert (last.step, last.phase) == saved
    train(config, tmp_path / "killed", progress=False)
    train(config, tmp_path / "whole", progress=False)
    assert same(final(tmp_path / "killed"), final(tmp_path / "whole"))


@pytest.mark.parametrize("agent", ["two_stage", "a2c", "maskable_ppo", "dqn", "qr_dqn"])
def test_an_error_in_the_middle(tiny, tmp_path, monkeypatch, agent):
    config = tiny(agent)
    whole = train(config, tmp_path / "whole", progress=False)
    step, calls = AllocVecEnv.step_wait, []

    def breaks(self):
        calls.append(1)
        if len(calls) == 27:
            raise OSError("the disk is full")
        return step(self)

    monkeypatch.setattr(AllocVecEnv, "step_wait", breaks)
    with pytest.raises(OSError, match="full"):
        train(config, tmp_path / "broken", progress=False)
    broken = train(config, tmp_path / "broken", progress=False)
    assert same(final(broken.folder), final(whole.folder))
