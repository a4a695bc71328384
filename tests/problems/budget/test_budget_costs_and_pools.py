"""Allocation by tokens and over pools, against dynamic programming, bounds and CP-SAT."""

import budget_reference as slow
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocenv.problems.budget.allocation import (
    allocate,
    allocate_in_pools,
    allocate_to_pools,
    allocate_to_pools_exactly,
    allocate_tokens,
    allocate_tokens_exactly,
)
from allocenv.problems.budget.values import VALUES, beta, known, rows, worth, worth_table

INFOGAIN, GRADIENT = VALUES["infogain"], VALUES["gradient"]


def priced(seed, m):
    rng = np.random.default_rng(seed)
    belief = (
        beta(rng.uniform(0.2, 6, m), rng.uniform(0.2, 6, m)) if seed % 2 else known(rng.choice([0, 0.2, 0.5, 1], m))
    )
    low = rng.integers(0, 3, m)
    up = low + rng.integers(0, 5, m)
    costs = rng.integers(1, 7, m)
    return belief, low, up, costs, int(rng.integers(low @ costs, up @ costs + 3))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 6))
def test_the_exact_allocation_by_tokens_is_the_best_and_within_the_bound_of_the_other(seed, m):
    belief, low, up, costs, tokens = priced(seed, m)
    exact = allocate_tokens_exactly(GRADIENT, belief, costs, tokens, low, up)
    best = slow.best_at_costs(worth_table(GRADIENT, belief, int(up.max())), costs, low, up, tokens)
    assert exact.value == pytest.approx(best, abs=1e-9)
    quick = allocate_tokens(GRADIENT, belief, costs, tokens, low, up)
    assert quick.value <= exact.value + 1e-9
    assert exact.value <= quick.bound + 1e-9
    for found in (exact, quick):
        assert ((found.counts >= low) & (found.counts <= up)).all()
        assert found.tokens == found.counts @ costs <= tokens


@pytest.mark.parametrize("m", [256, 2048])
@pytest.mark.parametrize("low", [0, 2])
def test_tokens_are_allocated_within_a_ten_thousandth_of_the_bound(m, low):
    rng = np.random.default_rng(m)
    p = rng.beta(0.35, 0.7, m)
    costs = np.exp(rng.normal(6, 0.5, m))
    for belief in (known(p), beta(0.35 + 8 * p, 0.7 + 8 * (1 - p))):
        found = allocate_tokens(INFOGAIN, belief, costs, 8 * costs.sum(), low)
        assert found.bound >= found.value >= found.bound * (1 - 1e-4)


def test_equal_costs_give_the_allocation_by_rollouts():
    belief = beta([0.5, 3, 1, 7], [2.0, 2, 1, 0.3])
    found = allocate_tokens(INFOGAIN, belief, [50.0] * 4, 50 * 31)
    assert found.counts.tolist() == allocate(INFOGAIN, belief, 31).tolist()
    assert found.value == pytest.approx(found.bound)


def test_enough_tokens_buy_everything():
    found = allocate_tokens(INFOGAIN, known([0.5, 0.0]), [1, 1], 10**6, 2, 5)
    assert found.counts.tolist() == [5, 5]


@pytest.mark.parametrize(
    ("costs", "tokens", "message"),
    [
        ([1.0], 9, "one cost for each of 2"),
        ([1.0, 0.0], 9, "above 0"),
        ([1.0, np.nan], 9, "nan"),
        ([2.0, 3.0], 9, "at least 10 tokens.*got 9"),
        ([1.0, 1.0], np.nan, "at least 4 tokens"),
    ],
)
@pytest.mark.parametrize("solve", [allocate_tokens, allocate_tokens_exactly])
def test_bad_costs_are_refused(solve, costs, tokens, message):
    with pytest.raises(ValueError, match=message):
        solve(INFOGAIN, known([0.2, 0.4]), costs, tokens)


def test_fractional_costs_and_too_much_work_have_no_exact_allocation():
    with pytest.raises(ValueError, match="whole costs"):
        allocate_tokens_exactly(INFOGAIN, known([0.2, 0.4]), [1.5, 1], 20)
    with pytest.raises(ValueError, match="steps"):
        allocate_tokens_exactly(INFOGAIN, known([0.2] * 300), np.arange(1, 301) * 997 + 1, 10**9)


def test_each_pool_is_solved_for_itself():
    rng = np.random.default_rng(3)
    belief, pool_of = beta(rng.uniform(0.2, 5, 30), rng.uniform(0.2, 5, 30)), rng.integers(0, 3, 30)
    budgets = np.bincount(pool_of) * 5 + [1, 0, 3]
    counts = allocate_in_pools(INFOGAIN, belief, pool_of, budgets)
    for pool in range(3):
        mine = pool_of == pool
        assert counts[mine].tolist() == allocate(INFOGAIN, rows(belief, mine), int(budgets[pool])).tolist()
    with pytest.raises(ValueError, match="Pool 1: Expected a whole total from"):
        allocate_in_pools(INFOGAIN, belief, pool_of, [budgets[0], 3, budgets[2]])
    with pytest.raises(ValueError, match="a pool from 0 to 1"):
        allocate_in_pools(INFOGAIN, belief, pool_of, [100, 100])


@pytest.mark.parametrize("seed", range(4))
def test_free_pools_come_near_their_bound_and_the_optimum(seed):
    rng = np.random.default_rng(seed)
    belief = beta(rng.uniform(0.2, 5, 6), rng.uniform(0.2, 5, 6))
    quick = allocate_to_pools(INFOGAIN, belief, [14, 14], 2, 10)
    exact = allocate_to_pools_exactly(INFOGAIN, belief, [14, 14], 2, 10)
    for found in (quick, exact):
        assert np.bincount(found.pool_of, found.counts).tolist() == [14, 14]
        assert found.value == pytest.approx(worth(INFOGAIN, belief, found.counts).sum())
    assert exact.bound == pytest.approx(exact.value, abs=1e-9)
    assert quick.value <= exact.value + 1e-9 <= quick.bound + 2e-9
    assert quick.value >= 0.97 * exact.value


def test_a_large_batch_over_workers_loses_next_to_nothing():
    p = np.random.default_rng(5).beta(0.35, 0.7, 512)
    found = allocate_to_pools(INFOGAIN, beta(0.35 + 8 * p, 0.7 + 8 * (1 - p)), [512] * 8)
    assert np.bincount(found.pool_of, found.counts).tolist() == [512] * 8
    assert found.value >= found.bound * (1 - 1e-4)


def test_pools_too_small_for_a_prompt_are_refused():
    with pytest.raises(ValueError, match="to hold the fewest rollouts"):
        allocate_to_pools(INFOGAIN, known([0.5] * 3), [3, 3], 2, 9)
    with pytest.raises(ValueError, match="found none"):
        allocate_to_pools_exactly(INFOGAIN, known([0.5] * 3), [3, 3], 2, 9)
