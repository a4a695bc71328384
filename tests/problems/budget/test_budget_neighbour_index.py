"""The learnt index at test time: what near tasks say, and that nothing of the tasks played is learnt from."""

import numpy as np
import pytest

from allocenv.core.data import data_folder
from allocenv.problems.budget import neighbour_index, test_time
from allocenv.problems.budget.sample_sets import read_humaneval

NUMBER = np.arange(60.0)
EASY_THEN_HARD = np.random.default_rng(0).random((60, 40)) < np.where(NUMBER < 30, 0.3, 0.01)[:, None]


def test_chances_come_from_near_tasks_and_fall_with_failures():
    """Rates .5 at number 0 and .1 at number 10, width 3: at 0 the far one weighs .02 + exp(-100/18) = .0239."""
    known = neighbour_index.Calibration(np.array([0.0, 10.0]), np.array([0.5, 0.1]), 3.0)
    found = neighbour_index.chances(known, np.array([0.0, 10.0]), 4)
    near, far = 1.02, 0.02 + np.exp(-100 / 18)
    assert found[0, 0] == pytest.approx((0.5 * near + 0.1 * far) / (near + far))
    assert found[0, 1] == pytest.approx((0.25 * near + 0.09 * far) / (0.5 * near + 0.9 * far))
    assert found[1, 0] < found[0, 0]
    assert (np.diff(found, axis=1) < 0).all()


def test_a_width_is_found_where_numbers_tell_and_none_where_they_do_not():
    mixed = np.random.default_rng(1).permutation(EASY_THEN_HARD)
    assert neighbour_index.calibrated(NUMBER, EASY_THEN_HARD).width < 24
    assert neighbour_index.calibrated(NUMBER, mixed).width > neighbour_index.calibrated(NUMBER, EASY_THEN_HARD).width


def test_the_largest_is_next_until_the_budget_is_spent():
    """Two tasks, the second never passes; indices .9 .5 .. and .8 .7 ..: drawn are first, second, second, first."""
    passed = np.array([[0, 1, 1, 1], [0, 0, 0, 0]], bool)
    index = np.array([[0.9, 0.5, 0.4, 0.3], [0.8, 0.7, 0.2, 0.1]])
    shares = [neighbour_index.play(passed, index, (1, 2), np.random.default_rng(seed)) for seed in range(400)]
    # The failing sample is first in one of 4 orders: then 2 draws do not solve, 4 draws do.
    assert np.mean(shares, axis=0) == pytest.approx([0.375, 0.5], abs=0.03)


def test_near_tasks_help_where_difficulty_runs_with_the_number():
    found = neighbour_index.compare(EASY_THEN_HARD, (2, 4), 40)
    assert found.learnt[0] > test_time.best_blind(EASY_THEN_HARD, 2) + 0.02
    assert (found.learnt <= EASY_THEN_HARD.any(axis=1).mean()).all()


@pytest.mark.skipif(data_folder() is None, reason="needs the samples in $ALLOCENV_DATA or ../shared/data")
@pytest.mark.data
def test_the_learnt_index_solves_more_than_turns_on_humaneval():
    passed = read_humaneval().passed
    found = neighbour_index.compare(passed, (16,), 200)
    assert found.oracle[0] == pytest.approx(test_time.oracle(passed, 16), abs=0.003)
    assert found.oracle[0] - found.learnt[0] <= 0.0125  # 0.009 in the long run, with a standard error of 0.002
