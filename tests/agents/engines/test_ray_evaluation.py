"""Evaluation on a cluster of two raylets: what one process finds, whoever is killed on the way."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from allocenv.core.results import read_results

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]

VM = ("vm", "--seconds", 0.3, "--limit", 4, "--against", "annealing,greedy,random", "--seeds", 2)
MEETINGS = 3 * 4 * 2  # limits, instances, seeds


@pytest.fixture(scope="module")
def cluster():
    """Two raylets of one CPU each."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")  # not 15: beside other tests workers would starve
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 100_000_000})
        made.add_node(num_cpus=1, object_store_memory=100_000_000)
        made.wait_for_nodes()
        yield made
        made.shutdown()


@pytest.fixture
def on_ray(cluster):
    return ("--engine", "ray", "--address", cluster.address)


@pytest.fixture
def evaluated(cli):
    """Evaluate into a folder of this name: standard output."""

    def call(name, *arguments):
        status, out, err = cli("evaluate", *arguments, "--out", name)
        assert (status, err) == (0, "")
        return out

    return call


def rows(folder):
    """What does not depend on the machine's speed."""
    return [replace(row, wall=0.0, cpu=0.0, peak_mb=0.0) for row in read_results(Path(folder)).rows]


def shards(folder):
    return list(Path(folder, "shards").glob("*/*.json"))


def workers(raylet):
    """Processes of a raylet that do an evaluation's tasks."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            parent = int(re.search(r"PPid:\s+(\d+)", status.read_text())[1])
            if parent == raylet and "_do" in (status.parent / "cmdline").read_text():
                found.append(int(status.parent.name))
        except (OSError, TypeError):
            continue  # it has ended
    return found


def raylet_of(node):
    return node.all_processes["raylet"][0].process.pid


class Killer(threading.Thread):
    """Kills who `find` finds (the first of them) as soon as a shard is written."""

    def __init__(self, folder, find):
        super().__init__(daemon=True)
        self.folder, self.find, self.killed, self.finished_by_then = folder, find, None, 0
        self.start()

    def run(self):
        until = time.monotonic() + 120
        while time.monotonic() < until and self.killed is None:
            if shards(self.folder) and (found := self.find()):
                self.finished_by_then = len(shards(self.folder))
                os.kill(found[0], signal.SIGKILL)
                self.killed = found[0]
            time.sleep(0.02)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The rows that one process finds."""
    folder = tmp_path_factory.mktemp("alone")
    command = [sys.executable, "-m", "allocenv.agents.cli", "evaluate", *map(str, VM), "--out", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return rows(folder)


def test_a_cluster_finds_what_one_process_finds(evaluated, on_ray, tiny):
    from allocenv.agents.train import train

    run = train(tiny("maskable_ppo"), "run", progress=False).folder
    small = ("vm", "--seconds", 0.1, "--limit", 2, "--against", "greedy,annealing", "--agent", run.resolve())
    evaluated("one", *small)
    evaluated("many", *small, *on_ray)
    assert rows("one") == rows("many")
    assert not shards("many")


def test_another_problem_and_an_archive_too(cli, evaluated, on_ray, tmp_path):
    budget = ("budget-episodes", "--seconds", 0.1, "--limit", 2, "--against", "random,even,posterior_index")
    evaluated("one", *budget)
    evaluated("many", *budget, *on_ray)
    assert rows("one") == rows("many")
    (tmp_path / "traces").mkdir()
    for seed in range(3):
        cli("generate", "storage", "--out", f"traces/{seed}.csv", "--requests", 500, "--seed", seed)
    archive = ("storage", "--archive", tmp_path / "traces", "--policies", "slow_only,lru")
    tables = [evaluated(name, *archive, *more).partition("H 10 %")[2] for name, more in (("a", ()), ("b", on_ray))]
    assert tables[0].partition("Written")[0] == tables[1].partition("Written")[0] != ""


def test_a_worker_that_is_killed_is_replaced(evaluated, cluster, on_ray, alone):
    nodes = (cluster.head_node, *cluster.worker_nodes)
    killer = Killer("hit", lambda: [worker for node in nodes for worker in workers(raylet_of(node))])
    evaluated("hit", *VM, *on_ray)
    assert killer.killed is not None
    assert killer.finished_by_then < MEETINGS
    assert rows("hit") == alone


def test_a_killed_driver_goes_on_where_it_was(evaluated, on_ray, alone, tmp_path):
    command = [sys.executable, "-m", "allocenv.agents.cli", "evaluate", *map(str, VM), "--out", str(tmp_path / "x")]
    driver = subprocess.Popen([*command, *on_ray], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while len(shards("x")) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    driver.kill()
    driver.wait()
    kept = [json.loads(file.read_text())["results"] for file in shards("x")]
    before = [row for results in kept for meeting in results.values() for row in meeting]
    done = sum(map(len, kept))
    assert 2 <= done < MEETINGS
    out = evaluated("x", *VM, *on_ray)
    assert f"{done} of {MEETINGS}." in " ".join(out.split())
    assert rows("x") == alone
    walls = {row.wall for row in read_results(Path("x")).rows}
    assert {row["wall"] for row in before} <= walls  # measured once, so they were not done again
    assert not shards("x")


def test_a_raylet_that_is_killed_is_done_without(evaluated, cluster, on_ray, alone):
    node = next(iter(cluster.worker_nodes))
    killer = Killer("lost", lambda: [raylet_of(node)])  # on a busy machine its worker may only be starting by then
    evaluated("lost", *VM, *on_ray)
    assert killer.killed is not None
    assert killer.finished_by_then < MEETINGS
    assert rows("lost") == alone
