"""Sequential allocation by hand: what an action draws, what stop spends, what is legal, who earns more."""

import numpy as np
import pytest

from allocenv.core.batch import Batch
from allocenv.problems.budget.dynamics import HARD
from allocenv.problems.budget.instances import Lesson
from allocenv.problems.budget.learner import REAL_RUN, Kind, draw_pupil
from allocenv.problems.budget.planning import play
from allocenv.problems.budget.policies import even, oracle_index, posterior_index, signal_index
from allocenv.problems.budget.problem import Budget


def lesson(prompts=12, seed=0, kind=None, warm=9):
    kind = Kind(0.3, 0.0, True) if kind is None else kind
    return Lesson(draw_pupil(np.random.default_rng(seed), prompts, kind, REAL_RUN), warm)


def start(**params):
    problem = Budget(**{"prompts": 12, "batch": 4, "updates": 2, **params})
    batch = Batch(problem, 1)
    batch.load([lesson()])
    return problem, batch


def test_raising_a_prompt_draws_the_difference_and_shows_the_outcomes():
    _, batch = start()
    batch.step(np.array([[1, 1]]))  # level 4
    assert batch.state.learner.rollouts[0].tolist() == [0, 4, 0, 0]
    batch.step(np.array([[1, 2]]))  # level 8: four more
    assert batch.state.learner.rollouts[0].tolist() == [0, 8, 0, 0]
    assert batch.state.alloc.used[0, 0, 0] == 8
    seen = batch.observe()
    assert seen.slots[0, 1, 9] == pytest.approx(8 / 32)
    assert seen.slot_bin[0].tolist() == [-1, 0, -1, -1, -1]


def test_stop_spreads_what_is_left_and_counts_the_update():
    """4 prompts, 32 rollouts: 2 are spent, 30 left: 8, 8, 7, 7 more."""
    problem, batch = start()
    batch.step(np.array([[3, 0]]))
    batch.step(np.array([problem.stop]))
    totals = batch.state.totals
    assert totals.rollouts[0] == 32
    assert totals.most[0] == 9
    assert batch.state.learner.rollouts[0].tolist() == [0] * 4  # the next batch is at hand
    assert batch.state.updates_left[0] == 1
    outcome = batch.step(np.array([problem.stop]))
    assert outcome.terminated[0]


def test_a_reward_is_the_gain_of_the_mean_rate_in_points():
    problem, batch = start()
    before = batch.costs()[0]
    reward = batch.step(np.array([problem.stop])).rewards[0]
    assert reward == pytest.approx(100 * (before - batch.costs()[0]), abs=1e-5)


@pytest.mark.parametrize(
    ("first", "then", "allowed"),
    [
        ([0, 1], [0, 0], False),  # a lower level
        ([0, 1], [0, 1], False),  # the same
        ([0, 1], [0, 2], True),
        ([0, 1], [0, 7], False),  # another pool: levels 5..9 are those of pool 1
        ([0, 3], [1, 0], False),  # 16 of the pool's 16 are spent
        ([0, 3], [1, 5], True),  # the other pool has room
        ([0, 3], [4, 1], False),  # stop has one placement
    ],
)
def test_what_is_legal(first, then, allowed):
    _, batch = start(pools=2)
    assert not batch.step(np.array([first])).illegal[0]
    assert batch.placement_mask(np.array([then[0]]))[0, then[1]] == allowed
    assert batch.step(np.array([then])).illegal[0] == (not allowed)


def test_the_index_looks_for_the_outcome_that_is_missing():
    """Once a prompt has both outcomes it gets nothing more."""
    _, batch = start(updates=1)
    batch.state.learner.rate[0] = [0.5, 0.5, 0.0, 1.0]
    over = False
    while not over:
        action = posterior_index(batch)
        if action[0, 0] < 4:
            k, n = batch.state.learner.correct[0, action[0, 0]], batch.state.learner.rollouts[0, action[0, 0]]
            assert not 0 < k < n
        over = bool(batch.step(action).terminated[0])


def test_knowing_more_earns_more_with_a_plain_learner():
    """Share of prompts with both outcomes, over 8 learners: the oracle's, the posterior's, that of equal groups."""
    problem = Budget(prompts=64, batch=16, updates=20)
    shares = {}
    for policy in (even, posterior_index, oracle_index):
        batch = Batch(problem, 8)
        batch.load([lesson(64, seed, warm=40) for seed in range(8)])
        while (batch.state.updates_left > 0).any():
            assert not batch.step(policy(batch)).illegal.any()
        totals = batch.state.totals
        shares[policy] = totals.effective.sum() / totals.groups.sum()
        assert totals.rollouts.tolist() == [20 * 128] * 8
    assert shares[oracle_index] > shares[posterior_index] > shares[even]


def test_signal_goes_where_rewards_differ_most():
    """4 prompts of evidence 20, rates .5, .3, .1, 0: the first is raised to 32, which is the budget."""
    _, batch = start(updates=1)
    beliefs, learner = batch.state.beliefs, batch.state.learner
    at = learner.prompt[0]
    beliefs.correct[0, at], beliefs.wrong[0, at] = [10.0, 6.0, 2.0, 0.0], [10.0, 14.0, 18.0, 20.0]
    learner.rate[0] = [0.5, 0.3, 0.1, 0.0]
    taken = []
    while not taken or taken[-1][0] < 4:
        taken.append(signal_index(batch)[0].tolist())
        batch.step(np.array([taken[-1]]))
    assert taken == [[0, 0], [0, 1], [0, 2], [0, 3], [0, 4], [4, 0]]


def test_signal_earns_more_than_equal_groups():
    """The gain of the mean rate over 8 learners of every kind; never an illegal action, whatever the pools."""
    problem = Budget(prompts=64, updates=20, pools=3)
    lessons = [problem.draw(np.random.default_rng(seed)) for seed in range(8)]
    gained = {}
    for policy in (even, signal_index):
        batch = Batch(problem, 8)
        batch.load(lessons)
        while (batch.state.updates_left > 0).any():
            assert not batch.step(policy(batch)).illegal.any()
        assert batch.state.totals.rollouts.tolist() == [20 * 128] * 8
        gained[policy] = batch.state.totals.gained.mean()
    assert gained[signal_index] > 1.2 * gained[even]


def test_a_plan_that_was_cut_off_is_still_one():
    problem = Budget(prompts=12, batch=4, updates=2)
    actions, rewards, _ = play(problem, lesson(), posterior_index, steps=3)
    assert len(actions) == len(rewards) == 3


def test_hard_prompts_are_counted():
    _, batch = start()
    hard = int((batch.state.learner.rate[0] < HARD).sum())
    batch.step(np.array([batch.problem.stop]))
    assert batch.state.totals.hard[0] == hard


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"batch": 200}, "Expected a batch of at most 128 prompts, got 200"),
        ({"levels": (4, 2)}, r"Expected levels that rise, from 1 to 1000, got \(4, 2\)"),
        ({"levels": ()}, "Expected levels that rise"),
        ({"forget": 0.0}, "Expected 0 < forget <= 1, got 0.0"),
        ({"updates": 0}, "Expected updates from 1 to 100000, got 0"),
    ],
)
def test_a_parameter_out_of_range_is_a_clear_error(params, message):
    with pytest.raises(ValueError, match=message):
        Budget(**params)
