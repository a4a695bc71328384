"""Generalised assignment as decisions: legality, ejection, features, rollouts."""

import gap_reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocenv.problems.task.gap.construct import (
    FEATURES,
    UNASSIGNED,
    begin,
    legal,
    reduced_cost_weights,
    rollout,
    score_features,
    step,
    task_of,
)
from allocenv.problems.task.gap.generator import generate
from allocenv.problems.task.gap.instance import GAP
from allocenv.problems.task.gap.lagrangian import capacity_prices
from allocenv.problems.task.scorer import checked_weights, n_weights, score


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from("ABCDE"))
def test_random_legal_decisions_keep_the_books(seed, kind):
    rng = np.random.default_rng(seed)
    problem = generate(kind, int(rng.integers(2, 5)), int(rng.integers(4, 20)), rng)
    if len(problem.impossible_jobs):
        return
    task = task_of(problem)
    state = begin(task, 3, seed)
    while state.n_left.any():
        actions = np.zeros((3, 2), np.int64)
        for b in range(3):
            pairs, features = score_features(task, state, b)
            assert np.isfinite(features).all()
            assert features.shape == (len(pairs), FEATURES)
            stuck = (state.agent_of[b] == UNASSIGNED) & ~legal(task, state)[b].any(1)
            actions[b] = (stuck.argmax(), UNASSIGNED) if stuck.any() else pairs[rng.integers(len(pairs))]
        before = state.n_left.copy()
        step(task, state, actions)
        assert (state.n_left == before - 1).all()
        for b in range(3):
            given_away = state.agent_of[b] != UNASSIGNED
            load = np.zeros(problem.n_agents, np.int64)
            np.add.at(load, state.agent_of[b][given_away], task.weight[given_away, state.agent_of[b][given_away]])
            assert (state.room[b] == problem.capacity - load).all()


def test_a_job_without_room_pushes_another_one_on():
    # Agent 0 has 4, agent 1 has 3. Job 0 (3 anywhere) sits on agent 0; job 1 needs 4 on agent 0, 9 on agent 1.
    problem = GAP([[1, 1], [2, 1]], [[3, 4], [3, 9]], [4, 3])
    task = task_of(problem)
    state = begin(task, 1, 0)
    step(task, state, [[0, 0]])
    assert not legal(task, state)[0, 1].any()
    step(task, state, [[1, UNASSIGNED]])
    assert state.agent_of[0].tolist() == [1, 0]
    assert state.room[0].tolist() == [0, 0]


def test_an_excess_is_left_where_it_is_least_when_nothing_else_helps():
    # Jobs of 3 and agents of 4 and 5: the third one exceeds by 2 on agent 0, by 1 on agent 1.
    task = task_of(GAP(np.ones((2, 3), int), np.full((2, 3), 3), [4, 5]))
    state = begin(task, 1, 0)
    for action in ([0, 0], [1, 1], [2, UNASSIGNED]):
        step(task, state, [action])
    assert state.agent_of[0].tolist() == [0, 1, 1]
    assert state.room[0].tolist() == [1, -1]


@pytest.mark.parametrize("action", [(0, 0), (9, 0), (1, 5), (1, 0)])
def test_illegal_decisions_are_refused(action):
    task = task_of(GAP([[1, 1], [1, 1]], [[3, 3], [3, 3]], [4, 4]))
    state = begin(task, 1, 0)
    step(task, state, [[0, 0]])  # now job 0 has an agent, and agent 0 no room for job 1
    with pytest.raises(ValueError, match="Expected"):
        step(task, state, [action])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["C", "D", "orlib"]))
def test_features_are_those_of_the_slow_twin(seed, kind):
    rng = np.random.default_rng(seed)
    problem = generate(kind, int(rng.integers(2, 5)), int(rng.integers(4, 12)), rng)
    if len(problem.impossible_jobs):
        return
    prices = capacity_prices(problem)
    task, decisions = task_of(problem, prices), []
    state = begin(task, 1, 0)
    for _ in range(rng.integers(problem.n_jobs)):
        pairs, _ = score_features(task, state)
        waiting = state.agent_of[0] == UNASSIGNED
        if not legal(task, state)[0, waiting].any(1).all():
            return  # the twin knows no ejection
        decisions.append(tuple(pairs[rng.integers(len(pairs))].tolist()))
        step(task, state, [decisions[-1]])
    if not legal(task, state)[0, state.agent_of[0] == UNASSIGNED].any(1).all():
        return
    pairs, features = score_features(task, state)
    numbers = (problem.minimised.tolist(), problem.weight.tolist(), problem.capacity.tolist())
    expected = gap_reference.features(*numbers, prices.capacity.tolist(), decisions)
    assert [tuple(pair) for pair in pairs.tolist()] == sorted(expected)
    for pair, row in zip(pairs.tolist(), features, strict=True):
        assert row == pytest.approx(expected[tuple(pair)], abs=1e-6)


def test_features_tell_cost_regret_and_weight():
    # Spread: standard deviations of (1, 2) and (2, 2) are 0.5 and 0, their mean is 0.25. Room for all: prices are 0.
    # Job 0 costs 4 spreads more on agent 1: no share. Job 1 is shared out half and half.
    problem = GAP([[1, 2], [2, 2]], [[2, 3], [2, 3]], [8, 8])
    task = task_of(problem)
    pairs, features = score_features(task, begin(task, 1, 0))
    assert pairs.tolist() == [[0, 0], [1, 0], [1, 1]]
    assert features[:, 0] == pytest.approx(0)
    assert features[:, 1] == pytest.approx([3, 0, 0])  # at most 3
    assert features[:, 2] == pytest.approx([0.25, 0.375, 0.375])
    assert features[:, 7] == pytest.approx([0.5 * 3.5 / 8, 0.5 * 3.5 / 8, 0.5 * 1.5 / 8])
    assert features[:, 11] == pytest.approx(1)
    assert features[:, 14] == pytest.approx([1, 0.5, 0.5])
    assert features[:, 15:] == pytest.approx(0)


def test_samples_are_the_same_in_any_number_of_them():
    problem = generate("C", 4, 24, np.random.default_rng(1))
    weights = reduced_cost_weights()
    few, many = (rollout(problem, weights, 0, n, 0.3, 9, repaired=0) for n in (4, 12))
    again = rollout(problem, weights, 0, 4, 0.3, 9, repaired=0)
    assert (few.agent_of == again.agent_of).all()
    assert many.value <= few.value or not few.feasible


def test_rollouts_with_repair_are_feasible_and_no_worse():
    rng = np.random.default_rng(5)
    for kind in ("C", "D", "E", "orlib"):
        problem = generate(kind, 5, 30, rng)
        plain = rollout(problem, reduced_cost_weights(), repaired=0)
        better = rollout(problem, reduced_cost_weights(), samples=8, temperature=0.3)
        assert better.feasible
        assert problem.is_feasible(better.agent_of)
        sign = 1 if problem.sense == "min" else -1
        assert sign * better.value <= sign * plain.value or not plain.feasible


def test_a_network_scores_as_its_formula_says():
    rng = np.random.default_rng(0)
    weights, x = rng.normal(size=n_weights(3, 2)), rng.normal(size=3)
    rows = weights[:8].reshape(2, 4)
    expected = weights[8:] @ np.maximum(rows[:, :3] @ x + rows[:, 3], 0)
    assert score(weights, 2, x) == pytest.approx(expected)
    assert score(weights[:3], 0, x) == pytest.approx(weights[:3] @ x)


def test_wrong_weights_are_refused():
    with pytest.raises(ValueError, match="Expected 19 weights"):
        checked_weights(np.zeros(3), FEATURES, 0)
    with pytest.raises(ValueError, match="finite"):
        checked_weights(np.full(FEATURES, np.nan), FEATURES, 0)
    with pytest.raises(ValueError, match="samples"):
        rollout(generate("C", 2, 4, np.random.default_rng(0)), reduced_cost_weights(), samples=0)
