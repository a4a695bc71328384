"""The cover cost against a general linear programme solver, and by hand."""

import numpy as np
import pytest
from scipy.optimize import linprog

from allocenv.problems.task.cover import cover_cost, workspace


def least_cost(cost, ability, need):
    """By the kernel; abilities that are not needed are left out, as the model does."""
    rows = np.flatnonzero(need)
    work = workspace(2, *ability.shape)
    work.cost[1] = cost
    work.ability[1, :, : len(rows)] = ability[:, rows] / need[rows]
    return cover_cost(work, 1, len(cost), len(rows))


def test_the_cheapest_entities_are_sent_and_the_last_in_part():
    """Need 5: two of 2 for 1 each, then a third of 3 for 6: 1 + 1 + 2."""
    assert least_cost(np.array([1.0, 6.0, 1.0]), np.array([[2], [3], [2]]), np.array([5])) == pytest.approx(4.0)


def test_what_all_together_cannot_cover_costs_infinitely_much():
    assert least_cost(np.array([1.0]), np.array([[2, 1]]), np.array([2, 2])) == np.inf


def test_it_equals_a_general_solver():
    rng = np.random.default_rng(0)
    infeasible = 0
    for case in range(250):
        m, k = int(rng.integers(1, 60)), int(rng.integers(1, 9))
        ability = rng.integers(0, 18, (m, k)) if case % 3 else (rng.random((m, k)) < 0.3).astype(int)
        cost = np.round(rng.random(m), 1)
        need = rng.integers(0, int(ability.sum(axis=0).mean() * 0.6) + 2, k)
        need[0] = max(need[0], 1)
        found = linprog(cost, A_ub=-ability.T, b_ub=-need, bounds=(0, 1))
        expected = found.fun if found.status == 0 else np.inf
        infeasible += found.status != 0
        assert least_cost(cost, ability, need) == pytest.approx(expected, abs=1e-6)
    assert 10 < infeasible < 200
