"""The reasoning budget from the command line: a history in, an allocation out; a replay of all rules; clear errors."""

import csv
import json

import numpy as np
import pytest

from allocenv import Allocator
from allocenv.core.results import read_results

MARKED = "before\n<!-- budget:start -->\nold\n<!-- budget:end -->\nafter\n"
RATES = np.array([0.0, 0.0, 0.1, 0.3, 0.5, 0.8, 1.0, 1.0])


def visits(rng, passes=8):
    """Rows of prompt id, correct, rollouts and tokens; prompt 4 has long answers."""
    return [
        (f"set/{i}", int(rng.binomial(8, RATES[i])), 8, 8 * (900 if i == 4 else 100))
        for _ in range(passes)
        for i in rng.permutation(len(RATES))
    ]


@pytest.fixture
def history(tmp_path):
    path = tmp_path / "history.csv"
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("prompt_id", "correct", "rollouts", "tokens"))
        writer.writerows(visits(np.random.default_rng(0)))
    return path


@pytest.fixture
def run(tmp_path):
    """A small run in the format of the real one: 40 prompts, 6 visits."""
    rng, path = np.random.default_rng(0), tmp_path / "run.csv"
    p = rng.beta(0.4, 0.7, 40)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("problem_id", "prompt_chars", "n_visits", *(f"k{v}" for v in range(6))))
        writer.writerows((i, 100, 6, *rng.binomial(8, p[i], 6)) for i in range(40))
    return path


def planned(cli, tmp_path, history, *arguments):
    status, out, err = cli("plan", "budget", "--history", history, "--out", "plan", *arguments)
    assert (status, err) == (0, "")
    with open(tmp_path / "plan" / "allocation.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return out, {row["prompt_id"]: row for row in rows}, json.loads((tmp_path / "plan" / "allocation.json").read_text())


@pytest.mark.parametrize("rule", ["posterior", "rasch"])
def test_a_plan_shares_the_total_by_what_the_history_says(cli, tmp_path, history, rule):
    out, rows, plan = planned(cli, tmp_path, history, "--total", 64, "--rule", rule)
    rollouts = {name: int(row["rollouts"]) for name, row in rows.items()}
    assert sum(rollouts.values()) == 64
    assert min(rollouts["set/2"], rollouts["set/3"]) > max(rollouts["set/0"], rollouts["set/7"])
    for row in rows.values():
        assert float(row["rate_low"]) <= float(row["expected_rate"]) <= float(row["rate_high"])
    assert {"set/0", "set/1"} <= set(plan["hopeless"])
    assert {"set/6", "set/7"} <= set(plan["solved"])
    assert plan["gain"]["value"] > 0
    assert plan["expected"]["effective_rollouts"] > plan["equal_groups"]["effective_rollouts"]
    assert [row["rollouts"] for row in plan["prompts"]] == list(rollouts.values())
    assert "Gain over equal groups: +" in out
    assert "Probably hopeless" in out
    assert (tmp_path / "plan" / "rollouts_by_rate.png").read_bytes().startswith(b"\x89PNG")


def test_a_trainer_can_go_on_from_the_plan(cli, tmp_path, history):
    _, rows, _ = planned(cli, tmp_path, history, "--total", 64)
    allocator = Allocator.load(tmp_path / "plan" / "allocator.npz")
    again = dict(zip(rows, allocator.allocate(list(rows), 64).tolist(), strict=True))
    assert again == {name: int(row["rollouts"]) for name, row in rows.items()}


def test_with_costs_the_same_tokens_are_spent_where_they_bring_more(cli, tmp_path, history):
    _, plain, _ = planned(cli, tmp_path, history, "--total", 64)
    _, dear, plan = planned(cli, tmp_path, history, "--total", 64, "--costs")
    assert int(dear["set/4"]["rollouts"]) < int(plain["set/4"]["rollouts"])
    assert plan["expected"]["tokens"] <= plan["equal_groups"]["tokens"]
    assert plan["expected"]["value"] > plan["equal_groups"]["value"]


def test_json_lines_give_the_same_plan(cli, tmp_path, history):
    _, rows, _ = planned(cli, tmp_path, history, "--total", 64)
    fields = ("prompt_id", "correct", "rollouts", "tokens")
    lines = [json.dumps(dict(zip(fields, visit, strict=True))) for visit in visits(np.random.default_rng(0))]
    (tmp_path / "history.jsonl").write_text("\n".join(lines))
    assert planned(cli, tmp_path, tmp_path / "history.jsonl", "--total", 64)[1] == rows


def test_an_evaluation_writes_what_it_shows(cli, tmp_path, run):
    (tmp_path / "README.md").write_text(MARKED)
    status, out, err = cli(
        "evaluate", "budget", "--run", run, "--part", "all", "--seeds", 2, "--rules", "posterior,knapsack_rl",
        "--out", "figures", "--readme", "README.md",
    )  # fmt: skip
    assert (status, err) == (0, "")
    assert "run.csv, all: 40 prompts, 4 passes after 2 of equal groups; 8 rollouts a prompt; 2 seeds" in out
    found = read_results(tmp_path / "figures")
    assert {*found.pictures, "rows.csv"} <= {path.name for path in (tmp_path / "figures").iterdir()}
    assert set(found.contenders) == {"uniform", "oracle_exact", "posterior", "knapsack_rl"}
    course = found.details["courses"]["posterior"]
    assert sum(course["rollouts"]) == 40 * 4 * 8
    assert [visit[0] for visit in course["by_visit"]] == [0, 0, 320, 320, 320, 320]
    assert found.details["courses"]["uniform"]["rollouts"] == [8 * n for n in course["prompts"]]
    with open(tmp_path / "figures" / "rows.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * 2
    assert [float(row["figure_value"]) for row in rows] == [-row.objective for row in found.rows]
    status, out, err = cli("compare", "figures", "--html", "page.html")
    assert (status, err) == (0, "")
    assert "Where the rollouts went by success rate" in (tmp_path / "page.html").read_text()
    readme = (tmp_path / "README.md").read_text()
    assert readme.startswith("before\n<!-- budget:start -->\n| rule |")
    assert readme.endswith("<!-- budget:end -->\nafter\n")
    assert "old" not in readme


def test_the_sources_of_data_are_listed(cli):
    status, out, _ = cli("data")
    assert status == 0
    assert "One-Shot-RLVR" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--total", 10), "expected 16 to 1024 rollouts for 8 prompts with 2 to 128 each, got 10; --low 0"),
        (("--total", 2000), "got 2000"),
        (("--total", 64, "--rule", "best"), "posterior, rasch"),
        (("--total", 64, "--value", "worth"), "infogain"),
        (("--total", 64, "--low", 9, "--up", 8), "n_low <= n_up"),
        (("--total", 64, "--forget", 1.5), "0 < forget <= 1"),
        (("--total", 64, "--out", "history.csv"), "a folder"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_in_one_line(fails, history, arguments, message):
    assert message in fails("plan", "budget", "--history", history, *arguments)


def test_a_bad_history_is_named_with_its_line(fails, history, tmp_path):
    history.write_text(history.read_text().replace("set/3,", "set/3,9", 1))
    assert "history.csv: line" in fails("plan", "budget", "--history", history, "--total", 64)
    assert "nowhere.csv" in fails("plan", "budget", "--history", "nowhere.csv", "--total", 64)
    (tmp_path / "plain.csv").write_text("prompt_id,correct,rollouts\nx,1,8\n")
    assert "--costs" in fails("plan", "budget", "--history", "plain.csv", "--total", 8, "--costs")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--rules", "postrior"), "Did you mean 'posterior'?"),
        (("--rules", ","), "got none"),
        (("--part", "half"), "held-out, tuning, all"),
        (("--warm-up", 6), "V > 6"),
        (("--readme", "gone.md"), "gone.md"),
        (("--out", "run.csv"), "a folder"),
    ],
)
def test_an_evaluation_that_cannot_be_is_refused_in_one_line(fails, run, arguments, message):
    assert message in fails("evaluate", "budget", "--run", run, *arguments)
