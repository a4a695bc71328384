"""The comparison table: ranks, gaps, paired differences, and what does not count."""

import numpy as np
import pytest
from rich.console import Console

from allocenv.core.results import Results, Row
from allocenv.evaluate.table import README, lines, markdown_table, reference_of, terminal_table


def row(contender, instance, objective, **other):
    values = {"start": 0.5, "bound": -np.inf, "decisions": 4, "legal": True, "wall": 0.25, "cpu": 0.5} | other
    return Row(contender=contender, instance=instance, objective=objective, **values)


def results(*rows, kinds=None, warnings=None):
    told = {"command": "allocenv evaluate vm", "machine": "2 x something"}
    return Results("vm", "default", "fragment rate", rows, kinds or {}, warnings or {}, provenance=told)


# Best known: 0.2 on i, 0.3 on j, a mean of 0.25.
ROWS = results(
    row("greedy", "i", 0.4, decisions=2),
    row("exact", "i", 0.2, bound=0.2),
    row("greedy", "j", 0.3),
    row("exact", "j", 0.3, bound=0.1, wall=0.75),
)


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
    cheat, honest = lines(results(*rows))
    assert honest.gap == 0
    assert honest.won == 1
    assert not cheat.legal
    assert "| cheat (ILLEGAL) |" in markdown_table(results(*rows))


def test_a_table_of_illegal_plans_alone_has_no_gap():
    (line,) = lines(results(row("cheat", "i", 0.1, legal=False)))
    assert np.isnan(line.gap)
    assert line.won == 0


def test_where_the_best_is_zero_the_gap_is_the_difference():
    assert {line.contender: line.gap for line in lines(results(row("a", "i", 0.0), row("b", "i", 0.2)))} == {
        "a": 0,
        "b": 0.2,
    }


def test_the_markdown_can_be_checked_by_the_command_below_it():
    head, rule, exact, greedy, empty, note, end = markdown_table(ROWS).split("\n")
    assert head == f"| {' | '.join(README)} |".replace("{}", "exact")
    assert rule == "| --- | --- " + "| ---: " * (len(README) - 2) + "|"
    assert exact.startswith(
        "| exact | rule | 0.2500 [0.2000, 0.3000] | 0.00 % | +0.0000 [+0.0000, +0.0000] | 100 % | 1/2 |"
    )
    assert greedy.startswith("| greedy | rule | 0.3500 [")
    assert " | 50 % | 0/2 | 0.25 | 0.5 |" in greedy
    assert note.startswith("`allocenv evaluate vm`; 2 instances, 95 % bootstrap intervals over instances; ")
    assert note.endswith("2 x something.")
    assert (empty, end) == ("", "")


def test_the_terminal_shows_the_same_cells():
    console = Console(width=260)
    with console.capture() as shown:
        console.print(terminal_table(ROWS))
    assert "vm, default: 2 instances; fragment rate" in shown.get()
    assert "40.00 %" in shown.get()


def test_differences_are_paired_by_instance():
    # To b, a lies 0.1 lower on every instance, however different the instances are.
    found = {line.contender: line for line in lines(
        results(row("a", "i", 0.1), row("b", "i", 0.2), row("a", "j", 5.1), row("b", "j", 5.2)), "b"
    )}  # fmt: skip
    assert found["a"].difference.mean == pytest.approx(-0.1)
    assert found["a"].difference.high == pytest.approx(-0.1)
    assert found["a"].better.mean == 1.0
    assert found["b"].difference.mean == 0
    assert found["b"].better.mean == 0.5


def test_nobody_is_compared_with_an_oracle_or_a_cheat_unless_that_is_asked_for():
    case = results(
        row("oracle_x", "i", 0.1), row("cheat", "i", 0.2), row("honest", "i", 0.3), row("slow", "i", 0.4),
        kinds={"oracle_x": "oracle"}, warnings={"cheat": "READS THE FUTURE"},
    )  # fmt: skip
    assert reference_of(case) == "honest"
    assert reference_of(case, "slow") == "slow"
    with pytest.raises(ValueError, match="--reference: expected one of oracle_x, cheat, honest, slow, got 'who'"):
        reference_of(case, "who")


def test_a_cheat_is_not_the_best_known_and_is_named_one():
    case = results(row("cheat", "i", 0.1), row("honest", "i", 0.2), warnings={"cheat": "READS THE FUTURE"})
    _, honest = lines(case)
    assert (honest.gap, honest.won) == (0, 1)
    assert "| cheat (READS THE FUTURE) |" in markdown_table(case)


def test_of_several_limits_the_longest_counts():
    case = results(row("a", "i", 0.4, limit=0.1), row("a", "i", 0.2, limit=1.0), row("b", "i", 0.3))
    assert {line.contender: line.objective.mean for line in lines(case)} == {"a": 0.2, "b": 0.3}


def test_seeds_are_averaged_within_their_instance():
    case = results(
        row("a", "i", 0.1), row("a", "i", 0.3, seed=1), row("b", "i", 0.2), row("b", "i", 0.2, seed=1),
    )  # fmt: skip
    found = {line.contender: line for line in lines(case, "b")}
    assert found["a"].objective.mean == pytest.approx(0.2)
    assert found["a"].difference.mean == pytest.approx(0.0)
    assert found["a"].won == 0.5  # of the two runs; 0.3 is above the best known, 0.1
