"""A search on this machine: trials are run folders, the best is a config, and who is killed goes on."""

import signal
import subprocess
import sys
from dataclasses import replace

import optuna
import pytest

from allocenv.agents.config import ConfigError, RunConfig
from allocenv.agents.tuning.local import tune_locally
from allocenv.agents.tuning.ranges import Range
from allocenv.agents.tuning.trials import (
    COMPLETE,
    FAILED,
    PRUNED,
    best_of,
    expect_same_search,
    read_trials,
    write_trials,
)

SEARCH = {"train.learning_rate": Range(1e-4, 1e-2, log=True), "agent_params.n_epochs": Range(1, 3)}

KILLED = """
import os, signal, sys
from pathlib import Path
from allocenv.agents.config import RunConfig
from allocenv.agents.tuning.local import tune_locally

judged = []
def evaluate(policy):
    judged.append(1)
    if len(judged) == 6:  # of four a trial: in the middle of the second
        os.kill(os.getpid(), signal.SIGKILL)
    return {"objective": 1.0}

tune_locally(RunConfig.load(sys.argv[1]), Path(sys.argv[2]), 3, evaluate, False)
"""


@pytest.fixture
def config(tiny):
    return replace(tiny("ppo", total_steps=80), search=SEARCH)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "search"
    made.mkdir()
    return made


def judged_by(*objectives):
    """Gives one objective after the other, four to a trial (steps 0, 32, 64, 80), then the last for ever."""
    left = list(objectives)
    return lambda policy: {"objective": left.pop(0) if len(left) > 1 else left[0]}


def test_trials_are_run_folders_and_the_best_is_a_config(config, folder):
    trials = tune_locally(config, folder, 2, judged_by(4.0, 4.0, 3.0, 4.0, 9.0), progress=False)
    assert [(t.name, t.state, t.objective, t.step) for t in trials] == [
        ("trial-0000", COMPLETE, 3.0, 80),
        ("trial-0001", COMPLETE, 9.0, 80),
    ]
    write_trials(folder, config, trials)
    best = RunConfig.load(folder / "best.toml")
    tried = RunConfig.load(folder / "trial-0000/config.toml")
    assert best == replace(tried, name=best.name)
    assert best.train.learning_rate == trials[0].values["train.learning_rate"]
    assert best.name == f"{config.name}-best"
    head, rows = read_trials(folder)
    assert head == ["trial", "state", "objective", "step", *SEARCH]
    assert [row[:4] for row in rows] == [["trial-0000", "complete", "3", "80"], ["trial-0001", "complete", "9", "80"]]
    assert (folder / "trials.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_worse_than_the_median_is_given_up(config, folder):
    good = [1.0] * 4
    trials = tune_locally(config, folder, 4, judged_by(*good, *good, *good, 7.0), progress=False)
    assert [t.state for t in trials] == [COMPLETE] * 3 + [PRUNED]
    assert (trials[3].objective, trials[3].step) == (7.0, 32)
    assert best_of(trials) == trials[0]


def test_the_same_search_asks_the_same(config, folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    once = tune_locally(config, folder, 2, judged_by(1.0), progress=False)
    tune_locally(config, other, 1, judged_by(1.0), progress=False)
    assert tune_locally(config, other, 2, judged_by(1.0), progress=False) == once


def test_a_killed_trial_goes_on_where_it_was(config, folder, tmp_path):
    file = tmp_path / "small.toml"
    table = '\n[search]\n"train.learning_rate" = { low = 1e-4, high = 1e-2, log = true }\n'
    file.write_text(config.to_toml() + table + '"agent_params.n_epochs" = { low = 1, high = 3 }\n')
    killed = subprocess.run([sys.executable, "-c", KILLED, file, folder], check=False)
    assert killed.returncode == -signal.SIGKILL
    trials = tune_locally(RunConfig.load(file), folder, 3, judged_by(1.0), progress=False)
    assert [t.state for t in trials] == [COMPLETE] * 3
    assert (folder / "trial-0001/run.json").read_text().count('"seed"') == 2  # sessions


def test_values_that_do_not_go_together_fail_and_the_search_goes_on(tiny, folder):
    search = {"agent_params.batch_size": Range(choices=(8, 16))}
    config = replace(tiny("ppo"), search=search)

    def build_fails(*args, **kwargs):
        raise ConfigError("trial", "agent_params", 8, "another")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("allocenv.agents.tuning.local.train", build_fails)
        trials = tune_locally(config, folder, 2, judged_by(1.0), progress=False)
    assert [t.state for t in trials] == [FAILED] * 2
    assert best_of(trials) is None


def test_a_folder_with_another_search_is_refused(config, folder):
    expect_same_search(folder, config, "local")
    expect_same_search(folder, config, "local")
    for other, engine in ((replace(config, seed=4), "local"), (config, "ray"), (replace(config, search={}), "local")):
        with pytest.raises(ConfigError, match="expected the search there"):
            expect_same_search(folder, other, engine)


def test_a_trial_that_another_process_works_at_is_left_alone(config, folder):
    from allocenv.agents.tuning.local import _hold

    tune_locally(config, folder, 1, judged_by(1.0), progress=False)
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(folder / "journal.log")))
    optuna.load_study(study_name="study", storage=storage).ask()  # as another process would
    held = _hold(folder / "trial-0001")
    trials = tune_locally(config, folder, 2, judged_by(1.0), progress=False)
    assert [t.state for t in trials] == [COMPLETE, "running"]
    held.close()
    assert [t.state for t in tune_locally(config, folder, 2, judged_by(1.0), progress=False)] == [COMPLETE] * 2


def test_a_search_from_the_command_line_to_the_report(tiny, cli, tmp_path):
    file = tmp_path / "small.toml"
    file.write_text(tiny("ppo", total_steps=16).to_toml() + '\n[search]\n"train.learning_rate" = {low=1e-4, high=1e-2}')
    status, out, err = cli("tune", file, "--trials", 2, "--no-progress", "--out", tmp_path)
    assert (status, err) == (0, "")
    assert "trial-0001" in out
    made = tmp_path / "vm/ppo/default-tune"
    assert cli("train", made / "best.toml", "--no-progress", "--out", tmp_path)[0] == 0
    assert cli("compare", made, "--html", tmp_path / "report.html")[0] == 0
    assert "Trials of the search default-tune" in (tmp_path / "report.html").read_text()


def test_a_config_without_a_search_is_refused(tiny, tmp_path, fails):
    file = tmp_path / "small.toml"
    file.write_text(tiny("ppo").to_toml())
    assert "search: found None, expected a table [search]" in fails("tune", file)
