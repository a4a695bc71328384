"""Policies that act on any problem. Those that know a problem live in its own `heuristics.py`."""

from collections.abc import Callable

import numpy as np

from allocenv.core.arrays import BoolArray, FloatArray, IntArray
from allocenv.core.batch import Batch
from allocenv.core.policy import Policy
from allocenv.core.problem import Outcome, State
from allocenv.core.state_dict import named_arrays

AT_ONCE = 64  # pairs that greedy tries at once: copies of the instance held in memory


def random_legal(rng: np.random.Generator) -> Policy:
    """A random slot, then a random legal placement of it."""

    def policy(batch: Batch) -> IntArray:
        slots = _draw(rng, batch.observe().slot_mask)
        return np.stack([slots, _draw(rng, batch.placement_mask(slots))], axis=1)

    return policy


def first_fit(batch: Batch) -> IntArray:
    """The first slot that fits anywhere, into the first placement that takes it."""
    slots = batch.observe().slot_mask.argmax(axis=1).astype(np.int32)
    return np.stack([slots, batch.placement_mask(slots).argmax(axis=1).astype(np.int32)], axis=1)


def greedy(batch: Batch) -> IntArray:
    """The pair of the highest reward; of equals one that ends the episode, else the first.

    Carries every legal pair out on a copy of the instance: seconds a decision for a few hundred items, too slow
    beyond. Problems have faster ones of their own.
    """
    scratch = batch.problem.empty(AT_ONCE)
    return np.stack([_best_pair(batch, b, scratch) for b in range(batch.n)])


def _best_pair(batch: Batch, b: int, scratch: State) -> IntArray:
    pairs = _legal_pairs(batch, b, scratch)
    if len(pairs) == 0:
        return np.array(batch.problem.stop, np.int32)
    rewards, ends = _outcomes(batch, b, pairs, scratch)
    best: IntArray = pairs[np.lexsort((np.arange(len(pairs)), ~ends, -rewards))[0]]
    return best


def _legal_pairs(batch: Batch, b: int, scratch: State) -> IntArray:
    """Every legal action of row b: [n, 2]."""
    _copy_row(batch.state, b, scratch)
    found = [np.zeros((0, 2), np.int32)]
    for slots in _chunks(np.flatnonzero(batch.observe().slot_mask[b]).astype(np.int32)):
        mask = np.zeros((AT_ONCE, batch.problem.sizes.placements), np.bool_)
        batch.problem.placement_mask(scratch, slots, mask, 0, len(slots))
        which, placements = np.nonzero(mask)
        found.append(np.stack([slots[which], placements], axis=1).astype(np.int32))
    return np.concatenate(found)


def _outcomes(batch: Batch, b: int, pairs: IntArray, scratch: State) -> tuple[FloatArray, BoolArray]:
    """What each of the actions would earn in row b, and whether it would end the episode: [n], [n]."""
    out = Outcome(np.zeros(AT_ONCE, np.float32), *(np.zeros(AT_ONCE, np.bool_) for _ in range(3)))
    rewards, ends = [], []
    for some in _chunks(pairs):
        _copy_row(batch.state, b, scratch)
        batch.problem.step(scratch, some, out, 0, len(some))
        rewards.append(out.rewards[: len(some)].copy())
        ends.append((out.terminated | out.truncated)[: len(some)])
    return np.concatenate(rewards), np.concatenate(ends)


def _copy_row(state: State, b: int, scratch: State) -> None:
    """Make every row of the scratch state a copy of row b."""
    for (_, source), (_, target) in zip(named_arrays(state), named_arrays(scratch), strict=True):
        target[:] = source[b]


def _chunks(array: IntArray) -> list[IntArray]:
    return [np.ascontiguousarray(array[i : i + AT_ONCE]) for i in range(0, len(array), AT_ONCE)]


def _draw(rng: np.random.Generator, mask: BoolArray) -> IntArray:
    """One True entry of each row, all equally likely: [B]."""
    chance = rng.random(mask.shape)
    drawn: IntArray = np.where(mask, chance, -1.0).argmax(axis=1).astype(np.int32)
    return drawn


# A policy is made for one run: random ones draw from the generator they are given.
HEURISTICS: dict[str, Callable[[np.random.Generator], Policy]] = {
    "random": random_legal,
    "first_fit": lambda rng: first_fit,
    "greedy": lambda rng: greedy,
}
