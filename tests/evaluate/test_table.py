"""The comparison table: ranks, gaps, and the files it is written to."""

import csv
import json

import numpy as np
import pytest
from rich.console import Console

from allocenv.evaluate.contest import Row
from allocenv.evaluate.table import HEADERS, lines, markdown_table, terminal_table, write_rows


def row(contender, instance, objective, **other):
    values = {"start": 0.5, "bound": -np.inf, "decisions": 4, "legal": True, "wall": 0.25, "cpu": 0.5} | other
    return Row(contender=contender, instance=instance, objective=objective, **values)


# Best known: 0.2 on i, 0.3 on j, a mean of 0.25.
ROWS = [
    row("greedy", "i", 0.4, decisions=2),
    row("exact", "i", 0.2, bound=0.2),
    row("greedy", "j", 0.3),
    row("exact", "j", 0.3, bound=0.1, wall=0.75),
]


def test_contenders_are_listed_best_first():
    assert [line.contender for line in lines(ROWS)] == ["exact", "greedy"]


def test_a_line_sums_a_contender_up():
    exact, greedy = lines(ROWS)
    assert greedy.objective.mean == pytest.approx(0.35)
    assert greedy.gap == pytest.approx(0.1 / 0.25)  # 0.35 over a mean best of 0.25
    assert greedy.won == 0.5
    assert greedy.decisions == 3
    assert greedy.proven == 0
    assert (exact.gap, exact.won, exact.proven) == (0, 1, 1)
    assert exact.wall == pytest.approx(0.5)


def test_an_illegal_plan_is_not_the_best_known_and_is_said_to_be_illegal():
    rows = [row("cheat", "i", 0.1, legal=False), row("honest", "i", 0.2)]
    cheat, honest = lines(rows)
    assert honest.gap == 0
    assert honest.won == 1
    assert not cheat.legal
    assert "| cheat (ILLEGAL) |" in markdown_table(rows, "x")


def test_a_table_of_illegal_plans_alone_has_no_gap():
    (line,) = lines([row("cheat", "i", 0.1, legal=False)])
    assert np.isnan(line.gap)
    assert line.won == 0


def test_where_the_best_is_zero_the_gap_is_the_difference():
    assert {line.contender: line.gap for line in lines([row("a", "i", 0.0), row("b", "i", 0.2)])} == {"a": 0, "b": 0.2}


def test_the_markdown_can_be_checked_by_the_command_below_it():
    head, rule, exact, greedy, empty, note, end = markdown_table(ROWS, "allocenv evaluate vm").split("\n")
    assert head == f"| {' | '.join(HEADERS)} |"
    assert rule == "| --- " + "| ---: " * 7 + "|"
    assert exact.startswith("| exact | 0.2500 [0.2000, 0.3000] | 0.00 % | 100 % | 1/2 | 4.0 | 0.5 | 0.5 |")
    assert greedy.startswith("| greedy | 0.3500 [")
    assert " | 40.00 % | 50 % | 0/2 | 3.0 | 0.25 | 0.5 |" in greedy
    assert note.startswith("`allocenv evaluate vm`; 2 instances, 95 % bootstrap intervals over instances; ")
    assert (empty, end) == ("", "")


def test_the_terminal_shows_the_same_cells():
    console = Console(width=160)
    with console.capture() as shown:
        console.print(terminal_table(ROWS, "the title"))
    assert "the title" in shown.get()
    assert "40.00 %" in shown.get()


def test_every_row_is_written_to_both_files(tmp_path):
    write_rows(ROWS, tmp_path)
    with open(tmp_path / "rows.csv", newline="") as file:
        told = list(csv.DictReader(file))
    assert [(found["contender"], found["instance"], float(found["objective"])) for found in told] == [
        (one.contender, one.instance, one.objective) for one in ROWS
    ]
    document = json.loads((tmp_path / "rows.json").read_text())
    assert [found["bound"] for found in document["rows"]] == [None, 0.2, None, 0.1]  # JSON has no infinity
    assert " x " in document["machine"]
