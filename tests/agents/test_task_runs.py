"""SB3's agents on task allocation from the shipped configs: trained, gone on with, judged among its opponents."""

from pathlib import Path

import pytest

from allocenv.agents.config import RunConfig
from allocenv.agents.train import load_agent, train

CONFIGS = Path(__file__).parents[2] / "configs" / "task"
SMALL = ("params.n_entities=6", "params.n_slots=2", "params.n_tasks=3", "train.n_envs=2", "agent_params.n_steps=8")
SMALLER = (*SMALL, "agent_params.batch_size=16", "agent_params.width=8", "train.checkpoint_every=16", "name=run")


def small(agent, total_steps):
    """The shipped config, small enough for a test; the rate decays to the same end."""
    overrides = (*SMALLER, "train.learning_rate_decay=false", f"train.total_steps={total_steps}")
    return RunConfig.load(CONFIGS / f"{agent}.toml", overrides)


@pytest.mark.parametrize("agent", ["ppo", "maskable_ppo"])
def test_a_run_from_the_shipped_config_goes_on_exactly_where_it_stopped(agent, tmp_path):
    train(small(agent, 64), tmp_path / "once", progress=False)
    train(small(agent, 32), tmp_path / "twice", progress=False)
    result = train(small(agent, 64), tmp_path / "twice", progress=False)
    assert (result.step, result.finished) == (64, True)
    once, twice = (load_agent(tmp_path / name, "last").weights() for name in ("once", "twice"))
    assert all((once[key] == twice[key]).all() for key in once)


def test_a_run_is_judged_beside_the_opponents(cli, tmp_path):
    train(small("maskable_ppo", 16), tmp_path / "run", progress=False)
    against = ("--against", "greedy", "--limit", "1", "--out", tmp_path / "out")
    status, _, err = cli("evaluate", "task", "--policies", tmp_path / "run", *against)
    assert (status, err) == (0, "")
    table = (tmp_path / "out" / "table.md").read_text()
    assert "| maskable_ppo:run | " in table
    assert "| greedy | " in table
    assert "ILLEGAL" not in table


def test_the_run_of_another_problem_and_no_run_are_refused(cli, tiny, tmp_path):
    train(tiny(total_steps=16), tmp_path / "vm", progress=False)
    for folder, told in ((tmp_path / "vm", "expected 'task'"), (tmp_path / "none", "a run folder")):
        status, _, err = cli("evaluate", "task", "--agent", folder, "--limit", "1")
        assert status == 2
        assert told in err
