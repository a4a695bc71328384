"""An allocation on the shared core: prompt = item, pool = bin, level = variant, rollouts or tokens = resource."""

import numpy as np
from numpy.typing import ArrayLike

from allocenv.core.arrays import LongArray
from allocenv.core.resource_state import ResourceState, empty_resource_state, place
from allocenv.problems.budget.allocation.greedy import Bounds

INT_MAX = 2**31 - 1


def as_state(
    counts: LongArray, pool_of: LongArray, budgets: ArrayLike, limits: Bounds, costs: ArrayLike | None = None
) -> ResourceState:
    """One instance in which every prompt lies in its pool at its level; `core.resource_state.check` verifies it.

    Prompts of equal bounds and cost are of one shape. Variant v is low + v rollouts.

    Args:
        counts: rollouts [M].
        pool_of: pool of each prompt [M].
        budgets: of each pool [P], rollouts, or tokens where there are costs.
        limits: bounds of the prompts.
        costs: whole tokens of a rollout [M].

    Raises:
        ValueError: a count outside its bounds, or a budget that is exceeded or too large for the core's
        arrays.
    """
    m, capacity = len(counts), np.asarray(budgets, np.int64)
    price = np.ones(m, np.int64) if costs is None else np.asarray(costs, np.int64)
    if ((counts < limits.low) | (counts > limits.up)).any():
        raise ValueError("Expected counts within their bounds.")
    used = np.bincount(pool_of, counts * price, len(capacity))
    if len(used) > len(capacity) or (used > capacity).any():
        raise ValueError(f"Expected at most {capacity.tolist()} in the pools, got {used.astype(int).tolist()}.")
    kinds, shape_of = np.unique(np.stack([limits.low, limits.up, price], axis=1), axis=0, return_inverse=True)
    if capacity.max(initial=0) > INT_MAX or (kinds[:, 1] * kinds[:, 2]).max(initial=0) > INT_MAX:
        raise ValueError(f"Expected budgets and demands of at most {INT_MAX}.")
    n_variants = kinds[:, 1] - kinds[:, 0] + 1
    s = empty_resource_state(1, m, len(capacity), 1, len(kinds), int(n_variants.max(initial=1)))
    s.capacity[0, 0], s.n_items[0], s.n_bins[0] = capacity, m, len(capacity)
    s.n_variants[0], s.shape_of[0] = n_variants, shape_of.reshape(m)
    for k, (low, up, cost) in enumerate(kinds):
        s.demand[0, k, : up - low + 1, 0] = np.arange(low, up + 1) * cost
    for i in range(m):
        place(s, 0, i, int(pool_of[i]), int(counts[i] - limits.low[i]))
    return s
