"""The command line as tests call it, and a run small enough for a test."""

import sys

import pytest

from allocenv.agents.cli import main
from allocenv.agents.config import RunConfig

PARAMS = {
    "ppo": {"n_steps": 8, "batch_size": 16, "n_epochs": 2, "width": 8},
    "maskable_ppo": {"n_steps": 8, "batch_size": 16, "n_epochs": 2, "width": 8},
    "two_stage": {
        "n_steps": 8,
        "batch_size": 16,
        "n_epochs": 2,
        "width": 8,
        "imitation_rounds": 3,
        "imitation_rows": 2,
    },
    "a2c": {"n_steps": 8, "width": 8},
    "dqn": {"learning_starts": 8, "buffer_size": 64, "batch_size": 8, "unit_steps": 16, "width": 8},
    "qr_dqn": {"learning_starts": 8, "buffer_size": 64, "batch_size": 8, "unit_steps": 16, "width": 8},
}


@pytest.fixture
def tiny():
    """A config for an agent; keyword arguments are entries of [train]."""

    def make(agent="ppo", **train):
        return RunConfig.from_dict(
            {
                "problem": "vm",
                "agent": agent,
                "params": {"n_pms": 3, "max_moves": 4},
                "train": {
                    "n_envs": 2,
                    "total_steps": 80,
                    "checkpoint_every": 32,
                    "eval_every": 32,
                    "figures": False,
                    **train,
                },
                "agent_params": PARAMS[agent],
            }
        )

    return make


@pytest.fixture
def cli(monkeypatch, capsys, tmp_path):
    """Run the command line in an empty folder: exit status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["allocenv", *map(str, arguments)])
        try:
            main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        return status, *capsys.readouterr()

    return call


@pytest.fixture
def fails(cli, tmp_path):
    """Expect one line on standard error, exit status 2 and no file."""

    def call(*arguments):
        before = sorted(tmp_path.rglob("*"))
        status, _, err = cli(*arguments)
        assert status == 2
        assert err.startswith("Error: ")
        assert err.count("\n") == 1
        assert err.strip().isprintable()
        assert sorted(tmp_path.rglob("*")) == before
        return err

    return call
