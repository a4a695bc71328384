"""The exact allocation at equal costs, against dynamic programming over all levels."""

import budget_reference as slow
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocenv.core.resource_state import check
from allocenv.problems.budget.allocation import allocate, as_state, bounds, take_largest
from allocenv.problems.budget.values import GRADIENT, VALUES, Belief, beta, known, next_gains, worth, worth_table

INFOGAIN = VALUES["infogain"]


@st.composite
def instances(draw, most=7):
    """A value, a belief and bounds; ties, rates of 0 and 1, prompts that may be left out."""
    of = VALUES[draw(st.sampled_from(list(VALUES)))]
    m = draw(st.integers(1, most))
    least = 0 if of.shape == GRADIENT else 2
    low = np.array(draw(st.lists(st.integers(least, 3), min_size=m, max_size=m)))
    up = low + np.array(draw(st.lists(st.integers(0, 5), min_size=m, max_size=m)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["known", "ties", "beta", "mixture"]))
    if kind == "known":
        belief = known(rng.random(m))
    elif kind == "ties":
        belief = known(rng.choice([0.0, 0.1, 0.5, 0.9, 1.0], m))
    else:
        k = 1 if kind == "beta" else 3
        weight = rng.uniform(0.01, 1, (m, k))
        belief = Belief(
            weight / weight.sum(axis=1, keepdims=True), rng.uniform(0.1, 6, (m, k)), rng.uniform(0.1, 6, (m, k)), 1.0
        )
    return of, belief, low, up, int(rng.integers(low.sum(), up.sum() + 1))


@settings(max_examples=600, deadline=None)
@given(instances())
def test_no_allocation_is_worth_more(instance):
    of, belief, low, up, total = instance
    counts = allocate(of, belief, total, low, up)
    assert counts.sum() == total
    assert ((counts >= low) & (counts <= up)).all()
    best = slow.best_total(worth_table(of, belief, int(up.max())), low, up, total)
    assert worth(of, belief, counts).sum() == pytest.approx(best, abs=1e-9)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 8))
def test_no_allocation_is_worth_more_where_all_prompts_may_be_left_out(seed, m):
    """The one rollout too many: pairs, tight upper bounds, odd totals."""
    rng = np.random.default_rng(seed)
    belief, up = known(rng.choice([0.05, 0.1, 0.3, 0.5, 0.8], m)), rng.integers(1, 5, m)
    total = int(rng.integers(0, up.sum() + 1))
    counts = allocate(VALUES["gradient"], belief, total, 0, up)
    assert counts.sum() == total
    best = slow.best_total(worth_table(VALUES["gradient"], belief, 4), np.zeros(m, int), up, total)
    assert worth(VALUES["gradient"], belief, counts).sum() == pytest.approx(best, abs=1e-9)


def test_a_pair_is_given_back_for_three_elsewhere():
    # 3 rollouts, V(2) = 2pq. Prompt 0 (p = .5, at most 2): .50. Prompt 1 (p = .4): V(3) = 3pq = .72.
    # Greedy opens prompt 0 and has one rollout left, which alone is worth nothing: .50 < .72.
    counts = allocate(VALUES["gradient"], known([0.5, 0.4]), 3, 0, [2, 5])
    assert counts.tolist() == [0, 3]


def test_a_rollout_is_given_back_for_a_pair():
    # p = .5 and .49, 4 rollouts: V(3) = .75 and nothing for the one left, V(2) + V(2) = .5 + .4998
    assert allocate(VALUES["gradient"], known([0.5, 0.49]), 4, 0, 3).tolist() == [2, 2]


def test_equal_prompts_share_evenly_and_the_first_get_what_remains():
    assert allocate(INFOGAIN, known([0.4] * 4), 22, 2, 128).tolist() == [6, 6, 5, 5]


def test_rollouts_without_value_are_spread_evenly():
    """No prompt can give a gradient, and still the total is to be spent."""
    assert allocate(INFOGAIN, known([0.0, 1.0, 0.0]), 11, 2, 128).tolist() == [4, 4, 3]


def test_the_first_infogain_rollouts_go_where_the_gain_is_largest():
    # g = p (1-p)^2: .081 at .1, .125 at .5; D(2) = g p (1-p): .0073, .0313; D(3) at .5 = .0156, D(4) .0078 > .0073
    assert allocate(INFOGAIN, known([0.1, 0.5]), 7, 2, 128).tolist() == [2, 5]


@pytest.mark.parametrize("total", [5, 13, 7.5])
def test_an_impossible_total_is_refused_with_both_numbers(total):
    with pytest.raises(ValueError, match=f"whole total from 6 to 12 for 3 prompts.*got {total}"):
        allocate(INFOGAIN, beta([1, 1, 1], [1, 1, 1]), total, 2, 4)


@pytest.mark.parametrize(
    ("low", "up", "message"),
    [(3, 2, "low <= up"), (-1, 2, "low >= 0"), (2.5, 4, "whole number"), ([2, 2], 4, "each of 3 prompts")],
)
def test_bad_bounds_are_refused(low, up, message):
    with pytest.raises(ValueError, match=message):
        allocate(INFOGAIN, known([0.1, 0.2, 0.3]), 9, low, up)


def test_a_variance_needs_two_rollouts():
    with pytest.raises(ValueError, match="low >= 2"):
        allocate(VALUES["variance"], known([0.5]), 4, 1, 9)


def test_no_prompts_take_no_rollouts():
    assert allocate(INFOGAIN, known([]), 0).tolist() == []


@pytest.mark.parametrize("low", [0, 1, 2])
@pytest.mark.parametrize("kind", ["any", "sample is hopeless", "sample is best", "equal", "posterior"])
@pytest.mark.parametrize("name", ["infogain", "hit"])
def test_many_prompts_get_what_few_would(name, kind, low):
    """Where a sample of the prompts, one in eight, sets a price first: right, too low, too high."""
    rng, m = np.random.default_rng(low), 150
    p = rng.beta(0.4, 0.7, m)
    if kind == "sample is hopeless":
        p[::8] = 0.0
    elif kind == "sample is best":
        p[::8], p[1::8] = 1 / 3, 0.0
    elif kind == "equal":
        p[:] = 0.3
    belief = beta(0.4 + 8 * p, 0.7 + 8 * (1 - p)) if kind == "posterior" else known(p)
    up = rng.integers(low, 14, m)
    for total in (up.sum() // 2, up.sum() // 2 + 1, int(0.9 * up.sum())):
        counts = allocate(VALUES[name], belief, total, low, up)
        assert counts.sum() == total
        best = slow.best_total(worth_table(VALUES[name], belief, 14), np.full(m, low), up, total)
        assert worth(VALUES[name], belief, counts).sum() == pytest.approx(best, abs=1e-9)


def test_a_large_batch_is_balanced_at_the_margin():
    """No rollout is worth more elsewhere: the largest next gain is not above the smallest last one."""
    p = np.random.default_rng(0).beta(0.35, 0.7, 2048)
    belief = beta(0.35 + 8 * p, 0.7 + 8 * (1 - p))
    counts = allocate(INFOGAIN, belief, 8 * 2048)
    forward = next_gains(INFOGAIN, belief, counts)[counts < 128].max()
    back = next_gains(INFOGAIN, belief, counts - 1)[counts > 2].min()
    assert counts.sum() == 8 * 2048
    assert forward <= back * (1 + 1e-9)


def test_the_largest_of_a_gain_table_are_taken():
    gains = np.array([[5.0, 3.0, 1.0], [4.0, 4.0, 0.0]])
    assert take_largest(gains, 4).tolist() == [2, 2]
    assert take_largest(gains, 0).tolist() == [0, 0]
    with pytest.raises(ValueError, match="fall"):
        take_largest(gains[:, ::-1], 1)
    with pytest.raises(ValueError, match="from 0 to 6"):
        take_largest(gains, 7)


def test_an_allocation_is_a_consistent_resource_state():
    p = np.array([0.1, 0.5, 0.9, 0.3])
    limits = bounds(4, [0, 2, 2, 0], 9)
    counts = allocate(INFOGAIN, known(p), 16, limits.low, limits.up)
    pool_of = np.array([0, 0, 1, 1])
    budgets = np.bincount(pool_of, counts)
    state = as_state(counts, pool_of, budgets, limits)
    check(state, 0)
    assert state.used[0, 0].tolist() == budgets.tolist()
    assert (state.variant_of[0] + limits.low).tolist() == counts.tolist()
    priced = as_state(counts, pool_of, 100 * budgets, limits, costs=[100, 100, 90, 80])
    check(priced, 0)
    assert (priced.used[0, 0] < priced.capacity[0, 0]).tolist() == [False, True]
    with pytest.raises(ValueError, match="in the pools"):
        as_state(counts, pool_of, budgets - 1, limits)
