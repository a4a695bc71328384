"""What an agent sees and does, as Gymnasium spaces: only the sizes of a problem decide, none of its rules."""

from typing import Any

import numpy as np
from gymnasium import spaces

from allocenv.core.arrays import Array, BoolArray, IntArray
from allocenv.core.batch import Batch
from allocenv.core.problem import Observation, Problem, Sizes
from allocenv.problems import make_problem

FENCE = 1000.0  # features are scaled to about [-1, 1]; a finite bound that holds, since checkers refuse infinity


def as_problem(problem: str | Problem, params: dict[str, Any]) -> Problem:
    """The problem itself, or the one of this name with these parameters."""
    if isinstance(problem, str):
        return make_problem(problem, **params)
    if params:
        raise ValueError(f"Expected parameters only beside the name of a problem, got {', '.join(params)}.")
    return problem


def observation_space(sizes: Sizes) -> spaces.Dict:
    """The arrays of an observation of one instance, under the names of `Observation`."""
    return spaces.Dict(
        {
            "slots": features(sizes.slots, sizes.slot_features),
            "bins": features(sizes.bins, sizes.bin_features),
            "context": features(sizes.context),
            "slot_mask": spaces.MultiBinary(sizes.slots),
            "slot_bin": spaces.Box(-1, sizes.bins - 1, (sizes.slots,), np.int32),
        }
    )


def features(*shape: int) -> spaces.Box:
    """A space of float32 features."""
    return spaces.Box(-FENCE, FENCE, shape, np.float32)


def action_space(sizes: Sizes) -> spaces.MultiDiscrete | spaces.Discrete:
    """A pair (slot, placement); the placement alone where there is one slot."""
    if sizes.slots == 1:
        return spaces.Discrete(sizes.placements)
    return spaces.MultiDiscrete([sizes.slots, sizes.placements])


def action_masks(batch: Batch, slot_mask: BoolArray) -> BoolArray:
    """What sb3-contrib asks for: the masks of the parts of an action, one after the other, each row an instance.

    Where there is one slot: exact, [B, N * V]. For pairs, [B, S + N * V]: the slots exactly, by slot_mask [B, S], and
    every placement as possible, since which ones are depends on the slot; sequential choices are exact.
    """
    sizes = batch.problem.sizes
    if sizes.slots == 1:
        return batch.placement_mask(np.zeros(batch.n, np.int32))
    return np.concatenate([slot_mask, np.ones((batch.n, sizes.placements), np.bool_)], axis=1)


def as_dict(observation: Observation) -> dict[str, Array]:
    """The arrays of a batch under their names; masks as int8, sharing their memory."""
    arrays: dict[str, Array] = observation._asdict()
    arrays["slot_mask"] = observation.slot_mask.view(np.int8)
    return arrays


def row(arrays: dict[str, Array], b: int) -> dict[str, Array]:
    """The arrays of one instance, copied out of those of a batch."""
    return {name: array[b].copy() for name, array in arrays.items()}


def as_pairs(actions: Any, n: int, sizes: Sizes) -> IntArray:
    """Actions of `action_space`, one for each of n instances, as fresh pairs (slot, placement): [n, 2]."""
    actions = np.asarray(actions)
    pairs = np.zeros((n, 2), np.int32)
    if sizes.slots > 1:
        _expect_shape(actions, (n, 2))
        pairs[:] = actions
    else:
        _expect_shape(actions, (n,))
        pairs[:, 1] = actions
    return pairs


def _expect_shape(actions: Array, shape: tuple[int, ...]) -> None:
    if actions.shape != shape:
        raise ValueError(f"Expected actions of shape {shape}, got {actions.shape}.")
