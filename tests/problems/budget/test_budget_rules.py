"""What every rule promises, and what is particular to some."""

import numpy as np
import pytest

from allocenv.problems.budget.allocation import take_largest
from allocenv.problems.budget.rules import RULES, make_rule, play
from allocenv.problems.budget.rules.published_knapsack import published_gains, solve_as_published
from allocenv.problems.budget.rules.rule import largest_remainder, spread_evenly

every = pytest.mark.parametrize("name", RULES)
P = np.random.default_rng(0).beta(0.4, 0.7, 30)


def played(name, steps=4, total=8 * 30, seed=0):
    """The outcome of the last of some steps over all prompts."""
    rng, rule = np.random.default_rng(seed), make_rule(name, 30, lambda prompts: P[prompts])
    for _ in range(steps):
        prompts = rng.permutation(30)
        last = play(rule, prompts, total, lambda n, p=P[prompts]: rng.binomial(n, p), np.random.default_rng(1))
    return last


@every
@pytest.mark.parametrize("total", [60, 200, 240, 251])
def test_a_rule_spends_the_total_or_says_that_it_is_done(name, total):
    outcome = played(name, total=total)
    assert outcome.rollouts.sum() <= total
    assert (outcome.rollouts >= 0).all()
    if not name.startswith("reinforce_ada"):
        assert outcome.rollouts.sum() == total


@every
def test_the_same_seed_gives_the_same_allocation(name):
    one, other = played(name), played(name)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@every
def test_a_rule_says_what_it_does_and_whence_it_comes(name):
    assert RULES[name].what
    assert RULES[name].source


def test_oracles_and_unknown_names_need_more():
    with pytest.raises(ValueError, match="true rates for the rule `oracle_exact`"):
        make_rule("oracle_exact", 3)
    with pytest.raises(ValueError, match="uniform, dapo"):
        make_rule("nonsense", 3)
    for name in RULES:
        if not name.startswith("oracle_"):
            make_rule(name, 3)


def test_the_one_that_is_told_twice_learns_the_rates_sooner():
    """The error of a rate falls by about the square root of 2."""
    rates = np.random.default_rng(3).beta(0.8, 0.8, 500)

    def error(name):
        rng, rule = np.random.default_rng(4), make_rule(name, 500, lambda prompts: rates[prompts])
        for _ in range(4):
            n = np.full(500, 8)
            rule.observe(np.arange(500), rng.binomial(n, rates), n)
        return np.sqrt(np.mean((rule.estimator.mean(np.arange(500)) - rates) ** 2))

    assert 0.6 < error("oracle_rasch_twice") / error("rasch") < 0.85


def test_only_the_filter_drops_groups():
    correct, rollouts = np.array([0, 3, 8]), np.full(3, 8)
    assert make_rule("dapo", 3).trains_on(correct, rollouts).tolist() == [False, True, False]
    assert make_rule("uniform", 3).trains_on(correct, rollouts).all()


@pytest.mark.parametrize("seed", range(6))
def test_greedy_finds_what_the_published_programme_finds(seed):
    """On the published sum, in which the first further rollout counts the base too."""
    rng = np.random.default_rng(seed)
    p, room = rng.integers(1, 16, 9) / 16, int(rng.integers(0, 60))
    gains = published_gains(p)

    def total(further):
        return sum(gains[i, :k].sum() for i, k in enumerate(further))

    slow, fast = solve_as_published(p, room), take_largest(gains, room)
    assert slow.sum() == fast.sum() == room
    assert total(fast) == pytest.approx(total(slow), abs=1e-12)


def taught_knapsack(correct, rollouts):
    rule = make_rule("knapsack_rl", len(correct))
    rule.observe(np.arange(len(correct)), np.array(correct), np.array(rollouts))
    return rule


def test_the_published_rule_starts_cold():
    rule, rng = make_rule("knapsack_rl", 4), np.random.default_rng(0)
    assert rule.allocate(np.arange(4), 33, rng).tolist() == [9, 8, 8, 8]
    rule.observe(np.array([0, 1]), np.array([4, 8]), np.array([8, 8]))
    # prompts 2 and 3 get 8 each, the solved prompt 1 the base of 2, the open prompt 0 what is left; it needs
    # ln .1 / ln .5 = 3.3 rollouts, and the surplus goes to prompts outside: there is but the solved one
    counts = rule.allocate(np.arange(4), 40, rng)
    assert counts.tolist() == [5, 19, 8, 8]


def test_the_published_fallback_favours_hopeless_prompts():
    rule = taught_knapsack([0, 8, 4, 0], [8, 8, 8, 8])
    counts = rule.allocate(np.arange(4), 32, np.random.default_rng(0))
    assert counts[1] == 2
    assert counts[2] == 5
    assert counts[0] + counts[3] == 25
    none_open = taught_knapsack([0, 8, 8], [8, 8, 8])
    assert none_open.allocate(np.arange(3), 24, np.random.default_rng(0)).tolist() == [20, 2, 2]
    all_solved = taught_knapsack([8, 8], [8, 8])
    assert all_solved.allocate(np.arange(2), 16, np.random.default_rng(0)).tolist() == [8, 8]


def test_gvm_gives_most_to_what_is_rarely_solved_and_the_base_to_what_never_was():
    rule = make_rule("gvm", 3)
    rule.observe(np.arange(3), np.array([1, 8, 0]), np.full(3, 8))
    counts = rule.allocate(np.arange(3), 24, np.random.default_rng(0))
    # weights 1 / sqrt(p + .001 / p): 2.72 at 1/8, 1.00 at 1, over 18 rollouts beyond the base
    assert counts.tolist() == [2 + 13, 2 + 5, 2]


def test_a_prompt_leaves_reinforce_ada_when_its_quota_is_met():
    rng = np.random.default_rng(0)
    rates = np.array([1.0, 0.0, 1.0, 1.0])
    for name, spent in (("reinforce_ada_positive", [4, 20, 4, 4]), ("reinforce_ada_balance", [8, 8, 8, 8])):
        rule = make_rule(name, 4)
        outcome = play(rule, np.arange(4), 32, lambda n: (n * rates).astype(np.int64), rng)
        assert outcome.rollouts.tolist() == spent


def test_pilot_commit_skips_commits_and_defers():
    rule = make_rule("pilot_commit", 4)
    rates = np.array([1.0, 0.5, 0.5, 0.0])
    outcome = play(rule, np.arange(4), 48, lambda n: (n * rates).astype(np.int64), np.random.default_rng(0))
    # pilot 6 each (24), committed 18 for one of the two open ones and what is left, 6, for the other
    assert outcome.rollouts[[0, 3]].tolist() == [6, 6]
    assert sorted(outcome.rollouts[1:3].tolist()) == [12, 24]


def test_cero_makes_up_for_what_a_prompt_did_not_get():
    rule = make_rule("cero", 2)
    rule.observe(np.array([0, 1]), np.array([2, 16]), np.array([4, 32]))
    counts = rule.allocate(np.arange(2), 20, np.random.default_rng(0))
    assert counts[0] > counts[1]


def test_a_rule_that_wants_too_much_is_stopped():
    class Greedy:
        def allocate(self, prompts, total, rng):
            return np.full(len(prompts), total)

    with pytest.raises(ValueError, match="at most 8 rollouts, got 16"):
        play(Greedy(), np.arange(2), 8, lambda n: n, np.random.default_rng(0))


def test_shares_are_rounded_to_the_total():
    assert largest_remainder(np.array([1.0, 1.0, 2.0]), 9).tolist() == [2, 2, 5]
    assert largest_remainder(np.array([1.0, 1.0, 1.0]), 4).tolist() == [2, 1, 1]
    assert spread_evenly(7, np.array([True, False, True])).tolist() == [4, 0, 3]
    assert spread_evenly(7, np.array([False, False])).tolist() == [0, 0]
