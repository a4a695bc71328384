"""What every problem of the registry promises. A new problem is covered the moment it is there."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

import allocenv
from allocenv.core.batch import Batch
from allocenv.core.problem import Problem
from allocenv.heuristics import random_legal
from allocenv.problems import PROBLEMS, REGISTRY
from allocenv.wrappers.spaces import as_dict, observation_space

every = pytest.mark.parametrize("name", PROBLEMS)
STEPS = 30


@pytest.fixture(scope="module")
def problems():
    """One of each, so that what a problem builds once is built once."""
    return {name: kind() for name, kind in PROBLEMS.items()}


def start(problem, n=3, **options):
    batch = Batch(problem, n, **options)
    batch.reset()
    return batch


def any_actions(batch, rng):
    """Mostly legal actions, some illegal ones, some that do not exist."""
    actions = random_legal(rng)(batch)
    sizes = batch.problem.sizes
    for b in range(batch.n):
        if rng.random() < 0.3:
            actions[b] = rng.integers([-1, -1], [sizes.slots + 1, sizes.placements + 1])
    return actions


def play(batch, steps=STEPS, seed=0):
    """Step with any actions and restart what ends; yields (actions, outcome) after each step."""
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        actions = any_actions(batch, rng)
        outcome = batch.step(actions)
        yield actions, outcome
        batch.restart(np.flatnonzero(outcome.terminated | outcome.truncated).tolist())


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@every
def test_it_is_a_problem_with_an_id(name, problems):
    assert isinstance(problems[name], Problem)
    assert f"allocenv/{REGISTRY[name].title}" in gymnasium.registry


@every
def test_its_state_stays_consistent_under_any_actions(name, problems):
    """`check` compares every sum and every kept feature with a rebuild."""
    batch = start(problems[name])
    for i, _ in enumerate(play(batch)):
        if i % 10 == 0:
            for b in range(batch.n):
                problems[name].check(batch.state, b)


@every
def test_an_illegal_action_is_penalised_and_changes_nothing_an_agent_holds(name, problems):
    batch = start(problems[name])
    holders = batch.observe().slot_bin
    costs = batch.costs()
    outcome = batch.step(np.full((batch.n, 2), -1, np.int32))
    assert outcome.illegal.all()
    assert (outcome.rewards < 0).all()
    np.testing.assert_array_equal(batch.observe().slot_bin, holders)
    np.testing.assert_array_equal(batch.costs(), costs)


@every
def test_a_masked_action_is_always_legal(name, problems):
    batch, rng = start(problems[name]), np.random.default_rng(0)
    for _ in range(STEPS):
        outcome = batch.step(random_legal(rng)(batch))
        assert not outcome.illegal.any()
        batch.restart(np.flatnonzero(outcome.terminated | outcome.truncated).tolist())


@every
def test_the_masks_name_exactly_the_legal_actions(name, problems):
    """On copies of one state: what the masks allow is carried out, what they forbid is not."""
    batch, rng = start(problems[name], n=1), np.random.default_rng(0)
    sizes, saved = problems[name].sizes, batch.state_dict()
    slot_mask = batch.observe().slot_mask[0]
    for _ in range(2 * STEPS):
        slot = int(rng.integers(sizes.slots))
        mask = batch.placement_mask(np.array([slot]))[0]
        assert mask.any() == slot_mask[slot]
        placement = int(rng.integers(sizes.placements) if rng.random() < 0.5 or not mask.any() else mask.argmax())
        assert batch.step(np.array([[slot, placement]])).illegal[0] == (not mask[placement])
        batch.load_state_dict(saved)


@every
def test_stopping_is_legal_and_earns_nothing(name, problems):
    batch = start(problems[name])
    outcome = batch.step(np.array([problems[name].stop] * batch.n, np.int32))
    assert not outcome.illegal.any()


@every
def test_no_episode_is_longer_than_it_says(name, problems):
    batch, rng = start(problems[name], n=1), np.random.default_rng(1)
    left = problems[name].steps_left(batch.state, 0)
    assert left <= problems[name].max_steps
    ended = False
    while not ended:
        assert left > 0
        outcome = batch.step(any_actions(batch, rng))
        ended = bool(outcome.terminated[0] or outcome.truncated[0])
        left -= 1


@every
def test_row_zero_of_a_batch_is_the_single_environment(name, problems):
    env, batch, rng = allocenv.make(problems[name]), Batch(problems[name], 3), np.random.default_rng(0)
    seen, _ = env.reset(seed=11)
    batch.reset(seed=11)
    for _ in range(STEPS):
        for key, array in as_dict(batch.observe()).items():
            np.testing.assert_array_equal(seen[key], array[0])
        actions = any_actions(batch, rng)
        if problems[name].sizes.slots == 1:
            actions[:, 0] = 0  # the single environment has no other word
        outcome = batch.step(actions)
        seen, reward, terminated, truncated, info = env.step(_single(problems[name], actions[0]))
        assert reward == outcome.rewards[0]
        assert (terminated, truncated) == (outcome.terminated[0], outcome.truncated[0])
        assert info["illegal"] == outcome.illegal[0]
        if terminated or truncated:
            break


def _single(problem, pair):
    return pair if problem.sizes.slots > 1 else pair[1]


@every
def test_neither_threads_nor_the_size_of_the_batch_change_a_row(name, problems):
    few, many = start(problems[name], n=2), start(problems[name], n=5, threads=3)
    rng = np.random.default_rng(0)
    for _ in range(STEPS):
        assert_same(few.observe(), (array[:2] for array in many.observe()))
        actions = any_actions(many, rng)
        assert_same(few.step(actions[:2]), (array[:2] for array in many.step(actions)))
        over = np.flatnonzero(many.outcome.terminated | many.outcome.truncated).tolist()
        many.restart(over)
        few.restart([b for b in over if b < 2])
    many.close()


@every
def test_the_same_seed_gives_the_same_episode(name, problems):
    one, other = start(problems[name], seed=4), start(problems[name], seed=4)
    for (actions, outcome), (actions_2, outcome_2) in zip(play(one), play(other), strict=True):
        np.testing.assert_array_equal(actions, actions_2)
        assert_same(outcome, outcome_2)
    assert_same(one.observe(), other.observe())


@every
def test_a_saved_batch_goes_on_exactly(name, problems):
    batch = start(problems[name])
    list(play(batch, steps=7))
    saved = batch.state_dict()
    expected = [outcome.rewards.copy() for _, outcome in play(batch, seed=5)]
    other = start(problems[name], seed=99)
    other.load_state_dict(saved)
    assert_same(expected, [outcome.rewards.copy() for _, outcome in play(other, seed=5)])
    assert_same(batch.observe(), other.observe())


@every
def test_observations_are_fresh_float32_arrays_inside_the_space(name, problems):
    batch, space = start(problems[name]), observation_space(problems[name].sizes)
    first = batch.observe()
    kept = [array.copy() for array in first]
    for _ in play(batch, steps=STEPS):
        arrays = as_dict(batch.observe())
        for b in range(batch.n):
            assert space.contains({key: array[b] for key, array in arrays.items()})
    assert_same(first, kept)  # nothing that was handed out has changed under the agent's feet
    assert {array.dtype.name for array in first} == {"float32", "bool", "int32"}


@every
def test_features_of_legal_placements_are_finite_and_about_one(name, problems):
    batch = start(problems[name])
    slots = random_legal(np.random.default_rng(0))(batch)[:, 0]
    rows = batch.placement_features(slots)
    assert np.isfinite(rows).all()
    assert np.abs(rows).max() <= 10
    assert all(np.abs(array).max() <= 10 for array in batch.observe()[:3])


@every
def test_an_instance_as_it_stands_can_be_begun_again(name, problems):
    batch = start(problems[name], n=1)
    instance = problems[name].draw(np.random.default_rng(3))
    batch.load([instance])
    rng = np.random.default_rng(0)
    for _ in range(5):
        batch.step(random_legal(rng)(batch))
    cost, holders = batch.costs()[0], batch.observe().slot_bin
    batch.load([problems[name].advanced(instance, batch.state, 0)])
    assert batch.costs()[0] == pytest.approx(cost)
    np.testing.assert_array_equal(batch.observe().slot_bin, holders)


@every
def test_the_experts_plan_is_legal_and_earns_what_it_says(name, problems):
    batch, instance = start(problems[name], n=1), problems[name].draw(np.random.default_rng(3))
    plan, rewards = problems[name].expert(instance, 5, np.random.default_rng(0))
    again, _ = problems[name].expert(instance, 5, np.random.default_rng(0))
    np.testing.assert_array_equal(plan, again)
    assert len(plan) <= 5
    batch.load([instance])
    for action, reward in zip(plan, rewards, strict=True):
        outcome = batch.step(action[None])
        assert not outcome.illegal[0]
        assert outcome.rewards[0] == pytest.approx(reward, abs=1e-4)


@every
def test_metrics_are_plain_numbers(name, problems):
    figures = problems[name].metrics(start(problems[name]).state, 0)
    assert figures
    assert all(type(value) is float for value in figures.values())


@every
@pytest.mark.parametrize("kind", [allocenv.make, allocenv.make_sequential])
def test_it_passes_gymnasiums_checker(name, kind):
    """Without a warning: pytest makes errors of them."""
    if kind is allocenv.make:
        env = gymnasium.make(f"allocenv/{REGISTRY[name].title}").unwrapped
        check_env(env)
    else:
        env = kind(name, render_mode="ansi")
        check_env(env, skip_render_check=True)


@every
def test_it_can_be_drawn(name):
    env = allocenv.make(name, render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    assert picture.std() > 0
    env = allocenv.make(name, render_mode="ansi")
    env.reset(seed=0)
    assert isinstance(env.render(), str)


@every
@pytest.mark.parametrize("mode", AutoresetMode)
def test_gymnasium_makes_its_vector_environment_in_every_autoreset_mode(name, mode):
    envs = gymnasium.make_vec(f"allocenv/{REGISTRY[name].title}", num_envs=2, autoreset_mode=mode)
    seen, _ = envs.reset(seed=0)
    assert envs.metadata["autoreset_mode"] is mode
    assert envs.observation_space.contains(seen)
    assert envs.action_space.contains(envs.action_space.sample())
    seen, rewards, *_ = envs.step(envs.action_space.sample())
    assert envs.observation_space.contains(seen)
    assert rewards.shape == (2,)
    envs.close()
