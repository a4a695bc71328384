"""What is predicted of many machines follows from the costs; nothing here needs Ray."""

import json
from functools import partial

import pytest

from allocenv.agents.bench import run_bench
from allocenv.agents.engines import bars
from allocenv.agents.engines.scaling import MARKS, Costs, Load, evaluation_section, predicted
from allocenv.core.files import between_marks

COSTS = Costs(chunk=0.001, kept=0.001, trip=0.01, in_flight=4, shard_bytes=900, start=10.0)


def test_a_prediction_is_the_formula():
    # 80,000 tasks of 0.1 s on 100 cores: chunks of 1 s hold 10. Workers: 800 x (0.1 + 0.01 / 10) = 80.8 s;
    # the driver: 8,000 chunks x 1 ms = 8 s, at the same time. 10 s to start, 0.1 s for the last.
    seconds, efficiency = predicted(Load("", 80_000, 0.1), COSTS, 100)
    assert seconds == pytest.approx(10 + 80.8 + 0.1)
    assert efficiency == pytest.approx(80 / seconds)


def test_one_driver_is_the_limit_where_chunks_cost_it_much():
    dear = COSTS._replace(chunk=0.1)
    # Chunks of 1 s, 8,000 of them at 0.1 s.
    assert predicted(Load("", 80_000, 0.1), dear, 100)[0] == pytest.approx(10 + 800 + 0.1)


def test_more_machines_are_never_slower_and_never_more_efficient():
    found = [predicted(Load("", 30_000, 3.0), COSTS, workers) for workers in (1, 16, 160, 1600)]
    assert [seconds for seconds, _ in found] == sorted((seconds for seconds, _ in found), reverse=True)
    assert [efficiency for _, efficiency in found] == sorted((e for _, e in found), reverse=True)
    assert all(0 < efficiency <= 1 for _, efficiency in found)


def test_the_page_has_room_for_the_table():
    from allocenv.agents.bench import ROOT

    page = ROOT / "agents" / "engines" / "README.md"
    assert "| 100 |" in between_marks(page, evaluation_section(COSTS), MARKS)


def test_the_engines_have_bars_as_problems_have(monkeypatch, tmp_path):
    runs = iter([(10.0, 20.0), (10.5, 21.0), (12.0, 22.0), (10.0, 20.0), (12.0, 22.0)])  # the first one compiles
    monkeypatch.setattr(bars, "spent", lambda arguments: bars.Spent(*next(runs), load=1.0))
    assert run_bench("engines", ["1"], tmp_path)
    (bar,) = json.loads((tmp_path / "engines.json").read_text())["bars"]
    # Local by Ray: 10.5 / 12 = 0.875 and 10 / 12 = 0.833 by wall time, 0.955 and 0.909 by CPU time; their means.
    assert "0.85 of the local engine's by wall time" in bar["figure"]
    assert bar["values"]["wall"] == pytest.approx((0.875 + 10 / 12) / 2)


def test_what_a_command_took_counts_all_its_processes(monkeypatch):
    monkeypatch.setattr(bars.sys, "executable", "/bin/sh")
    monkeypatch.setattr(bars.subprocess, "run", partial(_run_instead, bars.subprocess.run))
    took = bars.spent(())
    assert took.wall >= 1.5  # seconds
    assert 0 < took.cpu < 2  # how much of the time it got is not ours to say


def _run_instead(run, command, **options):
    """A shell whose child is busy for a second and a half of wall time."""
    return run(["/bin/sh", "-c", "timeout 1.6 sh -c 'while :; do :; done'; true"], **options)
