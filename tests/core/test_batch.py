"""What a batch promises whatever the problem: rows, threads, restarts, and errors that say what was expected."""

from typing import NamedTuple

import numpy as np
import pytest

from allocenv.core.batch import Batch
from allocenv.core.problem import Observation, Sizes


class Count(NamedTuple):
    left: np.ndarray  # [B]  steps until the episode ends
    seen: np.ndarray  # [B]


class Countdown:
    """A problem of one number: every step takes one off it; slot 0 is there while it is even."""

    sizes = Sizes(slots=2, bins=1, variants=1, slot_features=1, bin_features=1, context=1, placement_features=1)

    def empty(self, n):
        return Count(np.zeros(n, np.int64), np.zeros(n, np.int64))

    def draw(self, rng):
        return int(rng.integers(1, 1000))

    def fill(self, state, b, instance):
        state.left[b], state.seen[b] = instance, 0

    def step(self, state, actions, out, lo, hi):
        state.left[lo:hi] -= 1
        out.rewards[lo:hi] = actions[lo:hi, 0]
        out.terminated[lo:hi] = state.left[lo:hi] == 0

    def observe(self, state, out, lo, hi):
        for b in range(lo, hi):
            out.context[b] = state.left[b]
            if state.left[b] % 2 == 0:
                out.slot_mask[b, 0], out.slot_bin[b, 0] = True, 0

    def placement_mask(self, state, slots, out, lo, hi):
        out[lo:hi, 0] = slots[lo:hi] == 0

    def placement_features(self, state, slots, out, lo, hi):
        out[lo:hi, 0, 0] = slots[lo:hi]

    def cost(self, state, b):
        return float(state.left[b])


def batch_of(n, **options):
    batch = Batch(Countdown(), n, **options)
    batch.reset()
    return batch


def test_row_b_draws_from_a_generator_of_its_own():
    few, many = batch_of(2, seed=5), batch_of(7, seed=5)
    assert few.state.left.tolist() == many.state.left[:2].tolist()
    assert batch_of(2, seed=6).state.left.tolist() != few.state.left.tolist()


def test_restarting_one_row_leaves_the_others():
    batch = batch_of(3)
    before = batch.state.left.copy()
    batch.restart([1])
    assert batch.state.left[[0, 2]].tolist() == before[[0, 2]].tolist()
    assert batch.state.left[1] != before[1]


def test_a_seeded_reset_begins_again():
    batch = batch_of(3)
    before = batch.state.left.copy()
    batch.reset()
    batch.reset(seed=0)
    assert batch.state.left.tolist() == before.tolist()


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_threads_share_the_rows_between_them(threads):
    alone, together = batch_of(5), batch_of(5, threads=threads)
    actions = np.arange(10).reshape(5, 2)
    assert alone.step(actions).rewards.tolist() == together.step(actions).rewards.tolist()
    assert alone.state.left.tolist() == together.state.left.tolist()
    together.close()
    together.close()


def test_instances_are_given_one_a_row():
    batch = batch_of(2)
    batch.load([10, 20])
    assert batch.costs().tolist() == [10.0, 20.0]
    with pytest.raises(ValueError, match="Expected 2 instances, one a row, got 1"):
        batch.load([10])


def test_observing_some_rows_again_leaves_nothing_of_what_they_held():
    batch = batch_of(3)
    batch.load([2, 4, 6])
    observation = batch.observe()
    batch.load([3, 5, 7])
    batch.observe_again(observation, [1])
    assert observation.context[:, 0].tolist() == [2, 5, 6]
    assert observation.slot_mask[:, 0].tolist() == [True, False, True]
    assert observation.slot_bin[:, 0].tolist() == [0, -1, 0]


def test_observations_are_fresh_arrays():
    batch = batch_of(1)
    first = batch.observe()
    for array, again in zip(first, batch.observe(), strict=True):
        assert not np.shares_memory(array, again)


def test_a_saved_batch_goes_on_where_it_was():
    batch = batch_of(2)
    saved = batch.state_dict()
    batch.restart([0, 1])
    ahead = batch.state.left.copy()
    other = batch_of(2, seed=9)
    other.load_state_dict(saved)
    other.restart([0, 1])
    assert other.state.left.tolist() == ahead.tolist()


def test_a_saved_batch_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"field left of shape \(3,\), the saved one has \(2,\)"):
        batch_of(3).load_state_dict(batch_of(2).state_dict())


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: Batch(Countdown(), 0), "at least 1 instance, got 0"),
        (lambda: Batch(Countdown(), 1, threads=0), "at least 1 thread, got 0"),
        (lambda: batch_of(2).step(np.zeros((2, 3))), r"actions of shape \(2, 2\), got \(2, 3\)"),
        (lambda: batch_of(2).placement_mask(np.zeros(3)), r"shape \(2,\), got \(3,\)"),
    ],
)
def test_errors_say_what_was_expected(make, expected):
    with pytest.raises(ValueError, match=expected):
        make()


def test_an_empty_observation_holds_no_slot_and_no_holder():
    blank = Observation.zeros(2, Countdown.sizes)
    assert not blank.slot_mask.any()
    assert (blank.slot_bin == -1).all()
    assert blank.slots.shape == (2, 2, 1)
