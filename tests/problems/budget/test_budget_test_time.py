"""Allocation at test time: exact expectations on small sets, and the real HumanEval and MATH samples."""

import itertools

import numpy as np
import pytest

from allocenv.core.data import data_folder
from allocenv.core.files import InputError
from allocenv.problems.budget import test_time
from allocenv.problems.budget.sample_sets import (
    Votes,
    find_verified,
    find_votes,
    made_up_verified,
    made_up_votes,
    read_humaneval,
    read_math,
)

real = pytest.mark.skipif(data_folder() is None, reason="needs the samples in $ALLOCENV_DATA or ../shared/data")
SMALL = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]], bool)


def test_the_chance_to_solve_is_that_over_all_orders():
    for n in range(5):
        for task, row in enumerate(SMALL):
            hits = [row[list(some)].any() for some in itertools.combinations(range(4), n)]
            assert test_time.solved_chance(SMALL)[task, n] == pytest.approx(np.mean(hits))


def test_the_oracle_gives_nothing_to_what_cannot_be_solved():
    """3 samples of 3 tasks on average 1: {1/4, 2/4, 0}. Gains 1/2, 1/3, 1/6 and 1/4 each: .5 + .33 + .25 of 3."""
    assert test_time.oracle(SMALL, 1) == pytest.approx((5 / 6 + 1 / 4) / 3)
    assert test_time.uniform(SMALL, 1) == pytest.approx(0.75 / 3)


def test_sequential_policies_spend_no_more_than_the_budget_and_solve_all_there_is_with_enough():
    rng = np.random.default_rng(0)
    assert test_time.sequential(SMALL, 4, rng) == pytest.approx(2 / 3)
    assert test_time.oracle_sequential(SMALL, 4, rng) == pytest.approx(2 / 3)
    mean = np.mean([test_time.sequential(SMALL, 1, np.random.default_rng(s)) for s in range(2000)])
    assert mean == pytest.approx(0.75 / 3, abs=0.015)  # one sample each: as uniform


def test_policies_are_in_their_order_on_made_up_tasks():
    table = test_time.verified_table(made_up_verified(np.random.default_rng(1)).passed, seeds=20)
    for column in range(1, len(test_time.BUDGETS)):
        order = [table[name][column] for name in ("uniform", "pilot", "sequential", "oracle_sequential")]
        assert order == sorted(order)
        assert table["uniform"][column] < table["oracle"][column]


def test_nobody_who_is_told_outcomes_only_is_above_the_bound():
    """3 tasks, shares 1/4, 2/4, 0: solved s = 0, 1/4, ..; a first sample of each is 1 on average and solves 1/4."""
    assert test_time.best_blind(SMALL, 1) == pytest.approx(1 / 4)
    assert test_time.best_blind(SMALL, 4) == pytest.approx(2 / 3)
    passed = made_up_verified(np.random.default_rng(1), tasks=400).passed
    for budget in (4, 16):
        played = [test_time.sequential(passed, budget, np.random.default_rng(seed)) for seed in range(60)]
        assert np.mean(played) == pytest.approx(test_time.best_blind(passed, budget), abs=0.006)
        assert test_time.uniform(passed, budget) < test_time.best_blind(passed, budget)


VOTES = Votes(
    np.array([[0, 0, 1, 0], [0, 1, 1, 1]], np.int32),
    np.array([[1, 1, 0, 1], [1, 0, 0, 0]], bool),
    np.array([[0.0, 0.0, 9.0, 0.0], [9.0, 0.0, 0.0, 0.0]]),
)


def test_a_majority_is_wrong_where_most_are():
    assert test_time.vote(VOTES, test_time.never, 4, np.random.default_rng(0)) == (0.5, 4.0)


def test_best_of_majority_scores_frequent_answers_only():
    """Answer 1 of the first problem (1 of 4 votes) has the best score but not half of the votes."""
    assert test_time.best_of_majority(VOTES, 4, 0.5, np.random.default_rng(0)).correct == 0.5
    assert test_time.best_of_majority(VOTES, 4, 0.25, np.random.default_rng(0)).correct == 0.5  # 9 against 9: swapped


def test_stopping_rules_know_when_it_is_enough():
    """P(lead > second) with 3 to 0 votes is 1 - 1/16; one vote more against it needs more."""
    assert test_time.lead_posterior(3, 0) == pytest.approx(15 / 16)
    assert test_time.stop_by_posterior(0.93)(np.array([3, 0]), 3)
    assert not test_time.stop_by_posterior(0.93)(np.array([3, 1]), 4)
    # odds (.7/.3)^2 = 5.4 at a lead of 2
    assert test_time.stop_by_ratio(0.84)(np.array([4, 2]), 6)
    assert not test_time.stop_by_ratio(0.85)(np.array([4, 2]), 6)
    # p = 3/4: .75 * .25^3 = .012
    assert test_time.stop_by_saturation(0.012)(np.array([3, 0]), 3)
    assert not test_time.stop_by_saturation(0.011)(np.array([3, 0]), 3)


def test_sure_stopping_needs_fewer_votes_for_as_much():
    found = test_time.vote_table(made_up_votes(np.random.default_rng(0)), seeds=3)
    assert found["posterior 0.9"].votes < 5
    assert found["posterior 0.9"].correct > found["majority 1"].correct
    assert found["optpo 0.9"].votes < found["optpo 0.95"].votes


def test_absent_data_is_made_up_by_the_same_numbers(monkeypatch, tmp_path):
    monkeypatch.setenv("ALLOCENV_DATA", str(tmp_path))
    assert find_verified("humaneval").passed.shape == (164, 100)
    np.testing.assert_array_equal(find_votes("math").answer, find_votes("made_up").answer)
    assert find_votes("math").correct.mean() == pytest.approx(0.91, abs=0.04)
    with pytest.raises(InputError):
        read_humaneval()


@pytest.mark.parametrize(
    "text", ["", "task,sample\n1,2\n", "task,sample,passed\n1,0,x\n", "task,sample,passed\n1,0,1\n1,1,0\n2,0,1\n"]
)
def test_a_broken_file_is_a_clear_error(tmp_path, text):
    path = tmp_path / "samples.csv"
    path.write_text(text)
    with pytest.raises(InputError, match="samples"):
        read_humaneval(path)


@real
@pytest.mark.data
def test_sequential_allocation_of_16_solves_what_32_for_each_do():
    table = test_time.verified_table(read_humaneval().passed, seeds=100)
    at = test_time.BUDGETS.index
    assert table["uniform"][at(32)] == pytest.approx(0.643, abs=0.001)
    assert table["sequential"][at(16)] >= table["uniform"][at(32)]
    assert table["oracle"][at(32)] - table["sequential"][at(32)] <= 0.011


@real
@pytest.mark.data
def test_the_math_votes_are_those_of_the_readme():
    votes = read_math()
    assert votes.correct.shape == (100, 8)
    assert votes.correct.mean() == pytest.approx(0.91)
    assert votes.correct.any(axis=1).mean() == pytest.approx(0.96)
