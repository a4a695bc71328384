"""Column generation over machines: a strong bound in tenths of a second, and the plans it leads to.

A plan gives every machine one change (VMs in less VMs out). Machines know each other only through one balance
per kind of VM (as many come in as leave) and through the number of moves: prices on those split the problem
into one small knapsack per machine (Dantzig and Wolfe, Operations Research 8, 1960; Gilmore and Gomory,
Operations Research 9, 1961). At any prices the sum of the machines' best changes bounds every plan; the best
prices come from a linear program over the changes found so far (the master); whole numbers of the same
changes give the plan (price and branch).
"""

from math import ceil, floor
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray, LongArray
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.exact.kinds import Kinds
from allocenv.problems.vm.exact.lattice import BOTH, Lattice
from allocenv.problems.vm.exact.pricing import best_changes
from allocenv.problems.vm.exact.worth import Worth, gain_of, grid_of
from allocenv.problems.vm.objective import Rules

ROUNDING = 2.0**-20  # prices are multiples of it, so that sums of prices and whole gains are exact
SLIP = 1e-9
_FAR = 1_000.0  # moves a missing gain counts for while the goal is out of reach of the changes known


class Columns(NamedTuple):
    """Changes of machines, n of them."""

    type: LongArray  # [n]
    change: LongArray  # [n, Q, 3]  VMs in less VMs out, by kind and part of the machine
    gain: Array  # [n]  what the machine is worth after the change
    moves: LongArray  # [n]  VMs that leave
    price: Array  # [n]  price of these moves

    @property
    def balance(self) -> LongArray:
        """VMs in less VMs out, by kind: [n, Q]."""
        return self.change.sum(2)


class Prices(NamedTuple):
    """What a VM of each kind is worth to a machine, and what a move costs."""

    kind: Array  # [Q]
    move: float


class Generator:
    """The columns of one cluster, objective and limit of moves.

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
    ) -> None:
        self.cluster, self.rules, self.worth, self.kinds, self.lattice = cluster, rules, worth, kinds, lattice
        self.max_moves, self.goal = max_moves, goal
        self.n_of = np.bincount(lattice.types[lattice.types >= 0])
        self.first = self._first_of_each()
        self.free = (cluster.capacity.astype(np.int64) - cluster.used)[:, self.first]
        self.n_held = np.bincount(cluster.bin_of, minlength=cluster.n_pms)[self.first]
        self.toll = (worth.move if goal is None else 0.0) * kinds.cost
        self.live = np.flatnonzero((lattice.size > 0).any(1))  # kinds that matter to the levels
        self.grid = grid_of(np.array([*worth.chunk, worth.emptied, *self.toll]))
        if goal is not None:  # gains come in steps of the grid, moves in whole numbers
            self.goal = ceil(goal / self.grid - 1e-6) * self.grid if self.grid else goal
            self.grid = 1.0
        self.bundles, held_of = self._bundles()
        self.fixed_arguments = self._arguments(held_of)
        self._seen: set[bytes] = set()
        self._lists: list[list[Any]] = [[], [], [], [], []]
        n_types, n_kinds = len(self.n_of), len(kinds.shape)
        self.add(np.arange(n_types), np.zeros((n_types, n_kinds, 3), np.int64))
        self.bound = np.inf if goal is None else 0.0
        self.prices = Prices(np.zeros(n_kinds), 1.0)

    def _first_of_each(self) -> LongArray:
        """A machine of each type."""
        types = self.lattice.types
        order = np.flatnonzero(types >= 0)
        _, first = np.unique(types[order], return_index=True)
        return order[first]

    def _bundles(self) -> tuple[LongArray, LongArray]:
        """What parts of machines hold, each holding once: [U, 1 + Q] (parts of both cells first marked 1)."""
        held = self.lattice.held.transpose(0, 2, 1)
        mark = np.broadcast_to((np.arange(3) == BOTH)[None, :, None], (len(held), 3, 1))
        rows = np.concatenate([mark, held], 2).reshape(-1, held.shape[2] + 1)
        unique, inverse = np.unique(rows, axis=0, return_inverse=True)
        return unique, inverse.reshape(len(held), 3)

    def _arguments(self, held_of: LongArray) -> tuple[Array, ...]:
        lattice = self.lattice
        return (
            lattice.limit,
            lattice.size,
            (lattice.part_of == BOTH).any(1).astype(np.int64),
            lattice.level,
            held_of,
            np.ascontiguousarray(self.bundles[:, 1:]),
            np.ascontiguousarray(self.bundles[:, 0]),
            lattice.enters,
            lattice.enters_of,
            np.minimum(self.kinds.before.sum((1, 2)), int(lattice.limit.sum()) + 1),
            lattice.gain,
            lattice.label,
            lattice.gain_of,
            lattice.joint,
        )

    @property
    def columns(self) -> Columns:
        return Columns(*(np.concatenate(parts) for parts in self._lists))

    def add(self, types: LongArray, change: LongArray) -> int:
        """Keep the changes that are possible and new; return how many."""
        keys = [t.tobytes() + c.tobytes() for t, c in zip(types, change, strict=True)]
        new = np.array([key not in self._seen for key in keys], np.bool_)
        self._seen.update(keys)
        types, change = types[new], change[new]
        if len(types) == 0:
            return 0
        demand = self.cluster.demand[self.kinds.shape].astype(np.int64)  # [Q, V, R]
        free = self.free[:, types].copy()
        for variant in range(demand.shape[1]):
            for part in range(3):
                takes = self.lattice.part_of[:, variant] == part
                free -= demand[takes, variant].T @ change[:, takes, part].T
        possible = (free >= 0).all(0) & self._groups_agree(types, change)
        types, change, free = types[possible], change[possible], free[:, possible]
        leave = np.maximum(-change, 0)
        gain = gain_of(self.rules, self.worth, free, self.n_held[types] + change.sum((1, 2)))
        values = (types, change, gain, leave.sum((1, 2)), leave.sum(2) @ self.toll)
        for known, more in zip(self._lists, values, strict=True):
            known.append(more)
        return len(types)

    def _groups_agree(self, types: LongArray, change: LongArray) -> BoolArray:
        """Whether no change brings a VM into a machine (or rack) that would hold too many of its group."""
        members = self._members_of_groups()
        agree = np.ones(len(types), np.bool_)
        for g, limit in enumerate(self.cluster.group_limit):
            mine = self.kinds.groups[:, g]
            comes = (change[:, mine] > 0).any((1, 2))
            if self.cluster.group_scope[g] == 0:
                after = members[g, self.first[types]] + change[:, mine].sum((1, 2))
                agree &= ~comes | (after <= limit)
            else:
                racks = np.bincount(self.cluster.rack_of, members[g])
                agree &= ~comes | (racks[self.cluster.rack_of[self.first[types]]] <= limit)
        return agree

    def _members_of_groups(self) -> LongArray:
        """How many VMs of each group each machine holds: [G, N]."""
        cluster = self.cluster
        out = np.zeros((len(cluster.group_limit), cluster.n_pms), np.int64)
        vm, i = np.nonzero(cluster.group_of >= 0)
        np.add.at(out, (cluster.group_of[vm, i], cluster.bin_of[vm]), 1)
        return out

    def add_plan(self, after: LongArray) -> None:
        """Add the changes of a plan, given its counts [Q, N, V]."""
        change = np.zeros((self.cluster.n_pms, len(self.kinds.shape), 3), np.int64)
        moved = after - self.kinds.before
        for part in range(3):
            change[:, :, part] = (moved * (self.lattice.part_of == part)[:, None, :]).sum(2).T
        touched = np.flatnonzero(change.any((1, 2)))
        self.add(self.lattice.types[touched], change[touched])

    def run(self, deadline: float, enough: float | None = None) -> None:
        """Generate columns until the bound is as good as it gets, or meets `enough` (a gain, or moves)."""
        value = np.empty(len(self.n_of))
        change = np.empty((len(self.n_of), len(self.kinds.shape), 3), np.int64)
        while perf_counter() < deadline:
            lp, self.prices = self._master()
            best_changes(*self.fixed_arguments, self.prices.kind, self.prices.move + self.toll, value, change)
            self._tighten(float(self.n_of @ value))
            new = self.add(np.arange(len(value)), change.copy())
            if new == 0 or self._settled(lp) or (enough is not None and not self._better(self.bound, enough)):
                return

    def _tighten(self, total: float) -> None:
        """Use what the machines' best changes are worth together at the present prices."""
        if self.goal is None:
            found = total + self.prices.move * self.max_moves
            self.bound = min(self.bound, self.rounded(found))
        else:
            self.bound = max(self.bound, self.rounded((self.goal - total) / self.prices.move))

    def rounded(self, bound: float) -> float:
        """The bound on the grid of possible values."""
        if not self.grid:
            return bound
        if self.goal is None:
            return floor(bound / self.grid + SLIP) * self.grid
        return float(ceil(bound - SLIP))

    def _better(self, a: float, b: float) -> bool:
        return a > b + SLIP if self.goal is None else a < b - SLIP

    def _settled(self, lp: float) -> bool:
        """Whether more columns cannot improve the bound: the master is as good already."""
        return not self._better(self.bound, self.rounded(lp)) if self.goal is None else self.bound >= self.rounded(lp)

    def _master(self) -> tuple[float, Prices]:
        """Solve the linear master; its value and its prices."""
        from scipy.optimize import linprog
        from scipy.sparse import csr_matrix, hstack

        columns = self.columns
        a, cost = self._matrix(columns), self._cost(columns)
        if self.goal is not None:  # gain out of nowhere, so that there is a solution from the start
            nowhere = csr_matrix(([-1.0], ([a.shape[0] - 1], [0])), (a.shape[0], 1))
            a, cost = hstack([a, nowhere]).tocsr(), np.append(cost, _FAR)
        rows = np.concatenate([self.n_of, np.zeros(len(self.live))])
        n_types = len(self.n_of)
        limit = self.max_moves if self.goal is None else -self.goal
        found = linprog(cost, A_ub=a[-1:], b_ub=[limit], A_eq=a[:-1], b_eq=rows, method="highs")
        kind = np.zeros(len(self.kinds.shape))
        kind[self.live] = -found.eqlin.marginals[n_types:]
        last = max(-float(found.ineqlin.marginals[0]), 0.0)
        if self.goal is None:
            move, lp = last, -float(found.fun)
        else:
            move, lp = 1 / max(last, 1 / _FAR), float(found.fun)
            kind *= move
        return lp, Prices(np.rint(kind / ROUNDING) * ROUNDING, float(np.rint(move / ROUNDING) * ROUNDING))

    def plan(self, deadline: float) -> LongArray | None:
        """The best plan that whole numbers of the columns make, as counts [Q, N, V]; None: none found in time."""
        from scipy.optimize import Bounds, LinearConstraint, milp

        columns = self.columns
        n_balances = len(self.live)
        low = [*self.n_of, *np.zeros(n_balances), -np.inf]
        high = [*self.n_of, *np.zeros(n_balances), self.max_moves if self.goal is None else -self.goal + SLIP]
        # at the bound, the search may stop
        bounds = [
            LinearConstraint(self._matrix(columns), low, high),
            LinearConstraint(
                self._cost(columns)[None], -self.bound if self.goal is None else self.bound - SLIP, np.inf
            ),
        ]
        found = milp(
            self._cost(columns),
            constraints=bounds,
            integrality=np.ones(len(columns.type)),
            bounds=Bounds(0, self.n_of[columns.type].astype(float)),
            options={"time_limit": max(deadline - perf_counter(), 0.01), "mip_rel_gap": 0.0},
        )
        return None if found.x is None else self._counts(columns, np.rint(found.x).astype(np.int64))

    def _counts(self, columns: Columns, times: LongArray) -> LongArray:
        """The counts [Q, N, V] after each column is used so many times."""
        after = self.kinds.before.copy()
        machines = {t: list(np.flatnonzero(self.lattice.types == t)) for t in range(len(self.n_of))}
        for i in np.flatnonzero(times):
            mine = machines[int(columns.type[i])]
            for machine in [mine.pop() for _ in range(times[i])]:
                for kind, part in zip(*np.nonzero(columns.change[i]), strict=True):
                    variant = int(np.flatnonzero(self.lattice.part_of[kind] == part)[0])
                    after[kind, machine, variant] += columns.change[i, kind, part]
        return after

    def _cost(self, columns: Columns) -> Array:
        """What the master minimises, by column."""
        return columns.price - columns.gain if self.goal is None else columns.moves.astype(np.float64)

    def _matrix(self, columns: Columns) -> Any:
        """Rows of the master: one change per machine, balances, and last the moves (or the gain, negative)."""
        from scipy.sparse import csr_matrix, vstack

        n = len(columns.type)
        one = csr_matrix((np.ones(n), (columns.type, np.arange(n))), (len(self.n_of), n))
        last = columns.moves if self.goal is None else -columns.gain
        return vstack(
            [one, csr_matrix(columns.balance[:, self.live].T.astype(float)), csr_matrix(last[None].astype(float))]
        ).tocsr()
