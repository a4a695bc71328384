"""Generalised assignment: greedy, search, bounds, exact solver and planner."""

import csv

import gap_reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real_data import real_data

from allocenv.problems.task.gap.exact import solve_exact
from allocenv.problems.task.gap.formats import read_gap_zip
from allocenv.problems.task.gap.generator import generate
from allocenv.problems.task.gap.greedy import MEASURES, greedy
from allocenv.problems.task.gap.instance import GAP
from allocenv.problems.task.gap.lagrangian import _lifts, capacity_prices, reduced_costs, settle
from allocenv.problems.task.gap.search import search
from allocenv.problems.task.gap.solvers import plan_gap

SEEDS = st.integers(0, 2**32)


def tiny(seed, sense="min"):
    """A problem small enough to try every assignment; tight enough that some have none."""
    rng = np.random.default_rng(seed)
    m, n = int(rng.integers(1, 4)), int(rng.integers(1, 7))
    weight = rng.integers(0, 10, (m, n))
    capacity = rng.integers(9, 12 + 5 * n // m, m)
    return GAP(rng.integers(-5, 30, (m, n)), weight, capacity, sense)


def optimum(problem):
    lists = problem.cost.tolist(), problem.weight.tolist(), problem.capacity.tolist()
    return gap_reference.best_value(*lists, problem.sense)


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.sampled_from(["min", "max"]))
def test_exact_finds_the_optimum_or_that_there_is_none(seed, sense):
    problem = tiny(seed, sense)
    found, best = solve_exact(problem, 20.0), optimum(problem)
    assert found.value == best
    assert found.status == ("infeasible" if best is None else "optimal")
    if best is not None:
        assert found.bound == best
        assert problem.is_feasible(found.agent_of)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.sampled_from(["min", "max"]))
def test_a_known_assignment_does_not_hide_a_better_one(seed, sense):
    problem = tiny(seed, sense)
    start = search(problem, 20.0, seed % 1000, tries=2)
    if start.feasible:
        assert solve_exact(problem, 20.0, start.agent_of).value == optimum(problem)


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.sampled_from(["min", "max"]))
def test_bounds_hold_and_settled_pairs_are_in_no_better_assignment(seed, sense):
    problem = tiny(seed, sense)
    best = optimum(problem)
    if best is None:
        return
    cost = best if sense == "min" else -best
    prices = capacity_prices(problem)
    settled = settle(problem, prices, cost + 1)  # better than cost + 1: only the optimum
    assert prices.bound <= cost + 1e-6
    assert settled.bound <= cost
    found = solve_exact(problem, 20.0)
    if (
        gap_reference.best_value(  # with only the open pairs, the optimum is still there
            problem.minimised.tolist(),
            np.where(settled.open, problem.weight, 10**6).tolist(),
            problem.capacity.tolist(),
            "min",
        )
        != cost
    ):
        raise AssertionError((settled, found))


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_lifts_are_what_forcing_an_item_costs_the_knapsack(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 7))
    cost, weight = rng.integers(-9, 9, (1, n)).astype(float), rng.integers(0, 8, (1, n))
    capacity, price = rng.integers(8, 16, 1), rng.random(n) * 4
    lift_in, lift_out = _lifts(cost, weight, capacity, price)
    for j in range(n):
        item = (price - cost[0]).tolist(), weight[0].tolist(), int(capacity[0]), j
        assert lift_in[0, j] == pytest.approx(gap_reference.knapsack_lift(*item, 1))
        assert lift_out[0, j] == pytest.approx(max(gap_reference.knapsack_lift(*item, 0), 0))


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.sampled_from(["min", "max"]))
def test_search_tells_the_truth_and_finds_tiny_optima(seed, sense):
    problem = tiny(seed, sense)
    found = search(problem, 20.0, 1, tries=20_000)
    assert found.feasible == problem.is_feasible(found.agent_of)
    assert found.value == problem.value(found.agent_of)
    best = optimum(problem)
    assert found.feasible == (best is not None)
    if best is not None:
        assert found.value == best


def test_search_is_no_worse_than_its_start_and_the_same_for_the_same_seed():
    problem = generate("D", 5, 60, np.random.default_rng(3))
    first = greedy(problem)
    one, two = (search(problem, 60.0, 5, first.agent_of, tries=30_000) for _ in range(2))
    assert (one.agent_of == two.agent_of).all()
    assert one.feasible
    assert one.value <= first.value or not first.feasible


def test_search_without_tries_returns_its_start():
    problem = GAP([[1, 9], [9, 1]], [[1, 1], [1, 1]], [5, 5])
    assert search(problem, 9.0, 0, [1, 0], tries=0).agent_of.tolist() == [1, 0]


@pytest.mark.parametrize("measure", MEASURES)
def test_greedy_keeps_capacities_where_it_says_so(measure):
    rng = np.random.default_rng(11)
    for kind in "ABCDE":
        problem = generate(kind, 4, 30, rng)
        found = greedy(problem, (measure,))
        assert found.feasible == problem.is_feasible(found.agent_of)
        assert found.value == problem.value(found.agent_of)


def test_greedy_serves_the_job_with_most_to_lose_first():
    # Both want agent 0, which has room for one. Job 0 loses 10 - 1 = 9 elsewhere, job 1 only 3 - 1 = 2.
    problem = GAP([[1, 1], [10, 3]], [[4, 4], [4, 4]], [4, 8])
    assert greedy(problem, ("profit",)).agent_of.tolist() == [0, 1]


def test_reduced_costs_are_least_at_zero():
    problem = generate("C", 5, 40, np.random.default_rng(2))
    reduced = reduced_costs(problem, capacity_prices(problem))
    assert np.allclose(reduced.min(1), 0)


@pytest.mark.parametrize("sense", ["min", "max"])
def test_the_planner_proves_a_small_problem_and_says_who_found_it(sense):
    problem = tiny(4, sense)
    plan = plan_gap(problem, 2.0)
    assert plan.proven
    assert plan.value == plan.bound == optimum(problem)
    assert plan.found_by in ("greedy", "search", "exact")
    assert plan.seconds < 2.0


def test_jobs_that_fit_nobody_are_reported_not_dropped():
    problem = GAP([[1, 1]], [[9, 1]], [5])
    for solve in (lambda: plan_gap(problem, 1.0), lambda: search(problem, 1.0, 0)):
        with pytest.raises(ValueError, match=r"jobs \[0\] fit none"):
            solve()
    assert solve_exact(problem, 1.0).status == "infeasible"


def test_a_problem_without_a_feasible_assignment_is_said_to_have_none():
    # Two jobs of weight 3, one agent of capacity 5: each fits, both do not.
    plan = plan_gap(GAP([[1, 1]], [[3, 3]], [5]), 0.5)
    assert not plan.feasible
    assert not plan.proven


@pytest.mark.data
@pytest.mark.parametrize(("sense", "column"), [("min", "min_ub"), ("max", "max_lb")])
def test_orlib_problems_are_proven(sense, column):
    problems = read_gap_zip(real_data("task/gap_instances.zip"), sense)
    with open(real_data("task/gap_bounds.tsv")) as file:
        best = {row["instance"]: int(row[column]) for row in csv.DictReader(file, delimiter="\t")}
    for name in ("c0515_1", "c0832_3", "c1060_1"):
        plan = plan_gap(problems[name], 5.0)
        assert plan.proven
        assert plan.value == best[name]
