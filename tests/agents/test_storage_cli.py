"""Hybrid storage from the command line: traces in, tables, plots and advice out; one clear line for bad input."""

import csv
import json

import numpy as np
import pytest
from fio_output import fio_json

from allocenv.core.results import read_results
from allocenv.problems.storage.devices import Device
from allocenv.problems.storage.formats import read_trace, write_trace
from allocenv.problems.storage.trace import PAGE_BYTES, Trace

FLASH = Device("flash", 80, 25, 7.3, 8.0, read_sigma=0.3, write_sigma=0.6)
QUICK = ("--policies", "slow_only,lru,lru_p05")
MARKED = "before\n<!-- storage:start -->\nold\n<!-- storage:end -->\nafter\n"


@pytest.fixture
def trace(tmp_path):
    """A file of 400 requests of one page: ten pages, the first of them half of the time."""
    rng = np.random.default_rng(0)
    page = np.where(rng.random(400) < 0.5, 0, rng.integers(1, 10, 400))
    made = Trace.of("t", np.arange(400) * 10**6, page * PAGE_BYTES, np.full(400, PAGE_BYTES), rng.random(400) < 0.5)
    path = tmp_path / "t.csv"
    write_trace(made, path, "msr")
    return path


def evaluated(cli, trace, *arguments):
    status, out, err = cli("evaluate", "storage", "--trace", trace, "--out", "figures", *QUICK, *arguments)
    assert (status, err) == (0, "")
    return out


def test_an_evaluation_names_its_rules_and_writes_what_it_shows(cli, trace, tmp_path):
    out = evaluated(cli, trace, "--seeds", 2)
    assert "t: 200 requests (the second half); H 10 %, M; moves charged; closed loop; 2 seeds" in out
    assert "a request that causes moves waits for them" in out
    assert {"latency.png", "rows.csv", "results.json"} <= {path.name for path in (tmp_path / "figures").iterdir()}
    found = read_results(tmp_path / "figures")
    told = found.details
    assert (told["accounting"], told["devices"], told["capacity_pages"]) == ("charged", ["H", "M"], [1, 10])
    assert [(row.contender, row.seed) for row in found.rows] == [
        (name, seed) for name in ("slow_only", "lru", "lru_p05") for seed in (0, 1)
    ]
    slow = found.rows[0]
    assert slow.objective == 37  # M takes 37 us, whatever is asked for
    assert (slow.figures["p99"], slow.figures["promoted"], slow.figures["normalised"]) == (37, 0, 3.7)
    with open(tmp_path / "figures" / "rows.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["figure_mean"]) for row in rows] == [row.objective for row in found.rows]


def test_evaluations_of_traces_can_be_compared_on_a_page(cli, trace, tmp_path):
    evaluated(cli, trace, "--seeds", 2)
    status, out, err = cli("compare", "figures", "--html", "page.html")
    assert (status, err) == (0, "")
    assert "storage, t, second-half, H 10 %, M, moves charged: 1 instance, 2 seeds; mean latency" in out
    page = (tmp_path / "page.html").read_text()
    assert "Latency over the trace: t: 200 requests" in page
    assert "data:image/png;base64," in page


def test_a_size_curve_has_a_point_for_each_policy_and_size(cli, trace, tmp_path):
    out = evaluated(cli, trace, "--size-curve", "--moves", "free")
    with open(tmp_path / "figures" / "size_curve.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 6
    lru = [float(row["normalised"]) for row in rows if row["policy"] == "lru"]
    assert lru == sorted(lru, reverse=True)  # with free moves a larger fast device never hurts LRU
    assert "50 %" in out
    assert (tmp_path / "figures" / "size_curve.png").read_bytes().startswith(b"\x89PNG")


def test_the_table_lands_between_the_marks_of_a_readme(cli, trace, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(MARKED)
    evaluated(cli, trace, "--readme", readme)
    text = readme.read_text()
    assert text.startswith("before\n<!-- storage:start -->\n| policy |")
    assert text.endswith("<!-- storage:end -->\nafter\n")
    assert "old" not in text
    assert "moves charged" in text


def test_advice_is_told_in_the_words_of_the_stacks(cli, trace, tmp_path):
    status, out, err = cli("plan", "storage", "--trace", trace, "--fast", 0.2, "--out", "advice")
    assert (status, err) == (0, "")
    plan = json.loads((tmp_path / "advice" / "plan.json").read_text())
    # Every request of LRU moves a page or finds it fast; a setting that admits less cannot be worse than today's.
    assert plan["advice"]["expected"]["mean"] <= plan["today"]["mean"]
    assert plan["advice"]["gain"] > 0
    assert any(s["stack"] == "Open CAS" for s in plan["settings"])
    assert "bcache" in out
    assert "Advice: " in out


def test_a_fitted_device_can_be_evaluated_on(cli, trace, tmp_path):
    (tmp_path / "fio.json").write_text(fio_json(FLASH, sizes=(4, 64), n=2000))
    status, out, err = cli("data", "fit-device", "fio.json", "--out", "flash.json", "--dwpd", 1)
    assert (status, err) == (0, "")
    assert "Largest error: mean" in out
    out = evaluated(cli, trace, "--devices", "H,flash.json")
    assert "H 10 %, flash" in out


def test_a_made_up_trace_is_converted_and_described(cli, tmp_path):
    made = ("generate", "storage", "--like", "prxy_0", "--requests", 300, "--out", "made.csv.gz", "--format", "msr")
    assert cli(*made)[0] == 0
    status, out, err = cli("data", "convert", "made.csv.gz", "made.lis", "--to", "lis")
    assert (status, err) == (0, "")
    assert "does not hold it: clock, writes" in out
    before, after = read_trace(tmp_path / "made.csv.gz"), read_trace(tmp_path / "made.lis")
    np.testing.assert_array_equal(before.requests.first, after.requests.first)
    status, out, _ = cli("data", "statistics", "made.lis")
    assert status == 0
    assert f"{len(before)}" in out
    assert "no clock" in out


def test_bad_lines_are_left_out_only_when_asked_for_and_counted(cli, fails, trace):
    trace.write_text(trace.read_text().replace("Read", "Raed", 1))
    assert "t.csv: line" in fails("evaluate", "storage", "--trace", trace, *QUICK)
    assert "Left out 1 bad ones; the first: " in evaluated(cli, trace, "--skip-bad")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--trace", "nowhere"), "Expected a trace file or one of cloudphysics"),
        (("--trace", "."), "found 'Is a directory'"),
        (("--policies", "lruu"), "Did you mean 'lru'?"),
        (("--policies", ","), "got none"),
        (("--policies", "foresight", "--part", "whole"), "taught on the first half"),
        (("--devices", "H"), "Expected 2 to 8 devices, got 1"),
        (("--devices", "H,Q"), "got 'Q'"),
        (("--devices", "H,missing.json"), "missing.json: file"),
        (("--devices", "H&M&L", "--fast", "0.1"), "Expected a share for each of 2 devices"),
        (("--fast", "2"), "--fast: expected shares above 0"),
        (("--fast", "much"), "--fast: expected shares above 0"),
        (("--moves", "cheap"), "Expected accounting among charged"),
        (("--loop", "knot"), "Expected loop"),
        (("--part", "third"), "--part: expected one of second-half"),
        (("--budget-mb-s", "0"), "budget_mb_s > 0"),
        (("--endurance", "nan"), "endurance > 0"),
        (("--format", "odd"), "format: found 'odd'"),
        (("--out", "t.csv"), "--out: expected a folder"),
        (("--readme", "missing.md"), "missing.md: file"),
        (("--readme", "t.csv"), "storage marks"),
    ],
)
def test_an_evaluation_that_cannot_be_made_is_one_line_and_no_file(fails, trace, arguments, message):
    given = () if "--trace" in arguments else ("--trace", trace)
    policies = () if "--policies" in arguments else QUICK
    assert message in fails("evaluate", "storage", *given, *policies, *arguments)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("plan", "storage", "--trace", "t.csv", "--today", "magic"), "--today: expected one of lru"),
        (("plan", "storage", "--trace", "t.csv", "--out", "t.csv"), "--out: expected a folder"),
        (("generate", "storage", "--out", "x", "--like", "magic"), "--like: expected a workload among hm_1"),
        (("generate", "storage", "--out", "x", "--format", "odd"), "--format: expected a format among"),
        (("data", "convert", "t.csv", "x", "--to", "odd"), "--to: expected a format among"),
        (("data", "statistics", "nowhere"), "got 'nowhere'"),
        (("data", "fit-device", "t.csv", "--out", "x.json"), "t.csv: content"),
        (("data", "fit-device", "t.csv", "--out", "x"), "--out: expected a .json file"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_no_file(fails, trace, words, message):
    assert message in fails(*words)


def test_a_trace_without_clock_cannot_arrive_by_it(fails, trace, tmp_path):
    write_trace(read_trace(trace), tmp_path / "t.lis", "lis")
    assert "it has no clock" in fails("evaluate", "storage", "--trace", "t.lis", "--loop", "open", *QUICK)


def test_a_policy_that_needs_more_requests_than_there_are_still_runs(cli, tmp_path):
    write_trace(Trace.of("t", [0], [0], [1], [True]), tmp_path / "one.csv", "msr")
    evaluated(cli, "one.csv", "--part", "whole")


def test_list_names_policies_traces_and_devices(cli):
    status, out, _ = cli("list", "storage")
    assert status == 0
    for name in ("oracle_cost_aware", "cloudphysics_writes", "L_SSD"):
        assert name in out
