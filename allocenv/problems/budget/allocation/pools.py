"""How many rollouts does each prompt get where workers have budgets of their own?

With the prompts already on workers each pool is a knapsack of its own, solved exactly. Where prompts may go
to any pool, the budget of all pools together bounds the value (Lagrangian relaxation: one price for all
rollouts), and the counts found there are spread over the pools, the largest first to the pool with most room;
then each pool is solved exactly. CP-SAT finds the best of small instances.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from allocenv.core.arrays import LongArray
from allocenv.problems.budget.allocation.greedy import Bounds, allocate, bounds, require_concave, require_total
from allocenv.problems.budget.values import Belief, Value, rows, worth, worth_table

SCALE = 2.0**40  # of the values for CP-SAT, over their largest


class PoolAllocation(NamedTuple):
    """Rollouts and pools of the prompts, what they are worth, and what no allocation exceeds."""

    counts: LongArray  # [M]
    pool_of: LongArray  # [M]
    value: float
    bound: float


def allocate_in_pools(
    of: Value, belief: Belief, pool_of: ArrayLike, budgets: ArrayLike, low: ArrayLike = 2, up: ArrayLike = 128
) -> LongArray:
    """The rollouts [M] of largest expected value; those of pool p sum to budgets[p].

    Args:
        of: the value.
        belief: about the M success rates.
        pool_of: the pool of each prompt, [M].
        budgets: rollouts of each pool, [P].
        low: fewest rollouts of a prompt, for all or [M].
        up: most rollouts of a prompt, for all or [M].

    Raises:
        ValueError: bad bounds, an unknown pool, or a budget that the prompts of its pool cannot use or
        exceed.
    """
    limits = bounds(len(belief.wins), low, up)
    pools, capacity = np.asarray(pool_of), np.asarray(budgets)
    if pools.shape != limits.low.shape or not ((pools >= 0) & (pools < len(capacity))).all():
        raise ValueError(f"Expected a pool from 0 to {len(capacity) - 1} for each of {len(limits.low)} prompts.")
    counts = np.zeros(len(pools), np.int64)
    for pool, budget in enumerate(capacity.tolist()):
        mine = np.flatnonzero(pools == pool)
        try:
            counts[mine] = allocate(of, rows(belief, mine), budget, limits.low[mine], limits.up[mine])
        except ValueError as error:
            raise ValueError(f"Pool {pool}: {error}") from None
    return counts


def allocate_to_pools(
    of: Value, belief: Belief, budgets: ArrayLike, low: ArrayLike = 2, up: ArrayLike = 128
) -> PoolAllocation:
    """A pool for each prompt and rollouts of nearly the largest expected value, with a bound.

    The rollouts of each pool sum to its budget.

    Arguments as those of `allocate_in_pools`.

    Raises:
        ValueError: bad bounds, a total that no allocation has, or no assignment found that keeps all bounds.
    """
    limits, capacity = bounds(len(belief.wins), low, up), np.asarray(budgets, np.int64)
    merged = allocate(of, belief, int(capacity.sum()), limits.low, limits.up)
    bound = float(worth(of, belief, merged).sum())
    pool_of = _spread(merged, capacity, limits)
    counts = allocate_in_pools(of, belief, pool_of, capacity, limits.low, limits.up)
    return PoolAllocation(counts, pool_of, float(worth(of, belief, counts).sum()), bound)


def allocate_to_pools_exactly(
    of: Value,
    belief: Belief,
    budgets: ArrayLike,
    low: ArrayLike = 2,
    up: ArrayLike = 128,
    seconds: float = 10.0,
    seed: int = 0,
) -> PoolAllocation:
    """As `allocate_to_pools`, by CP-SAT: the best where `value` and `bound` agree. For some dozen prompts.

    Raises:
        ValueError: as `allocate_to_pools`; or nothing found within the time.
    """
    from ortools.sat.python import cp_model

    limits, capacity = bounds(len(belief.wins), low, up), np.asarray(budgets, np.int64)
    require_concave(of, limits.low)
    m = len(limits.low)
    require_total(int(capacity.sum()), int(limits.low.sum()), int(limits.up.sum()), m)
    table = worth_table(of, belief, int(limits.up.max(initial=0)))
    step = max(float(table.max(initial=0.0)), 1e-300) / SCALE
    model = cp_model.CpModel()
    places: dict[tuple[int, int, int], Any] = {
        (i, p, n): model.new_bool_var("")
        for i in range(m)
        for p in range(len(capacity))
        for n in range(limits.low[i], min(limits.up[i], capacity[p]) + 1)
    }
    for i in range(m):
        model.add_exactly_one(x for (j, _, _), x in places.items() if j == i)
    for p, room in enumerate(capacity.tolist()):
        model.add(sum(n * x for (_, q, n), x in places.items() if q == p) == room)
    model.maximize(sum(round(table[i, n] / step) * x for (i, _, n), x in places.items()))
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.random_seed = seed
    solver.parameters.num_workers = 1
    if solver.solve(model) not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        raise ValueError(f"Expected an assignment to pools of {capacity.tolist()} that keeps all bounds; found none.")
    counts, pool_of = np.zeros(m, np.int64), np.zeros(m, np.int64)
    for (i, p, n), x in places.items():
        if solver.boolean_value(x):
            counts[i], pool_of[i] = n, p
    value = float(worth(of, belief, counts).sum())
    return PoolAllocation(counts, pool_of, value, max(value, (solver.best_objective_bound + m) * step))


def _spread(counts: LongArray, capacity: LongArray, limits: Bounds) -> LongArray:
    """A pool for each prompt: the largest first, to the pool with most room of those that its fewest rollouts fit."""
    room, least = capacity.astype(np.int64), capacity.astype(np.int64)
    pool_of = np.zeros(len(counts), np.int64)
    for i in np.lexsort((-counts, -limits.low)):
        fits = least >= limits.low[i]
        if not fits.any():
            raise ValueError(
                f"Expected pools of {capacity.tolist()} to hold the fewest rollouts of all prompts; they do not."
            )
        pool = int(np.argmax(np.where(fits, room, np.iinfo(np.int64).min)))
        pool_of[i] = pool
        room[pool] -= counts[i]
        least[pool] -= limits.low[i]
    return pool_of
