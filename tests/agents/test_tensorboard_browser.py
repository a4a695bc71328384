"""The real TensorBoard, in a browser: the charts of a run are there, opponents in the same ones, and runs compared."""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from browser import visit

from allocenv.agents.tensorboard import Curves

RATES = {"run": 1e-2, "slow": 1e-3}


@pytest.fixture
def board(tmp_path):
    """The address of a TensorBoard on two small runs."""
    for name, rate in RATES.items():
        curves = Curves(tmp_path / name, "two_stage")
        for step in (10, 20, 30):
            curves.record("eval", {"objective": 0.5 - rate * step})
            curves.record("rollout", {"return": step})
            curves.flush(step)
            curves.opponent("greedy", {"objective": 0.4}, step)
        curves.hparams({"agent": "two_stage", "train": {"learning_rate": rate}}, ["eval/objective"])
        curves.flush(30)
        curves.close()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(tmp_path), "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield _answering(f"http://127.0.0.1:{port}/")
    finally:
        server.terminate()
        server.wait()


def _answering(address):
    """The address, once the server answers there."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"{address}data/runs", timeout=5) as answer:
                if b"two_stage" in answer.read():
                    return address
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.5)
    raise TimeoutError(address)


def test_its_charts_hold_the_run_and_its_opponents(board, tmp_path):
    shown = visit(f"{board}#timeseries", tmp_path)
    for word in ("eval/objective", "rollout/return", "run/two_stage", "run/greedy"):
        assert word in shown, word


def test_its_table_of_hyperparameters_compares_the_runs(board):
    asked = json.dumps(
        {
            "experimentName": "",
            "allowedStatuses": ["STATUS_SUCCESS", "STATUS_RUNNING", "STATUS_UNKNOWN"],
            "colParams": [{"hparam": "train.learning_rate"}, {"metric": {"group": "", "tag": "eval/objective"}}],
            "startIndex": 0,
            "sliceSize": 10,
        }
    ).encode()
    request = urllib.request.Request(
        f"{board}data/plugin/hparams/session_groups", asked, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        groups = json.load(answer)["sessionGroups"]
    found = {
        group["hparams"]["train.learning_rate"]: {m["name"]["tag"]: m["value"] for m in group["metricValues"]}
        for group in groups
    }
    assert found.keys() == set(RATES.values())
    for rate, metrics in found.items():
        assert metrics["eval/objective"] == pytest.approx(0.5 - rate * 30)
