"""The Gymnasium environment of one instance: seeds, options, masks, infos."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from toy_problem import Toy

from allocenv.core.batch import Batch
from allocenv.wrappers.single import AllocEnv


def begin(seed=0, **options):
    env = AllocEnv(Toy(**options))
    env.reset(seed=seed)
    return env


def test_a_problem_of_pairs_acts_by_pairs():
    assert AllocEnv(Toy()).action_space == gymnasium.spaces.MultiDiscrete([3, 2])


def test_a_problem_of_one_slot_acts_by_plain_numbers():
    env = begin(single=True)
    assert env.action_space == gymnasium.spaces.Discrete(2)
    _, reward, *_, info = env.step(1)
    assert (reward, info["illegal"]) == (1.0, False)
    assert info["action_mask"].tolist() == env.action_masks().tolist()
    assert "slot_mask" not in info


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.filterwarnings("ignore:.*spec:UserWarning")  # the toy has no id to be made anew from
def test_gymnasiums_checker_has_nothing_to_say(single):
    check_env(AllocEnv(Toy(single=single)))


def test_a_seeded_reset_begins_as_row_zero_of_a_batch():
    batch = Batch(Toy(), 4, seed=8)
    batch.reset()
    env = begin(seed=8)
    assert env.batch.state.room[0].tolist() == batch.state.room[0].tolist()
    env.reset()
    batch.reset()
    assert env.batch.state.room[0].tolist() == batch.state.room[0].tolist()


def test_two_environments_that_nobody_seeded_differ():
    starts = []
    for _ in range(2):
        env = AllocEnv(Toy())
        rooms = []
        for _ in range(40):
            env.reset()
            rooms.append(env.batch.state.room[0].tolist())
        starts.append(rooms)
    assert starts[0] != starts[1]


def test_an_unseeded_environment_can_be_replayed_by_its_seed():
    env = AllocEnv(Toy())
    env.reset()
    assert begin(seed=env.np_random_seed).batch.state.room[0].tolist() == env.batch.state.room[0].tolist()


def test_an_instance_can_be_given():
    env = begin()
    seen, _ = env.reset(options={"instance": np.array([2, 1])})
    assert seen["bins"][:, 0].tolist() == [1.0, 0.5]


def test_an_unknown_reset_option_is_refused():
    with pytest.raises(ValueError, match="no reset option but 'instance', got instances"):
        begin().reset(options={"instances": []})


def test_an_illegal_action_is_penalised_and_told():
    env = begin()
    env.step([0, 0])
    _, reward, terminated, _, info = env.step([0, 0])  # item 0 is placed already
    assert (reward, terminated, info["illegal"]) == (-1.0, False, True)


def test_the_info_holds_masks_and_metrics():
    env = begin()
    _, info = env.reset(options={"instance": np.array([1, 2])})
    assert info == {"illegal": False, "metrics": {"placed": 0.0, "illegal": 0.0}, "slot_mask": pytest.approx([1, 1, 1])}
    *_, info = env.step([1, 0])
    assert info["slot_mask"].tolist() == [1, 0, 1]
    assert info["metrics"]["placed"] == 1.0


def test_the_placement_mask_is_exact_and_fit_to_sample_from():
    env = begin()
    env.reset(options={"instance": np.array([1, 2])})
    env.step([1, 0])
    assert env.placement_mask(0).tolist() == [0, 1]
    assert env.placement_mask(1).tolist() == [0, 0]
    assert gymnasium.spaces.Discrete(2).sample(mask=env.placement_mask(0)) == 1


def test_action_masks_join_the_slots_and_every_placement():
    env = begin()
    env.step([1, 0])
    assert env.action_masks().tolist() == [True, False, True, True, True]


def test_render_modes_are_text_and_pixels_and_nothing_else():
    env = AllocEnv(Toy(), render_mode="ansi")
    env.reset(seed=0)
    assert env.render() == "[-1, -1, -1]"
    env = AllocEnv(Toy(), render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().shape == (20, 20, 3)
    assert begin().render() is None
    with pytest.raises(ValueError, match="one of ansi, rgb_array, human, got 'svg'"):
        AllocEnv(Toy(), render_mode="svg")


def test_for_humans_every_step_is_printed(capsys):
    env = AllocEnv(Toy(), render_mode="human")
    env.reset(seed=0)
    assert capsys.readouterr().out == "\n[-1, -1, -1]\n"
    env.step(env.action_space.sample())
    assert capsys.readouterr().out.startswith("\n[")
    assert env.render() is None


def test_parameters_beside_a_problem_are_refused():
    with pytest.raises(ValueError, match="only beside the name of a problem, got steps"):
        AllocEnv(Toy(), steps=3)
