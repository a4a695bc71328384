"""A run small enough for a test."""

import pytest

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
