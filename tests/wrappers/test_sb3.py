"""The SB3 VecEnv over a batch."""

import numpy as np
import pytest
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor

from allocenv.core.batch import Batch
from allocenv.problems import make_problem
from allocenv.wrappers.sb3 import AllocVecEnv, make_sb3
from allocenv.wrappers.spaces import as_dict

N = 3
TINY = {"n_pms": 3, "max_moves": 4}


@pytest.fixture(scope="module")
def problem():
    return make_problem("vm", **TINY)


def legal_pairs(batch):
    """The first legal pair of each row that does not stop."""
    seen = batch.observe()
    slots = np.where(seen.slot_mask[:, :-1].any(1), seen.slot_mask.argmax(1), seen.slot_mask.shape[1] - 1)
    return np.stack([slots, batch.placement_mask(slots).argmax(1)], axis=1)


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def test_rows_step_as_those_of_a_batch_with_the_same_seed(problem):
    env, batch = AllocVecEnv(problem, N), Batch(problem, N)
    env.seed(5)
    batch.reset(5)
    assert same(env.reset(), as_dict(batch.observe()))
    for _ in range(2 * TINY["max_moves"]):
        actions = legal_pairs(batch)
        seen, rewards, dones, _ = env.step(actions)
        outcome = batch.step(actions)
        ended = outcome.terminated | outcome.truncated
        assert np.array_equal(rewards, outcome.rewards)
        assert np.array_equal(dones, ended)
        batch.restart(np.flatnonzero(ended))
        assert same(seen, as_dict(batch.observe()))


def test_a_finished_row_tells_how_it_ended_and_begins_again(problem):
    env = AllocVecEnv(problem, N)
    env.seed(1)
    env.reset()
    total = np.zeros(N)
    for _ in range(TINY["max_moves"]):
        twin = Batch(problem, N)
        twin.load_state_dict(env.batch.state_dict())
        actions = legal_pairs(env.batch)
        outcome = twin.step(actions)
        seen, rewards, dones, infos = env.step(actions)
        total += rewards
        if dones.any():
            break
    b = int(np.flatnonzero(dones)[0])
    assert same(infos[b]["terminal_observation"], {k: v[b] for k, v in as_dict(twin.observe()).items()})
    assert infos[b]["TimeLimit.truncated"] == bool(outcome.truncated[b] and not outcome.terminated[b])
    assert infos[b]["metrics"] == problem.metrics(twin.state, b)
    assert infos[b]["episode"]["r"] == pytest.approx(total[b])
    assert infos[b]["episode"]["l"] == TINY["max_moves"]
    assert infos[b]["episode"]["objective"] == infos[b]["metrics"]["objective"]
    assert not np.array_equal(seen["context"][b], infos[b]["terminal_observation"]["context"])


def test_rewards_are_the_callers_own(problem):
    env = AllocVecEnv(problem, N)
    env.reset()
    rewards = env.step(legal_pairs(env.batch))[1]
    kept = rewards.copy()
    env.step(legal_pairs(env.batch))
    assert np.array_equal(rewards, kept)


def test_an_illegal_action_is_reported_and_does_not_raise(problem):
    env = AllocVecEnv(problem, N)
    env.reset()
    _, rewards, _, infos = env.step(np.full((N, 2), 10_000))
    assert (rewards < 0).all()
    assert all(info["illegal"] for info in infos)


@pytest.mark.parametrize("sequential", [False, True])
def test_going_on_from_a_saved_state_repeats_what_followed(problem, sequential):
    def steps(env, count):
        rng = np.random.default_rng(0)
        seen = env.observe()
        for _ in range(count):
            masks = np.stack(env.env_method("action_masks")) if sequential else None
            actions = (
                np.array([rng.choice(np.flatnonzero(mask)) for mask in masks]) if sequential else legal_pairs(env.batch)
            )
            seen, rewards, _, infos = env.step(actions)
        return seen, rewards, [info.get("episode", {}).get("r") for info in infos]

    env = make_sb3(problem, N, sequential=sequential)
    env.seed(2)
    env.reset()
    steps(env, 3)  # for a sequential one: between the two halves of a pair
    saved = env.state_dict()
    seen, rewards, returns = steps(env, 9)
    other = make_sb3(problem, N, sequential=sequential)
    other.reset()
    other.load_state_dict(saved)
    seen_again, rewards_again, returns_again = steps(other, 9)
    assert same(seen, seen_again)
    assert np.array_equal(rewards, rewards_again)
    assert returns == returns_again


def test_sequential_masks_are_exact_at_both_stages(problem):
    env = make_sb3(problem, N, sequential=True)
    env.reset()
    assert is_masking_supported(env)
    sizes = problem.sizes
    slots = get_action_masks(env)
    assert np.array_equal(slots[:, : sizes.slots], env.batch.observe().slot_mask)
    chosen = slots.argmax(1)
    env.step(chosen)
    placements = get_action_masks(env)
    assert np.array_equal(placements[:, : sizes.placements], env.batch.placement_mask(chosen))
    assert not placements[:, sizes.placements :].any()


def test_masks_of_pairs_are_exact_for_slots_and_open_for_placements(problem):
    env = make_sb3("vm", N, **TINY)
    env.reset()
    masks = get_action_masks(env)
    assert np.array_equal(masks[:, : problem.sizes.slots], env.batch.observe().slot_mask)
    assert masks[:, problem.sizes.slots :].all()


def test_masks_of_some_rows_come_in_the_order_asked_for(problem):
    env = AllocVecEnv(problem, N)
    env.reset()
    masks = env.action_masks()
    assert np.array_equal(env.env_method("action_masks", indices=[2, 0]), masks[[2, 0]])


def test_sb3_takes_its_statistics_for_those_of_a_monitor(problem):
    class Stopper:
        def predict(self, observation, **_):
            return np.tile(problem.stop, (N, 1)), None

    env = AllocVecEnv(problem, N)
    assert env.env_is_wrapped(Monitor) == [True] * N
    mean, _ = evaluate_policy(Stopper(), env, n_eval_episodes=N, warn=True)
    assert mean == 0  # stopping at once moves nothing


def test_what_single_environments_would_have_is_refused(problem):
    env = AllocVecEnv(problem, N)
    with pytest.raises(AttributeError, match="action_masks"):
        env.env_method("render")
    with pytest.raises(AttributeError):
        env.set_attr("x", 1)
    assert env.get_attr("problem", [1]) == [problem]
    assert not env.has_attr("nothing")
