"""Training on a cluster of two raylets: who is killed on the way changes nothing of what a run is in the end."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from allocenv.agents.checkpoint import Checkpoints, read_header
from allocenv.agents.engines.training import Engine, builder
from allocenv.agents.train import load_agent, train
from allocenv.core.batch import Batch

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray"), pytest.mark.filterwarnings("default")]

UNIT = 16  # steps: two environments, eight each
IMITATED = 24  # steps of the three rounds
DEADLINE = 300.0  # seconds; a busy machine is no failure


@pytest.fixture
def cluster():
    """Two raylets of one CPU each, new for each test: all would wait for a raylet that an old one has lost."""
    os.environ.setdefault("RAY_worker_niceness", "0")  # or workers wait for whatever else the machine does
    made = started()
    yield made
    made.shutdown()


def started(tries=3):
    """Ray gives a raylet 30 seconds to start, which a busy machine may miss."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "object_store_memory": 100_000_000, "include_dashboard": False}
    made = None
    try:
        made = Cluster(initialize_head=True, head_node_args=head)
        made.add_node(num_cpus=1, object_store_memory=100_000_000)
        made.wait_for_nodes(timeout=DEADLINE)
    except Exception:
        if made is not None:
            made.shutdown()
        if tries > 1:
            return started(tries - 1)
        raise
    return made


def longer(config, total_steps):
    return replace(config, train=replace(config.train, total_steps=total_steps))


class Strikes:
    """Kills in the middle of the units named: first the runner on the head, then the other raylet."""

    def __init__(self, cluster, of_runner, of_raylet):
        self.cluster, self.of_runner, self.of_raylet = cluster, of_runner, of_raylet
        self.sizes, self.struck = [], []

    def __call__(self, collect, algorithm):
        unit = len(self.sizes)
        if unit == 0:
            self.begun = {name: weight.clone() for name, weight in algorithm.state()[0].items()}
        kill = {self.of_runner: self.kill_runner, self.of_raylet: self.kill_raylet}.get(unit)
        if kill is not None:
            # As a lambda it travels as it is: runners cannot import the tests.
            where = lambda runner: (ray.get_runtime_context().get_node_id(), os.getpid())  # noqa: E731
            pids = algorithm.env_runner_group.foreach_env_runner(where, local_env_runner=False)
            threading.Timer(0.01, kill, [dict(pids)]).start()
        batch = collect(algorithm)
        self.sizes.append(len(batch))
        return batch

    def kill_runner(self, pids):
        os.kill(pids[self.cluster.head_node.node_id], signal.SIGKILL)
        self.struck.append("runner")

    def kill_raylet(self, pids):
        (other,) = self.cluster.worker_nodes
        self.cluster.remove_node(other, allow_graceful=False)
        self.struck.append("raylet")


def test_a_run_begun_here_outlives_a_runner_and_a_raylet_on_a_cluster_and_ends_here(
    cluster, tiny, tmp_path, monkeypatch, cli
):
    from allocenv.agents.engines.rllib.algorithm import RolloutPPO

    config, run = tiny("two_stage"), tmp_path / "run"
    train(longer(config, UNIT), run, progress=False)
    begun_here = load_agent(run, "last").weights()
    strikes, collect = Strikes(cluster, of_runner=2, of_raylet=5), RolloutPPO._collect
    monkeypatch.setattr(RolloutPPO, "_collect", lambda algorithm: strikes(collect, algorithm))
    units = []
    with builder(Engine("ray", cluster.address, env_runners=2), config) as build:
        result = train(
            longer(config, 9 * UNIT), run, progress=False, build=build, evaluate=objective(config),
            report=lambda step, best: units.append(step),
        )  # fmt: skip
    assert all(torch.equal(strikes.begun[f"network.{name}"], weight) for name, weight in begun_here.items())
    assert strikes.struck == ["runner", "raylet"]
    assert strikes.sizes == [UNIT] * 8
    assert (result.step, result.finished) == (IMITATED + 9 * UNIT, True)
    assert units == sorted(set(units))
    assert train(longer(config, 11 * UNIT), run, progress=False).step == IMITATED + 11 * UNIT
    tiny_vm = ("--set", "n_pms=3", "--set", "max_moves=4", "--limit", 1, "--against", "greedy")
    status, out, _ = cli("evaluate", "vm", "--agent", run, *tiny_vm)
    assert (status, "two_stage:run" in out) == (0, True)
    assert cli("export", "weights", run, "--name", "exported", "--out", tmp_path)[0] == 0
    assert cli("curve", run, "--out", tmp_path / "curve.png")[0] == 0


def objective(config):
    """The mean objective on two fixed instances."""
    batch = Batch(config.make_problem(), 2, seed=99)

    def evaluate(policy):
        batch.reset(99)
        for _ in range(batch.problem.max_steps):
            batch.step(policy(batch))
        return {"objective": float(np.mean(batch.costs()))}

    return evaluate


def test_a_killed_driver_goes_on_by_the_same_command(cluster, tiny, tmp_path):
    file = tmp_path / "small.toml"
    file.write_text(longer(tiny("ppo", checkpoint_every=UNIT), 400 * UNIT).to_toml())
    on = ("--engine", "ray", "--address", cluster.address, "--no-progress", "--out", tmp_path)
    run = tmp_path / "vm/ppo/default"
    command = [sys.executable, "-m", "allocenv.agents.cli", "train", str(file), *map(str, on)]
    driver = subprocess.Popen(command)
    began = time.monotonic()
    while reached(run) < 2 * UNIT:
        assert driver.poll() is None
        assert time.monotonic() - began < DEADLINE
        time.sleep(0.1)
    driver.kill()
    driver.wait()
    saved = reached(run)
    total = (saved // UNIT + 3) * UNIT
    longer_still = ["--learners", "1", "--set", f"train.total_steps={total}"]
    done = subprocess.run([*command, *longer_still], capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert (done.returncode, done.stdout.startswith("Finished")) == (0, True), done.stderr
    assert reached(run) == total
    sessions = json.loads((run / "run.json").read_text())["sessions"]
    assert [session["resumed_from"] for session in sessions] == [None, f"step-{saved:010d}"]
    evaluated = json.loads((run / "results.json").read_text())["evaluations"]
    steps = [entry["step"] for entry in evaluated]
    assert steps == sorted(set(steps))
    assert steps[-1] == total


def reached(run):
    last = Checkpoints(run / "checkpoints").find("last")
    return read_header(last).step if last else 0
