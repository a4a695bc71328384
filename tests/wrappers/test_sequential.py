"""A pair as two choices: each under its mask, the reward with the second."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from toy_problem import Toy

from allocenv.core.batch import Batch
from allocenv.wrappers.sequential import Sequential, SequentialEnv

ROOMS = np.array([1, 2])


def begin(n=1):
    sequential = Sequential(Batch(Toy(), n))
    sequential.load([ROOMS] * n)
    return sequential


def test_first_the_slot_then_its_placement():
    sequential = begin(2)
    seen = sequential.observe()
    assert seen["stage"].tolist() == [[0], [0]]
    assert seen["chosen"].tolist() == [[-1], [-1]]
    assert seen["action_mask"].tolist() == [[1, 1, 1]] * 2
    assert not seen["placements"].any()
    outcome = sequential.step(np.array([2, 0]))
    assert outcome.rewards.tolist() == [0.0, 0.0]
    seen = sequential.observe()
    assert seen["stage"].tolist() == [[1], [1]]
    assert seen["chosen"].tolist() == [[2], [0]]
    assert seen["action_mask"].tolist() == [[1, 1, 0]] * 2  # two placements; the third choice never exists
    assert seen["placements"][0, :, 0].tolist() == [0.5, 1.0]
    outcome = sequential.step(np.array([1, 0]))
    assert outcome.rewards.tolist() == [3.0, 1.0]
    assert sequential.observe()["chosen"].tolist() == [[-1], [-1]]


def test_the_second_mask_is_exact_for_the_chosen_slot():
    sequential = begin()
    for choice in (0, 0, 1):  # item 0 fills bin 0; then slot 1
        sequential.step(np.array([choice]))
    assert sequential.action_masks().tolist() == [[False, True, False]]


@pytest.mark.parametrize("slot", [0, 7, -3])
def test_nothing_is_legal_after_a_slot_that_cannot_be_chosen(slot):
    sequential = begin()
    for choice in (0, 0):
        sequential.step(np.array([choice]))
    assert sequential.step(np.array([slot])).rewards[0] == 0  # placed already, or no slot at all
    assert not sequential.action_masks().any()
    assert SequentialEnv(Toy()).observation_space["chosen"].contains(sequential.observe()["chosen"][0])
    outcome = sequential.step(np.array([1]))
    assert (outcome.rewards[0], outcome.illegal[0]) == (-1.0, True)
    assert sequential.stage == 0


def test_a_placement_that_does_not_exist_is_illegal():
    sequential = begin()
    sequential.step(np.array([0]))
    assert sequential.step(np.array([2])).illegal[0]


def test_two_choices_are_one_step_of_the_batch():
    sequential, batch = Sequential(Batch(Toy(), 3)), Batch(Toy(), 3)
    sequential.reset(seed=3)
    batch.reset(seed=3)
    rng = np.random.default_rng(0)
    for _ in range(6):
        pairs = rng.integers(0, [3, 2], (3, 2))
        sequential.step(pairs[:, 0])
        for one, other in zip(sequential.step(pairs[:, 1]), batch.step(pairs), strict=True):
            np.testing.assert_array_equal(one, other)


def test_rows_restart_only_between_two_pairs():
    sequential = begin(2)
    sequential.step(np.array([0, 0]))
    with pytest.raises(ValueError, match="between two pairs"):
        sequential.restart([0])
    sequential.step(np.array([0, 0]))
    sequential.restart([0])
    assert sequential.observe()["slot_bin"].tolist() == [[-1, -1, -1], [0, -1, -1]]


def test_a_reset_forgets_the_half_made_pair():
    sequential = begin()
    sequential.step(np.array([0]))
    sequential.reset()
    assert sequential.stage == 0


def test_it_goes_on_where_it_was_saved_even_within_a_pair():
    sequential = begin(2)
    sequential.step(np.array([2, 1]))
    saved = sequential.state_dict()
    expected = sequential.step(np.array([1, 1])).rewards.tolist()
    other = begin(2)
    other.load_state_dict(saved)
    assert other.observe()["chosen"].tolist() == [[2], [1]]
    assert other.step(np.array([1, 1])).rewards.tolist() == expected


def test_choices_of_a_wrong_shape_are_refused():
    with pytest.raises(ValueError, match=r"shape \(2,\), got \(1,\)"):
        begin(2).step(np.array([0]))


@pytest.mark.filterwarnings("ignore:.*spec:UserWarning")  # the toy has no id to be made anew from
def test_gymnasiums_checker_has_nothing_to_say():
    check_env(SequentialEnv(Toy()))


def test_the_environment_masks_every_choice():
    env = SequentialEnv(Toy())
    assert env.action_space == gymnasium.spaces.Discrete(3)
    _, info = env.reset(seed=0, options={"instance": ROOMS})
    ended = False
    while not ended:
        assert env.action_masks().tolist() == info["action_mask"].astype(bool).tolist()
        seen, _, terminated, truncated, info = env.step(env.action_space.sample(mask=info["action_mask"]))
        assert not info["illegal"]
        assert env.observation_space.contains(seen)
        ended = terminated or truncated
    assert info["metrics"]["placed"] == 3.0
