"""Generalised assignment: what counts as a problem, and how it is read and written."""

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real_data import real_data

from allocenv.core.files import InputError
from allocenv.problems.task.gap.formats import read_gap, read_gap_zip, read_gaps, write_gap
from allocenv.problems.task.gap.generator import generate, generate_orlib_like
from allocenv.problems.task.gap.instance import GAP, GAPError

SMALL = "2 3\n1 2 3\n4 5 6\n1 1 2\n2 1 1\n3 2\n"


def written(tmp_path, text):
    path = tmp_path / "small.txt"
    path.write_text(text)
    return path


def test_a_file_holds_costs_weights_and_capacities_in_this_order(tmp_path):
    problem = read_gap(written(tmp_path, SMALL), "max")
    assert problem.cost.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert problem.weight.tolist() == [[1, 1, 2], [2, 1, 1]]
    assert problem.capacity.tolist() == [3, 2]
    assert (problem.sense, problem.name) == ("max", "small")


def test_a_row_may_go_over_several_lines(tmp_path):
    folded = read_gap(written(tmp_path, SMALL.replace("1 2 3\n", "1 2\n3\n")))
    assert folded.cost.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_a_file_of_several_problems_begins_with_their_number(tmp_path):
    path = written(tmp_path, "2\n" + SMALL + SMALL.replace("3 2\n", "5 5\n"))
    assert [p.name for p in read_gaps(path)] == ["small-1", "small-2"]
    with pytest.raises(InputError, match="found '2 problems', expected one problem"):
        read_gap(path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (SMALL.replace("4 5 6", "4 5"), "line 3: found '2 numbers', expected 3 costs of agent 2"),
        (SMALL.replace("1 1 2", "1 1 2 9"), "line 4: found '4 numbers', expected 3 weights of agent 1"),
        (SMALL.replace("2 1 1", "2 x 1"), "line 5: found 'x', expected a whole number"),
        (SMALL.replace("2 1 1", "2 nan 1"), "line 5: found 'nan', expected a whole number"),
        (SMALL.replace("3 2\n", "3\n"), "line 6: found 'the end after 1 of 2', expected capacities"),
        (SMALL + "7\n", "line 7: found '7', expected the end of the file"),
        (SMALL.replace("2 1 1", "2 -1 1"), "weight >= 0, got -1 at"),
        ("0 3\n", "line 1: found '0 3', expected at least one agent"),
        ("", "found 'the end after 0 of 2'"),
    ],
)
def test_a_broken_file_is_refused_with_file_line_found_and_expected(tmp_path, text, told):
    with pytest.raises(InputError) as error:
        read_gap(written(tmp_path, text))
    assert "small.txt" in str(error.value)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"weight": [[1, 2]]}, "weight of shape"),
        ({"capacity": [1]}, "a capacity for each of 2"),
        ({"cost": [[0.5, 1, 1], [1, 1, 1]]}, "whole numbers"),
        ({"cost": [[np.nan, 1, 1], [1, 1, 1]]}, "whole numbers"),
        ({"capacity": [1, -1]}, "capacity >= 0"),
        ({"sense": "least"}, "sense"),
        ({"cost": [[1, 2], [1]]}, "rows of equal length"),
    ],
)
def test_what_is_no_problem_is_refused(fields, told):
    whole = {"cost": [[1, 2, 3], [4, 5, 6]], "weight": [[1, 1, 2], [2, 1, 1]], "capacity": [3, 2]}
    with pytest.raises(GAPError, match=told):
        GAP(**{**whole, **fields})


def test_jobs_that_fit_nobody_are_named():
    assert GAP([[1, 1], [1, 1]], [[9, 1], [8, 1]], [5, 5]).impossible_jobs.tolist() == [0]


def test_value_load_and_feasibility_follow_the_assignment():
    problem = GAP([[1, 2, 3], [4, 5, 6]], [[1, 1, 2], [2, 1, 1]], [3, 2])
    # jobs 0 and 2 to agent 0, job 1 to agent 1: 1 + 3 + 5 = 9; loads 1 + 2 and 1
    assert problem.value([0, 1, 0]) == 9
    assert problem.load(np.array([0, 1, 0])).tolist() == [3, 1]
    assert problem.is_feasible([0, 1, 0])
    assert not problem.is_feasible([1, 1, 1])
    assert not problem.is_feasible([0, 1, 2])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from("ABCDE"), st.integers(1, 6), st.integers(1, 12))
def test_what_is_written_is_read_again(tmp_path_factory, seed, kind, m, n):
    problem = generate(kind, m, n, np.random.default_rng(seed))
    path = tmp_path_factory.mktemp("gap") / f"{kind}.txt"
    write_gap(problem, path)
    again = read_gap(path, problem.sense)
    assert (again.cost == problem.cost).all()
    assert (again.weight == problem.weight).all()
    assert (again.capacity == problem.capacity).all()


def test_generated_types_keep_the_ranges_of_the_literature():
    rng = np.random.default_rng(0)
    c, d, e = (generate(kind, 5, 200, rng) for kind in "CDE")
    assert (c.weight.min(), c.weight.max(), c.cost.min(), c.cost.max()) == (5, 25, 10, 50)
    assert (abs(d.cost + d.weight - 111) <= 10).all()
    assert e.weight.min() >= 1
    assert np.corrcoef(e.cost.ravel(), e.weight.ravel())[0, 1] < -0.4
    assert (c.capacity == np.floor(0.8 * c.weight.sum(1) / 5)).all()


def test_the_same_generator_makes_the_same_problem():
    one, two = (generate_orlib_like(np.random.default_rng(7)) for _ in range(2))
    assert (one.cost == two.cost).all()
    assert (one.n_agents in (5, 8, 10), one.sense) == (True, "max")
    assert 3 * one.n_agents <= one.n_jobs <= 6 * one.n_agents


def test_every_benchmark_problem_is_read():
    problems = read_gap_zip(real_data("task/gap_instances.zip"))
    with open(real_data("task/gap_bounds.tsv")) as file:
        rows = {row["instance"]: row for row in csv.DictReader(file, delimiter="\t")}
    assert set(problems) == set(rows)
    for name, problem in problems.items():
        assert (problem.n_agents, problem.n_jobs) == (int(rows[name]["agents"]), int(rows[name]["jobs"]))
