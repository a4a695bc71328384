"""The native vector environment: autoreset, seeds, options, infos; and that it is what Gymnasium's own does."""

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import DictInfoToList, RecordEpisodeStatistics
from toy_problem import Toy

from allocenv.core.batch import Batch
from allocenv.wrappers.single import AllocEnv
from allocenv.wrappers.vector import AllocVectorEnv

PLACE = np.array([[0, 0], [1, 1], [2, 1]])  # places all three items where the rooms are (1, 2)
ROOMS = np.array([1, 2])


def begin(n=2, instances=None, mode=AutoresetMode.NEXT_STEP, **options):
    envs = AllocVectorEnv(Toy(**options), n, mode)
    envs.reset(seed=0, options={"instances": instances or [ROOMS] * n})
    return envs


def all_rows(*pairs):
    return np.array(pairs)


def test_spaces_have_the_rows_in_front():
    envs = begin()
    seen, _ = envs.reset()
    assert envs.observation_space.contains(seen)
    assert envs.single_action_space == gymnasium.spaces.MultiDiscrete([3, 2])
    assert envs.action_space.shape == (2, 2)


def test_an_int_seed_seeds_the_batch_and_a_list_the_rows():
    envs = AllocVectorEnv(Toy(), 3)
    envs.reset(seed=5)
    batch = Batch(Toy(), 3, seed=5)
    batch.reset()
    assert envs.batch.state.room.tolist() == batch.state.room.tolist()
    envs.reset(seed=[7, 8, None])
    for b, seed in enumerate([7, 8]):
        alone = AllocEnv(Toy())
        alone.reset(seed=seed)
        assert envs.batch.state.room[b].tolist() == alone.batch.state.room[0].tolist()


def test_in_next_step_mode_an_ended_row_restarts_in_place_of_its_next_step():
    envs = begin(n=2)
    envs.batch.state.steps_left[1] = 100
    for pair in PLACE:
        _, _, terminated, _, infos = envs.step(all_rows(pair, [2, 0]))
    assert terminated.tolist() == [True, False]
    assert infos["metrics"]["placed"].tolist() == [3.0, 0.0]
    assert infos["_metrics"].tolist() == infos["metrics"]["_placed"].tolist() == [True, False]
    seen, rewards, terminated, _, infos = envs.step(all_rows([2, 1], [1, 1]))
    assert rewards.tolist() == [0.0, 2.0]
    assert not terminated.any()
    assert infos["illegal"].tolist() == [False, False]
    assert (seen["slot_bin"][0] == -1).all()
    assert seen["context"][0, 0] == 1.0  # none of its steps was used up
    assert "metrics" not in infos


def test_in_same_step_mode_the_last_observation_and_info_are_kept_aside():
    envs = begin(n=2, mode=AutoresetMode.SAME_STEP)
    for pair in PLACE:
        seen, _, terminated, _, infos = envs.step(all_rows(pair, [2, 0]))
    assert terminated.tolist() == [True, False]
    assert (seen["slot_bin"][0] == -1).all()
    last = infos["final_obs"][0]
    assert last["slot_bin"].tolist() == [0, 1, 1]
    assert envs.single_observation_space.contains(last)
    assert infos["final_obs"][1] is None
    assert infos["_final_obs"].tolist() == infos["_final_info"].tolist() == [True, False]
    assert infos["final_info"]["metrics"]["placed"].tolist() == [3.0, 0.0]
    assert infos["final_info"]["_illegal"].tolist() == [True, False]


def test_in_disabled_mode_ended_rows_wait_for_a_reset_mask():
    envs = begin(n=2, mode=AutoresetMode.DISABLED)
    for pair in PLACE:
        seen, _, terminated, _, _ = envs.step(all_rows(pair, [2, 0]))
    assert seen["slot_bin"][0].tolist() == [0, 1, 1]
    with pytest.raises(ResetNeeded, match=r"ended rows \[0\]"):
        envs.step(all_rows([0, 0], [0, 0]))
    other = seen["slot_bin"][1].tolist()
    seen, _ = envs.reset(options={"reset_mask": terminated, "instances": [np.array([2, 2])]})
    assert seen["bins"][0, :, 0].tolist() == [1.0, 1.0]
    assert seen["slot_bin"][1].tolist() == other
    envs.step(all_rows([0, 0], [1, 1]))


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize("single", [False, True])
def test_it_goes_as_gymnasiums_own_vector_environment(mode, single):
    """Same observations, rewards, ends and, at ends, infos as SyncVectorEnv over single environments."""
    ours = AllocVectorEnv(Toy(single=single), 3, mode)
    theirs = SyncVectorEnv([lambda: AllocEnv(Toy(single=single))] * 3, autoreset_mode=mode)
    seeds = [3, 4, 5]
    assert_same(ours.reset(seed=seeds)[0], theirs.reset(seed=seeds)[0])
    ours.action_space.seed(0)
    for _ in range(40):
        actions = ours.action_space.sample()
        one, other = ours.step(actions), theirs.step(actions)
        assert_same(one[0], other[0])
        for a, b in zip(one[1:4], other[1:4], strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(one[4]["illegal"], other[4]["illegal"])
        assert one[4].keys() - {"metrics", "_metrics"} <= other[4].keys()
        if "final_obs" in other[4]:
            ended = other[4]["_final_obs"]
            np.testing.assert_array_equal(one[4]["_final_obs"], ended)
            for b in np.flatnonzero(ended):
                assert_same(one[4]["final_obs"][b], other[4]["final_obs"][b])
            placed = [infos["final_info"]["metrics"]["placed"][ended] for infos in (one[4], other[4])]
            np.testing.assert_array_equal(*placed)


def assert_same(one, other):
    assert one.keys() == other.keys()
    for key in one:
        np.testing.assert_array_equal(one[key], other[key])
        assert one[key].dtype == other[key].dtype


def test_nothing_that_was_handed_out_changes_later():
    envs = begin()
    given = envs.step(all_rows([0, 0], [0, 0]))
    kept = [array.copy() for array in (*given[0].values(), *given[1:4], given[4]["illegal"])]
    for _ in range(8):
        envs.step(envs.action_space.sample())
    for array, copy in zip((*given[0].values(), *given[1:4], given[4]["illegal"]), kept, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_gymnasiums_vector_wrappers_take_it():
    envs = DictInfoToList(RecordEpisodeStatistics(begin(n=2)))
    envs.reset(seed=0, options={"instances": [ROOMS, ROOMS]})
    for pair in PLACE:
        *_, infos = envs.step(all_rows(pair, [2, 0]))
    assert infos[0]["metrics"] == {"placed": 3.0, "illegal": 0.0}
    assert infos[0]["episode"]["r"] == 1 + 2 + 3
    assert "metrics" not in infos[1]


def test_a_problem_of_one_slot_tells_the_mask_of_its_actions():
    envs = begin(single=True)
    *_, infos = envs.step(np.array([0, 1]))
    assert infos["action_mask"].tolist() == [[0, 1], [1, 1]]
    assert envs.action_masks().tolist() == [[False, True], [True, True]]


def test_masks_of_pairs_join_the_slots_and_every_placement():
    envs = begin()
    envs.step(all_rows([0, 0], [2, 1]))
    assert envs.action_masks().tolist() == [[False, True, True, True, True], [True, True, False, True, True]]
    assert envs.placement_mask(np.array([1, 1])).tolist() == [[False, True], [True, True]]


def test_rendering_gives_one_frame_a_row():
    envs = AllocVectorEnv(Toy(), 2, render_mode="ansi")
    envs.reset(seed=0)
    assert envs.render() == ("[-1, -1, -1]", "[-1, -1, -1]")
    assert begin().render() is None


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"reset_mask": [True, False]}, "reset_mask of 2 booleans"),
        ({"reset_mask": np.array([False, False])}, "at least one row"),
        ({"instance": ROOMS}, "'reset_mask' and 'instances', got instance"),
        ({"instances": [ROOMS]}, "Expected 2 instances, one for each row to reset, got 1"),
    ],
)
def test_wrong_options_say_what_was_expected(options, expected):
    with pytest.raises(ValueError, match=expected):
        begin().reset(options=options)


def test_wrong_seeds_and_actions_say_what_was_expected():
    with pytest.raises(ValueError, match="one seed a row, 2, got 1"):
        begin().reset(seed=[1])
    with pytest.raises(ValueError, match=r"actions of shape \(2, 2\), got \(2,\)"):
        begin().step(np.array([0, 1]))
