"""Spaces follow from sizes alone."""

import numpy as np
import pytest
from toy_problem import Toy

from allocenv.core.problem import Observation, Sizes
from allocenv.problems.vm.problem import VM
from allocenv.wrappers.spaces import as_dict, as_pairs, as_problem, observation_space, row

SIZES = Sizes(slots=3, bins=2, variants=2, slot_features=5, bin_features=4, context=6, placement_features=7)


def test_an_observation_has_the_arrays_of_its_sizes():
    shapes = {name: space.shape for name, space in observation_space(SIZES).items()}
    assert shapes == {"slots": (3, 5), "bins": (2, 4), "context": (6,), "slot_mask": (3,), "slot_bin": (3,)}
    blank = row(as_dict(Observation.zeros(2, SIZES)), 1)
    assert observation_space(SIZES).contains(blank)
    assert blank["slot_mask"].dtype == np.int8  # what Discrete.sample takes


def test_a_row_is_a_copy_and_the_whole_is_not():
    observation = Observation.zeros(2, SIZES)
    arrays = as_dict(observation)
    assert np.shares_memory(arrays["slot_mask"], observation.slot_mask)
    assert not np.shares_memory(row(arrays, 0)["slots"], observation.slots)


def test_one_slot_makes_pairs_of_plain_numbers():
    assert as_pairs(np.array([3, 1]), 2, SIZES._replace(slots=1)).tolist() == [[0, 3], [0, 1]]
    assert as_pairs([[2, 3], [0, 1]], 2, SIZES).tolist() == [[2, 3], [0, 1]]


def test_a_problem_is_found_by_name_or_taken_as_it_is():
    toy = Toy()
    assert as_problem(toy, {}) is toy
    assert as_problem("vm", {"n_pms": 3}) == VM(n_pms=3)


def test_an_unknown_problem_gets_a_hint():
    with pytest.raises(ValueError, match=r"one of vm.*; got 'vms'. Did you mean 'vm'\?"):
        as_problem("vms", {})
