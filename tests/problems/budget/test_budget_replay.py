"""The replay of a real run: the same draws for all rules, figures that add up, and the promises on held-out prompts."""

import numpy as np
import pytest
from real_data import real_data

from allocenv.problems.budget.real_run import read_real_run, true_rates, tuning_half
from allocenv.problems.budget.replay import Setting, interval, replay, table
from allocenv.problems.budget.rules import RULES


@pytest.fixture(scope="module")
def rates():
    rng = np.random.default_rng(0)
    start = rng.normal(-1, 2.5, 60)
    return 1 / (1 + np.exp(-start[:, None] - np.linspace(0, 1.2, 12)))


def test_every_rule_is_measured(rates):
    figures = replay(rates, seeds=2, how=Setting(batch=25))
    assert set(figures) == set(RULES)
    assert (figures["uniform"].gap == 0).all()
    assert (figures["oracle_exact"].gap == 1).all()
    assert figures["uniform"].prompts == pytest.approx(figures["uniform"].rollouts)
    assert figures["dapo"].trained.tolist() == [1, 1]
    for found in figures.values():
        assert ((found.spent > 0.5) & (found.spent <= 1)).all()
        assert (found.value <= figures["oracle_exact"].value * 1.1).all()
    assert len(table(figures).splitlines()) == 1 + len(RULES)


def test_uniform_figures_are_the_formula(rates):
    p = rates[:, 2:]
    both = 1 - p**8 - (1 - p) ** 8
    found = replay(rates, ["uniform"], seeds=1)["uniform"]
    assert found.prompts[0] == pytest.approx(both.mean())
    assert found.value[0] == pytest.approx((p * (1 - p) ** 2 * both).mean())
    assert found.hard_solved[0] == pytest.approx(((1 - (1 - p) ** 8) * (p < 0.1)).sum() / 10)


def test_the_same_seed_gives_the_same_figures_whatever_else_is_measured(rates):
    one = replay(rates, ["rasch"], seeds=1)["rasch"]
    other = replay(rates, ["gvm", "posterior", "rasch"], seeds=1)["rasch"]
    assert one == other


def test_nothing_to_replay_is_refused(rates):
    for bad, seeds in ((rates[:, :2], 1), (rates[:0], 1), (rates, 0)):
        with pytest.raises(ValueError, match=r"\[P, V\]"):
            replay(bad, seeds=seeds)


def test_an_interval_of_one_seed_is_its_value():
    assert interval(np.array([2.0])) == (2.0, 2.0, 2.0)
    assert interval(np.array([1.0, 3.0]))[0] == 2.0


@pytest.mark.data
def test_posteriors_close_the_gap_on_prompts_that_tuned_nothing():
    run = read_real_run(real_data("reasoning/grpo_trajectories.csv.xz"))
    held_out = true_rates(run.correct)[~tuning_half(run)][:, :46]
    figures = replay(held_out, ["knapsack_rl", "posterior", "rasch"], seeds=2)
    uniform = figures["uniform"]
    assert figures["knapsack_rl"].gap.mean() < 0.6
    assert figures["rasch"].gap.mean() >= 0.8
    for name in ("posterior", "rasch"):
        assert figures[name].rollouts.mean() >= 0.75
        assert figures[name].prompts.mean() >= uniform.prompts.mean()
        assert figures[name].hard_solved.mean() > uniform.hard_solved.mean()
