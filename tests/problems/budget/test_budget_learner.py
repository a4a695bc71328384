"""The learner simulator against its slow twin, and what a learner must do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from learner_reference import SlowLearner

from allocenv.problems.budget.estimators import DiscountedBeta
from allocenv.problems.budget.learner import REAL_RUN, Kind, draw_pupil, dynamics, empty_learners, enroll
from allocenv.problems.budget.learner.beliefs import empty_beliefs, observe_batch
from allocenv.problems.budget.learner.presets import DIRECT_EXTRA, REFERENCE_EFFECTIVE, REFERENCE_SIGNAL

PROMPTS, BATCH = 11, 4


def learner(kind, seed=0, prompts=PROMPTS, batch=BATCH):
    s, pupil = empty_learners(1, prompts, batch), draw_pupil(np.random.default_rng(seed), prompts, kind)
    enroll(REAL_RUN, s, 0, pupil)
    return s, pupil


kinds = st.builds(Kind, st.floats(0, 1), st.floats(0, 1e4), st.booleans())


@settings(max_examples=30, deadline=None)
@given(kinds, st.integers(0, 1000), st.lists(st.lists(st.integers(0, 9), min_size=4, max_size=4), max_size=7))
def test_it_does_what_its_slow_twin_does(kind, seed, plan):
    """Any counts, prompts without rollouts among them, and steps without any."""
    s, pupil = learner(kind, seed)
    slow = SlowLearner(REAL_RUN, pupil, REFERENCE_SIGNAL, REFERENCE_EFFECTIVE, DIRECT_EXTRA)
    beliefs, estimator = empty_beliefs(1, PROMPTS), DiscountedBeta(PROMPTS, 0.8)
    for counts in plan:
        prompts = s.prompt[0].tolist()
        np.testing.assert_allclose(s.rate[0], [slow.rate(i) for i in prompts], rtol=1e-10)
        for j, n in enumerate(counts):
            expected, state = slow.correct(prompts[j], n, int(s.random[0, 0]))
            assert dynamics.roll(s, 0, j, n) == expected
            assert int(s.random[0, 0]) == state
        correct = s.correct[0].tolist()
        observe_batch(beliefs, s, 0, 0.8)
        estimator.observe(prompts, correct, counts)
        gain = dynamics.update(REAL_RUN, s, 0)
        assert gain == pytest.approx(slow.update(prompts, counts, correct), abs=1e-12)
        dynamics.next_batch(REAL_RUN, s, 0)
    assert s.mean_rate[0] == pytest.approx(slow.mean_rate(), rel=1e-10)
    np.testing.assert_allclose(beliefs.correct[0], estimator.state.correct)
    np.testing.assert_allclose(beliefs.wrong[0], estimator.state.wrong)
    np.testing.assert_allclose(beliefs.prior[0], estimator.prior())


def test_a_pass_meets_every_prompt_at_most_once_and_drops_what_is_less_than_a_batch():
    """11 prompts in batches of 4: two batches a pass, 3 prompts are dropped."""
    s, _ = learner(Kind(0.0, 1.0, False))
    for _ in range(5):
        seen = []
        for _ in range(2):
            seen += s.prompt[0].tolist()
            dynamics.next_batch(REAL_RUN, s, 0)
        assert len(set(seen)) == 8


def test_a_group_of_one_kind_teaches_nothing():
    s, _ = learner(Kind(0.5, 1.0, False))
    s.rollouts[0], s.correct[0] = 8, [0, 8, 0, 8]
    dynamics.update(REAL_RUN._replace(slips=0.0), s, 0)
    assert s.ability[0] == 0.0
    assert not s.learnt.any()


def test_a_direct_learner_gains_where_it_trained_and_nowhere_else():
    s, _ = learner(Kind(1.0, 1.0, False))
    s.rollouts[0], s.correct[0] = 8, [4, 0, 0, 0]
    dynamics.update(REAL_RUN, s, 0)
    assert np.flatnonzero(s.learnt[0]).tolist() == [s.prompt[0, 0]]


def test_a_plain_learner_steps_in_proportion_to_its_signal_and_a_noiseless_normalised_one_does_not():
    """Groups of 2 of 8 (s = .433) and of 4 of 8 (s = .5)."""
    steps = {}
    for plain in (False, True):
        for k in (2, 4):
            s, _ = learner(Kind(0.0, 0.0, plain))
            s.rollouts[0], s.correct[0] = 8, k
            dynamics.update(REAL_RUN, s, 0)
            steps[plain, k] = s.ability[0]
    assert steps[False, 4] == pytest.approx(steps[False, 2])
    assert steps[True, 4] / steps[True, 2] == pytest.approx(0.5 / np.sqrt(0.25 * 0.75))


def test_equal_groups_gain_about_as_much_whatever_the_learner():
    gains = []
    for kind in (Kind(0.0, 60.0, False), Kind(0.0, 0.0, True), Kind(1.0, 1e4, False), Kind(0.5, 0.0, True)):
        s, _ = learner(kind, prompts=1209, batch=128)
        before = s.mean_rate[0]
        dynamics.learn_evenly(
            REAL_RUN, s, 8, 430, np.zeros((1, 1209), np.int32), np.zeros((1, 1209, 1), np.int32), 0, 1
        )
        gains.append(s.mean_rate[0] - before)
    assert np.ptp(gains) < 0.02
    assert np.mean(gains) == pytest.approx(0.137, abs=0.02)  # the real run: .341 to .478


def test_tokens_of_a_group_scatter_about_its_mean():
    """1 correct and 3 wrong of 1.3 times the length: 4.9 lengths on average, deviation 13 % / 2 of that."""
    s, _ = learner(Kind(0.0, 0.0, True), prompts=4000, batch=4000)
    s.rollouts[0], s.correct[0] = 4, 1
    dynamics.count_tokens(s, 0)
    ratio = s.tokens[0] / s.length[0, s.prompt[0]]
    assert ratio.mean() == pytest.approx(4.9, abs=0.03)
    assert (ratio / 4.9).std() == pytest.approx(0.065, abs=0.005)
    assert s.length[0].mean() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("batch", [0, 12])
def test_a_batch_that_does_not_fit_the_pool_is_a_clear_error(batch):
    with pytest.raises(ValueError, match=f"Expected a batch of 1 to 11 prompts, got {batch}"):
        empty_learners(1, 11, batch)
    with pytest.raises(ValueError, match="Expected a learner with 11 prompts, got 12"):
        enroll(
            REAL_RUN,
            empty_learners(1, 11, 4),
            0,
            draw_pupil(np.random.default_rng(0), 12, Kind(0.0, 0.0, True)),
        )
