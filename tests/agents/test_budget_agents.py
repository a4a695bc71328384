"""Agents on sequential allocation: their configs train, and `evaluate budget --agent` judges what comes out."""

import csv
import json
from pathlib import Path

import pytest

from allocenv.agents.config import RunConfig
from allocenv.agents.train import train

CONFIGS = Path(__file__).parents[2] / "configs" / "budget"
SMALL = (
    "params.prompts=16", "params.batch=4", "params.updates=1", "train.n_envs=2", "train.eval_every=1000000",
    "agent_params.n_steps=16", "agent_params.batch_size=16", "agent_params.width=8",
)  # fmt: skip
OF = {
    "maskable_ppo": ("train.total_steps=32",),
    "two_stage": ("train.total_steps=32", "agent_params.imitation_rounds=1", "agent_params.imitation_rows=2"),
}


def trained(name, folder):
    config = RunConfig.load(CONFIGS / f"{name}.toml", (*SMALL, *OF[name]))
    train(config, config.folder(folder), progress=False)
    return config.folder(folder)


def test_both_configs_train_and_are_judged_on_the_same_learners_as_the_rules(cli, tmp_path):
    runs = [trained(name, tmp_path / "runs") for name in OF]
    status, out, err = cli(
        "evaluate", "budget", *(part for run in runs for part in ("--agent", run)), "--learners", 3, "--out", "figures"
    )
    assert (status, err) == (0, "")
    assert "3 learners, 16 updates of 16 x 8 rollouts" in out
    found = json.loads((tmp_path / "figures" / "policies.json").read_text())["policies"]
    rules = {"even", "posterior_index", "signal_index", "oracle_index"}
    assert set(found) == rules | {f"{name}:{name}-seed0" for name in OF}
    assert found["posterior_index"]["over_posterior_index_percent"] == [0.0, 0.0, 0.0]
    assert found["signal_index"]["gain"] > found["even"]["gain"]
    with open(tmp_path / "figures" / "policies.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["policy"] == "even"]
    assert [row["learner"] for row in rows] == ["0", "1", "2"]
    assert sum(float(row["gain"]) for row in rows) / 3 == pytest.approx(found["even"]["gain"])


def test_what_is_no_run_on_the_problem_is_a_clear_error(fails, tmp_path):
    assert "--agent: expected a run folder" in fails("evaluate", "budget", "--agent", "nowhere")


def test_the_player_of_a_game_is_refused(cli, tmp_path):
    config = RunConfig.load(
        CONFIGS / "ppo.toml",
        ("train.total_steps=8", "train.n_envs=2", "agent_params.n_steps=4", "agent_params.batch_size=8",
         "agent_params.setting={every=2, updates=4, prompts=16, batch=4}"),
    )  # fmt: skip
    folder = config.folder(tmp_path / "runs")
    train(config, folder, progress=False)
    status, _, err = cli("evaluate", "budget", "--agent", folder)
    assert status == 2
    assert "expected a run on budget itself, got one on a game beside it" in err
