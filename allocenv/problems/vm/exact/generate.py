"""Column generation over machines: a strong bound in tenths of a second, and the plan it leads to.

A plan gives every machine one change (VMs in less VMs out). Machines know each other only through one balance
per kind of VM and through the number of moves: prices on those split the problem into one small knapsack per
machine (Dantzig and Wolfe, Operations Research 8, 1960; Gilmore and Gomory, Operations Research 9, 1961). At
any prices, the machines' best changes together bound every plan; the best prices come from a linear program
over the changes found so far; whole numbers of the same changes give the plan (price and branch).

Where gains come in steps (one chunk, for a single fragment rate) the bound is rounded to a step, prices are
multiples of 2^-20 and all sums are exact: a plan at the bound is then proven without trust in any solver.
"""

from math import ceil, floor
from typing import Any

import numpy as np

from allocenv.core.arrays import Array, LongArray
from allocenv.core.clock import perf_counter
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.exact.columns import Columns, Pool
from allocenv.problems.vm.exact.kinds import Kinds, moves_between
from allocenv.problems.vm.exact.lattice import BOTH, Lattice
from allocenv.problems.vm.exact.master import SLIP, Aim, Prices, linear_master, whole_master
from allocenv.problems.vm.exact.pricing import best_changes
from allocenv.problems.vm.exact.worth import Worth, grid_of
from allocenv.problems.vm.objective import Rules

_ATTEMPTS = 4  # to make a better plan of more columns
_VARIATIONS = 10  # of the prices, between attempts
_SHARE = 0.3  # of the time left for a plan as good with fewer moves
_FIRST_SLACK = 1.0  # gain below the best of their types that columns of a plan may have, at first
_NOISE = 0.02  # of the prices, in gains, at the first attempt


class Generator:
    """Bound and plans of one cluster, objective and limit of moves.

    With `goal` (a gain) the fewest moves that reach it are sought, else the largest gain less the price of
    moves with at most `max_moves`.
    """

    def __init__(
        self,
        cluster: Cluster,
        rules: Rules,
        worth: Worth,
        kinds: Kinds,
        lattice: Lattice,
        max_moves: int,
        goal: float | None = None,
        seed: int = 0,
    ) -> None:
        grid = grid_of(np.array([*worth.chunk, worth.emptied, *(() if goal else worth.move * kinds.cost)]))
        if goal is not None:
            worth = worth._replace(move=0.0)  # moves are counted, not paid
            goal = ceil(goal / grid - 1e-6) * grid if grid else goal
        self.aim = Aim(max_moves, goal, grid)
        self.pool = Pool(cluster, rules, worth, kinds, lattice)
        self.bound = np.inf if goal is None else 0.0  # on the gain less price; or on the moves to the goal
        self.slack = np.inf  # how far below its type's best a column of a plan at the bound can be ...
        self.prices = Prices(np.zeros(len(kinds.shape)), 0.0)  # ... at these prices
        self._best = np.zeros(len(self.pool.n_of))
        self._raw = self.bound
        self._fixed = pricing_arguments(self.pool)
        self._rng = np.random.default_rng(seed)

    def run(self, deadline: float, enough: float = np.nan) -> None:
        """Generate columns until the bound is as good as it gets, or meets `enough`, which a known plan reaches."""
        value = np.empty(len(self._best))
        change = np.empty((len(value), len(self.pool.kinds.shape), 3), np.int64)
        while perf_counter() < deadline:
            linear, prices = linear_master(self.pool, self.aim)
            self._price(prices.kind, prices.move, value, change)
            self._tighten(prices, value)
            new = self.pool.add(np.arange(len(value)), change.copy())
            if new == 0 or not self._better(self.aim.rounded(linear)) or not self._better(enough):
                return

    def plan(self, deadline: float) -> LongArray | None:
        """The best plan found that whole numbers of columns make, as counts [Q, N, V]; None: none found.

        Where gains come in steps, the bound is mostly reached by columns near their types' best; while they
        make no such plan, more of their kind are looked for. Else columns not far off are tried, then those
        (old and new) that can be part of something better than what these make.
        """
        if not np.isfinite(self.slack):  # `run` had no time
            return None
        if self.aim.grid or self.aim.goal is not None:
            half = perf_counter() + (deadline - perf_counter()) / 2
            for attempt in range(_ATTEMPTS):
                found = self._whole(self.slack, half, at_bound=True)
                if found is not None:
                    return self._fewest(found, deadline)
                self._vary((attempt + 1) * _NOISE, half)
        best: tuple[float, LongArray] | None = None
        slack = max(_FIRST_SLACK, 2 * self.slack)
        for attempt in range(_ATTEMPTS):
            found = self._whole(slack, deadline)
            if found is None:
                slack *= 4.0
                continue
            if best is None or self._unit() * (found[0] - best[0]) < 0:
                best = found
            slack = self._unit() * (best[0] - self._raw)
            if not self._better(best[0]):
                break
            self._vary((attempt + 1) * _NOISE, deadline)
        return None if best is None else self._fewest(best, deadline)

    def _fewest(self, found: tuple[float, LongArray], deadline: float) -> LongArray:
        """A plan as good as the one found with the fewest moves that the columns allow, where moves are free."""
        value, after = found
        if self.aim.goal is not None or self.pool.toll.any():
            return after
        slack = self._raw - value
        spare = floor(slack / self.prices.move + SLIP) if self.prices.move else self.aim.max_moves
        aim = Aim(self.aim.max_moves, value, self.aim.grid)
        some = perf_counter() + (deadline - perf_counter()) * _SHARE
        fewer = whole_master(self.pool, self._near(slack), aim, max(self.aim.max_moves - spare, 0), some)
        moves = int(moves_between(self.pool.kinds.before, after).sum())
        return after if fewer is None or fewer[0] >= moves else fewer[1]

    def _near(self, slack: float) -> Columns:
        """The columns worth at most `slack` less than the best of their types."""
        columns = self.pool.columns
        return columns.only(self._best[columns.type] - self.prices.worth(columns) <= slack + SLIP)

    def _whole(self, slack: float, deadline: float, at_bound: bool = False) -> tuple[float, LongArray] | None:
        """The best plan of the columns at most `slack` below the best of their types."""
        columns = self._near(slack)
        if perf_counter() > deadline or len(np.unique(columns.type)) < len(self._best):
            return None
        return whole_master(self.pool, columns, self.aim, self.bound, deadline, at_bound)

    def _unit(self) -> float:
        """Gain that a step of the value away from the bound is worth, with its sign."""
        return -1.0 if self.aim.goal is None else self.prices.move

    def _vary(self, noise: float, deadline: float) -> None:
        """Add what machines would do at prices near the best ones."""
        value = np.empty(len(self._best))
        change = np.empty((len(value), len(self.pool.kinds.shape), 3), np.int64)
        for _ in range(_VARIATIONS):
            if perf_counter() > deadline:
                return
            kind = self.prices.kind + self._rng.normal(0.0, noise, len(self.prices.kind))
            move = max(self.prices.move + self._rng.normal(0.0, noise), 0.0)
            self._price(kind, move, value, change)
            self.pool.add(np.arange(len(value)), change.copy())

    def _price(self, kind: Array, move: float, value: Array, change: LongArray) -> None:
        """Write each type's best change at these prices, and its value."""
        arguments: Any = (*self._fixed, kind, move + self.pool.toll, value, change)
        best_changes(*arguments)

    def _better(self, value: float) -> bool:
        """Whether a value short of the bound could still become the bound."""
        if np.isnan(value):
            return True
        return self.bound > value + SLIP if self.aim.goal is None else self.bound < value - SLIP

    def _tighten(self, prices: Prices, value: Array) -> None:
        """Use what the machines' best changes are worth together at these prices."""
        total = float(self.pool.n_of @ value)
        if self.aim.goal is None:
            raw = total + prices.move * self.aim.max_moves
            stronger = raw < self._raw
        else:
            raw = (self.aim.goal - total) / prices.move
            stronger = raw > self._raw
        if stronger:
            self._raw, self.bound = raw, self.aim.rounded(raw)
            self.prices, self._best = prices, value.copy()
            self.slack = self._unit() * (self.bound - raw)


def pricing_arguments(pool: Pool) -> tuple[Array, ...]:
    """What of the cluster the pricing kernel takes, in its order."""
    lattice = pool.lattice
    held = lattice.held.transpose(0, 2, 1)  # [T, 3, Q]
    both = np.broadcast_to((np.arange(3) == BOTH)[None, :, None], (len(held), 3, 1))
    bundles, held_of = np.unique(
        np.concatenate([both, held], 2).reshape(-1, held.shape[2] + 1), axis=0, return_inverse=True
    )
    return (
        lattice.limit,
        lattice.size,
        (lattice.part_of == BOTH).any(1).astype(np.int64),
        lattice.level,
        held_of.reshape(len(held), 3),
        np.ascontiguousarray(bundles[:, 1:]),
        np.ascontiguousarray(bundles[:, 0]),
        lattice.enters,
        lattice.enters_of,
        np.minimum(pool.kinds.before.sum((1, 2)), int(lattice.limit.sum()) + 1),
        lattice.gain,
        lattice.label,
        lattice.gain_of,
        lattice.joint,
    )
