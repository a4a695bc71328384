"""The policies for any problem, on a toy where the best choice is known."""

import numpy as np
import pytest
from toy_problem import Toy

from allocenv.core.batch import Batch
from allocenv.heuristics import HEURISTICS, first_fit, greedy
from allocenv.problems.vm.cluster import PM, build_cluster
from allocenv.problems.vm.cluster import VM as Record
from allocenv.problems.vm.problem import VM

every = pytest.mark.parametrize("name", HEURISTICS)


def batch_of(problem, *instances):
    batch = Batch(problem, len(instances))
    batch.load(instances)
    return batch


@every
def test_its_actions_are_legal_until_the_episode_ends(name):
    batch = batch_of(Toy(), *[np.array([1, 2])] * 5)
    policy = HEURISTICS[name](np.random.default_rng(0))
    for _ in range(3):
        outcome = batch.step(policy(batch))
        assert not outcome.illegal.any()
    assert outcome.terminated.all()


@every
def test_the_same_generator_gives_the_same_actions(name):
    batch = batch_of(Toy(), *[np.array([2, 2])] * 20)
    first, again = (HEURISTICS[name](np.random.default_rng(3))(batch).tolist() for _ in range(2))
    assert first == again


def test_first_fit_takes_the_first_slot_and_the_first_placement_with_room():
    batch = batch_of(Toy(), np.array([1, 2]))
    assert first_fit(batch).tolist() == [[0, 0]]
    batch.step(first_fit(batch))
    assert first_fit(batch).tolist() == [[1, 1]]  # item 0 has filled bin 0


def test_greedy_takes_the_pair_of_the_highest_reward_first_and_leaves_the_batch_alone():
    batch = batch_of(Toy(), np.array([1, 2]), np.array([2, 1]))
    before = batch.state_dict()["state"]
    assert greedy(batch).tolist() == [[2, 0], [2, 0]]  # item 2 earns most; both bins would do
    for name, array in batch.state_dict()["state"].items():
        np.testing.assert_array_equal(array, before[name])


def test_greedy_ends_an_episode_rather_than_do_what_earns_nothing():
    """Two machines of 8 cores with a VM of 4 each: one move frees a chunk of 8, no other earns anything."""
    cell = ({"cpu": 8000, "memory": 100},)
    vms = [Record(name, pm, (0,), {"cpu": 4000}) for name, pm in (("a", "p"), ("b", "q"))]
    problem = VM.on(build_cluster("test", [PM("p", cell), PM("q", cell)], vms), objective="cpu:8")
    batch = Batch(problem, 1)
    batch.reset()
    assert batch.step(greedy(batch)).rewards[0] == 1.0
    assert greedy(batch).tolist() == [list(problem.stop)]


def test_random_legal_reaches_every_legal_action():
    batch = batch_of(Toy(), *[np.array([1, 2])] * 200)
    actions = HEURISTICS["random"](np.random.default_rng(0))(batch)
    assert len(np.unique(actions, axis=0)) == 3 * 2
