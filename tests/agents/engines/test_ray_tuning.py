"""A search on a cluster: Ray Tune's trials are run folders too."""

import pytest

from allocenv.agents.config import RunConfig
from allocenv.agents.tuning.trials import read_trials

pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray"), pytest.mark.filterwarnings("default")]


def test_trials_on_a_cluster_and_the_finished_search_again(tiny, cli, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_worker_niceness", "0")
    file = tmp_path / "small.toml"
    search = '\n[search]\n"train.learning_rate" = { low = 1e-4, high = 1e-2, log = true }\n'
    file.write_text(tiny("ppo", total_steps=32, eval_every=16).to_toml() + search)
    command = ("tune", file, "--engine", "ray", "--trials", 2, "--no-progress", "--out", tmp_path)
    status, out, _ = cli(*command)
    assert (status, "Best: trial-" in out) == (0, True)
    made = tmp_path / "vm/ppo/default-tune"
    _, rows = read_trials(made)
    assert len(rows) == 2
    assert {row[1] for row in rows} <= {"complete", "pruned"}
    for row in rows:
        run = RunConfig.load(made / row[0] / "config.toml")
        assert f"{run.train.learning_rate:.6g}" == row[4]
    assert RunConfig.load(made / "best.toml").name == "default-best"
    assert cli(*command)[0] == 0
    assert read_trials(made)[1] == rows
