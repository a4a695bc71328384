"""Which engine a command gets, and one line where it cannot be had. None of these needs Ray."""

import importlib.util

import pytest

from allocenv.agents.engines.choice import Choice

ADDRESS = ("--engine", "ray", "--address", "127.0.0.1:1")
COMMANDS = [("evaluate", "vm"), ("evaluate", "storage-episodes"), ("evaluate", "storage", "--archive", ".")]


@pytest.fixture
def without_ray(monkeypatch):
    """As if Ray were not installed."""
    found = importlib.util.find_spec
    for module in ("importlib.util", "allocenv.agents.engines"):
        monkeypatch.setattr(f"{module}.find_spec", lambda name, *more: None if name == "ray" else found(name, *more))


@pytest.mark.parametrize("command", COMMANDS)
def test_without_ray_a_line_says_what_to_install(fails, without_ray, command):
    assert "--engine ray: Ray is not installed. Install it with: pip install 'allocenv[ray]'" in fails(
        *command, "--engine", "ray"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_engine_is_refused(fails, command):
    assert "--engine: expected local or ray, got 'spark'" in fails(*command, "--engine", "spark")


def test_options_of_a_cluster_belong_to_ray(fails):
    assert "--address: expected --engine ray with it" in fails("evaluate", "vm", "--address", "127.0.0.1:1")
    pytest.importorskip("ray")
    assert "--processes: expected none with --address" in fails("evaluate", "vm", *ADDRESS, "--processes", 2)


def test_one_trace_is_not_divided(fails):
    assert "expected an --archive with them" in fails("evaluate", "storage", "--trace", "hm_1", "--processes", 2)


class Doubling:
    """A job that notes how often it is prepared."""

    prepared = 0

    def prepare(self):
        Doubling.prepared += 1
        return lambda task: 2 * task


def test_the_local_engine_prepares_once_or_takes_what_is_ready():
    Doubling.prepared = 0
    with Choice().pool(Doubling()) as pool:
        assert pool.result(pool.submit(["a"]))[1] == ["aa"]
        assert pool.workers == 1
    with Choice(processes=2).pool(Doubling(), lambda: lambda task: task) as pool:
        assert pool.result(pool.submit(["a"]))[1] == ["a"]
        assert pool.workers == 2
    assert Doubling.prepared == 1
