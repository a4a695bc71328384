"""Estimators of drifting success rates."""

import numpy as np
import pytest

from allocenv.problems.budget.estimators import DiscountedBeta, ItemResponse, LastRewards
from allocenv.problems.budget.values import mean

KINDS = [LastRewards, DiscountedBeta, ItemResponse]
every = pytest.mark.parametrize("kind", KINDS)


def taught(kind, rates, visits, seed=0, group=8):
    """An estimator that saw `visits` groups of each prompt."""
    rng, estimator = np.random.default_rng(seed), kind(len(rates))
    for _ in range(visits):
        n = np.full(len(rates), group)
        estimator.observe(np.arange(len(rates)), rng.binomial(n, rates), n)
    return estimator


@every
def test_what_was_seen_often_is_known_roughly(kind):
    rates = np.linspace(0.05, 0.95, 40)
    estimator = taught(kind, rates, 12)
    error = np.abs(estimator.mean(np.arange(40)) - rates).mean()
    assert error < (0.12 if kind is LastRewards else 0.06)


@every
def test_the_posterior_has_the_mean_it_says(kind):
    estimator = taught(kind, np.linspace(0.05, 0.95, 9), 3)
    some = [7, 2, 5]
    np.testing.assert_allclose(mean(estimator.posterior(some)), estimator.mean(some), atol=1e-9)
    np.testing.assert_allclose(estimator.posterior(some).weight.sum(axis=1), 1)


@every
def test_a_saved_state_goes_on_bit_by_bit(kind):
    one, rng = taught(kind, np.linspace(0, 1, 20), 4), np.random.default_rng(9)
    other = kind(20)
    other.load_state_dict(one.state_dict())
    for _ in range(3):
        prompts, n = rng.permutation(20)[:9], rng.integers(0, 20, 9)
        k = rng.binomial(n, 0.4)
        one.observe(prompts, k, n)
        other.observe(prompts, k, n)
    for name, array in one.state_dict().items():
        np.testing.assert_array_equal(array, other.state_dict()[name])


@every
def test_a_saved_state_is_a_copy_and_of_one_size(kind):
    estimator = taught(kind, np.full(4, 0.5), 1)
    saved = estimator.state_dict()
    before = {name: array.copy() for name, array in saved.items()}
    estimator.observe([0], [1], [2])
    for name in saved:
        np.testing.assert_array_equal(saved[name], before[name])
    with pytest.raises(ValueError, match="shape"):
        kind(5).load_state_dict(saved)


@every
def test_groups_of_no_rollouts_say_nothing(kind):
    estimator = taught(kind, np.full(4, 0.5), 2)
    before = estimator.state_dict()
    estimator.observe([1, 2], [0, 0], [0, 0])
    for name, array in estimator.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@every
@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (([4], [1], [2]), "prompts from 0 to 3, got 4"),
        (([-1], [1], [2]), "got -1"),
        (([0, 0], [1, 1], [2, 2]), "twice"),
        (([0], [3], [2]), "0 <= correct <= rollouts, got 3 of 2 for prompt 0"),
        (([0], [-1], [2]), "got -1 of 2"),
        (([0], [np.nan], [2]), "n_correct: whole numbers, got nan"),
        (([0], [0.5], [2]), "got 0.5"),
        (([0], [1], [np.inf]), "n_rollouts: whole numbers"),
        (([0, 1], [1], [2]), "equal lengths"),
        ((["a"], [1], [2]), "prompts: whole numbers"),
        ((0, [1], [2]), "a list"),
    ],
)
def test_nonsense_is_refused_and_changes_nothing(kind, groups, message):
    estimator = taught(kind, np.full(4, 0.5), 1)
    before = estimator.state_dict()
    with pytest.raises(ValueError, match=message):
        estimator.observe(*groups)
    for name, array in estimator.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_the_window_is_the_latest_visit_or_the_latest_sixteen_rewards():
    window = LastRewards(1)
    window.observe([0], [4], [4])
    assert window.valid([0]).tolist() == [False]
    window.observe([0], [0], [8])
    assert window.valid([0]).tolist() == [True]
    assert window.mean([0])[0] == pytest.approx(4 / 12)
    window.observe([0], [6], [6])  # latest 16: 6 of 6, 0 of 8, and 2 of the oldest 4, all correct
    assert window.mean([0])[0] == pytest.approx(8 / 16)
    window.observe([0], [5], [20])  # a visit of at least 16 counts alone, and in full
    assert window.mean([0])[0] == pytest.approx(5 / 20)


def test_old_counts_shrink_at_each_visit():
    """forget .5: 4 of 8, then 8 of 8 leave .5 * 4 + 8 = 10 correct and .5 * 4 = 2 wrong beside the prior (.5, .5)."""
    estimator = DiscountedBeta(2, forget=0.5)
    estimator.observe([0], [4], [8])
    estimator.observe([0], [8], [8])
    belief = estimator.posterior([0, 1])
    assert belief.wins[:, 0].tolist() == [10.5, 0.5]
    assert belief.losses[:, 0].tolist() == [2.5, 0.5]


@pytest.mark.parametrize("group", [2, 8, 40])
def test_the_prior_is_that_of_the_pool_whatever_the_size_of_groups(group):
    rates = np.random.default_rng(1).beta(0.6, 1.4, 3000)
    a, b = taught(DiscountedBeta, rates, 2, group=group).prior()
    assert (a, b) == pytest.approx((0.6, 1.4), rel=0.15)


def test_the_ability_follows_the_pool():
    """All rates rise by 1.5 logits over 40 visits of a quarter of the pool each; prompts not visited rise too."""
    rng = np.random.default_rng(3)
    ease, estimator = rng.normal(-1, 2, 400), ItemResponse(400)
    for visit in range(41 * 4):
        prompts = np.arange(100) + 100 * (visit % 4)
        p = 1 / (1 + np.exp(-ease[prompts] - 1.5 * visit / 164))
        estimator.observe(prompts, rng.binomial(8, p), np.full(100, 8))
        if visit == 3:
            start = estimator.state.ability[0]
    risen = estimator.state.ability[0] - start
    assert 0.9 < risen < 1.9
    now = 1 / (1 + np.exp(-ease - 1.5))
    assert np.abs(estimator.mean(np.arange(400)) - now).mean() < 0.06


def test_prompts_not_met_are_believed_to_be_like_the_others():
    estimator = ItemResponse(1000)
    rates = np.random.default_rng(5).beta(6, 2, 600)
    for part in np.array_split(np.arange(600), 6):
        estimator.observe(part, np.random.default_rng(6).binomial(8, rates[part]), np.full(len(part), 8))
    assert estimator.mean([999])[0] == pytest.approx(0.75, abs=0.05)


def test_a_prompt_not_visited_for_long_is_known_less_well():
    estimator = ItemResponse(100, wander=0.05)
    estimator.observe([0], [4], [8])
    ease_then = estimator.posterior([0]).weight[0]
    for _ in range(20):
        estimator.observe(np.arange(1, 100), np.full(99, 4), np.full(99, 8))
    ease_now = estimator.posterior([0]).weight[0]

    def entropy(w):
        return -(w * np.log(w)).sum()

    assert entropy(ease_now) > entropy(ease_then) + 0.1


def test_a_solved_prompt_can_become_hard_again():
    """No weight is ever lost for good: 400 of 400, then 0 of 128 twice."""
    estimator = ItemResponse(1)
    for _ in range(50):
        estimator.observe([0], [8], [8])
    for _ in range(2):
        estimator.observe([0], [0], [128])
    assert estimator.mean([0])[0] < 0.05


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DiscountedBeta(3, forget=0), "0 < forget"),
        (lambda: DiscountedBeta(3, forget=1.1), "got 1.1"),
        (lambda: ItemResponse(3, wander=-1), "wander >= 0"),
        (lambda: ItemResponse(3, ability_wander=np.nan), "ability_wander >= 0"),
    ],
)
def test_bad_parameters_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
