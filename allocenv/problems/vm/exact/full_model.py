"""The whole problem as one CP-SAT model: any machine, resource, objective and group. Slower than columns.

One integer variable per kind of VM, machine and variant (how many are there afterwards) instead of one binary
per VM, machine and variant; what leaves is the shortfall against now. OR-Tools is imported on first use.
"""

import sys
from typing import Any, NamedTuple

import numpy as np

from allocenv.core.arrays import LongArray
from allocenv.core.clock import perf_counter, run_model
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.exact.kinds import FIXED, Kinds
from allocenv.problems.vm.exact.worth import Worth, chunks_of, grid_of, term_rows
from allocenv.problems.vm.objective import Rules

MAX_PLACES = 300_000
_BUILDING = 8e-5  # seconds a place (kind, machine, variant) costs before the search begins, at most
_IMPORTING = 1.0  # seconds, OR-Tools, once a process
_SCALE = 2.0**32  # gains that are no multiples of a common step are rounded to multiples of 1/_SCALE


class Found(NamedTuple):
    """What CP-SAT found."""

    after: LongArray | None  # [Q, N, V]  counts of the best plan; None: none found
    bound: float  # gain less price of moves, at most; or moves to the goal, at least


def solve_model(
    cluster: Cluster,
    rules: Rules,
    worth: Worth,
    kinds: Kinds,
    max_moves: int,
    deadline: float,
    hint: LongArray,
    goal: float | None = None,
    bound: float | None = None,
    workers: int = 2,
    seed: int = 0,
) -> Found | None:
    """The plan with the largest gain less price, or (with `goal`, a gain) with the fewest moves that reach it.

    `hint` are the counts [Q, N, V] of a plan to start from; `bound` is a known bound of the same quantity.
    None: there are more than 300,000 places for kinds, or so many that building would take all the time.
    """
    places = int(kinds.enters.sum()) * kinds.before.shape[2]
    importing = 0.0 if "ortools.sat.python.cp_model" in sys.modules else _IMPORTING
    if places > MAX_PLACES or perf_counter() + importing + places * _BUILDING > deadline:
        return None
    model = _Model(cluster, rules, worth, kinds, max_moves, goal, bound)
    return model.solve(deadline - perf_counter() - places * _BUILDING / 2, hint, workers, seed)


class _Model:
    def __init__(
        self,
        cluster: Cluster,
        rules: Rules,
        worth: Worth,
        kinds: Kinds,
        max_moves: int,
        goal: float | None,
        bound: float | None,
    ) -> None:
        from ortools.sat.python import cp_model

        self.cp, self.model = cp_model, cp_model.CpModel()
        self.cluster, self.rules, self.worth, self.kinds = cluster, rules, worth, kinds
        self.free = cluster.capacity.astype(np.int64) - cluster.used
        self.demand = cluster.demand[kinds.shape].astype(np.int64)  # [Q, V, R]
        self.places: list[list[tuple[int, int, Any]]] = [[] for _ in range(cluster.n_pms)]  # (kind, variant, count)
        self.left: list[tuple[int, Any]] = []  # (kind, how many leave)
        values = np.concatenate([worth.chunk, [worth.emptied], worth.move * kinds.cost])
        self.step = grid_of(values) or 1 / _SCALE
        self._add_places()
        self._add_capacity()
        self._add_groups()
        gain = self._gain()
        moves = sum(x for _, x in self.left)
        self.model.add(moves <= max_moves)
        self.goal = goal
        if goal is not None:
            self.model.add(gain >= int(np.ceil(goal / self.step - 1e-6)))
            if bound is not None:
                self.model.add(moves >= int(bound))
            self.model.minimize(moves)
        else:
            price = sum(self._whole(worth.move * kinds.cost[q]) * x for q, x in self.left if worth.move)
            if bound is not None:
                self.model.add(gain - price <= int(np.floor(bound / self.step + self._rounding() + 1e-6)))
            self.model.maximize(gain - price)

    def _whole(self, gain: float) -> int:
        return round(gain / self.step)

    def _add_places(self) -> None:
        """Counts of each kind on each machine as each variant, and how many leave."""
        kinds, model = self.kinds, self.model
        supply = kinds.before.sum((1, 2))
        for q, shape in enumerate(kinds.shape):
            here = kinds.before[q]
            everywhere = []
            for n in np.flatnonzero(kinds.enters[q] | here.any(1)):
                for v in range(int(self.cluster.n_variants[shape])):
                    high = int(min(self._most(q, int(n), v), supply[q]) if kinds.enters[q, n] else here[n, v])
                    if high == 0:
                        continue
                    count = model.new_int_var(0, high, "")
                    self.places[n].append((q, v, count))
                    everywhere.append(count)
                    if here[n, v]:
                        leave = model.new_int_var(0, int(here[n, v]), "")
                        model.add(count + leave >= int(here[n, v]))
                        self.left.append((q, leave))
            model.add(sum(everywhere) == int(supply[q]))

    def _most(self, q: int, n: int, v: int) -> int:
        """How many VMs of the kind the machine has room for once all others that can have left."""
        need = self.demand[q, v]
        room = self.free[:, n] + np.einsum("qv,qvr->r", self.kinds.before[:, n], self.demand)
        return int((room[need > 0] // need[need > 0]).min(initial=int(self.kinds.before[q].sum())))

    def _use(self, n: int, r: int) -> tuple[list[Any], list[int], int]:
        """Resource r used on machine n by VMs that can move: variables, their sizes, and how much can be used."""
        terms = [(x, int(self.demand[q, v, r])) for q, v, x in self.places[n] if self.demand[q, v, r]]
        now = int(np.einsum("qv,qv->", self.kinds.before[:, n], self.demand[:, :, r]))
        return [x for x, _ in terms], [a for _, a in terms], int(self.free[r, n]) + now

    def _add_capacity(self) -> None:
        for n in range(self.cluster.n_pms):
            for r in range(self.demand.shape[2]):
                counts, sizes, room = self._use(n, r)
                if counts:
                    self.model.add(self.cp.LinearExpr.weighted_sum(counts, sizes) <= room)

    def _gain(self) -> Any:
        """The gain of all machines, in steps."""
        terms: list[Any] = []
        weights: list[int] = []
        constant = 0
        for n in np.flatnonzero(self.cluster.active):
            if not self.places[n]:  # nothing can change here
                gain = self.worth.chunk @ chunks_of(self.rules, self.free[:, [n]])[:, 0]
                constant += self._whole(float(gain) + self.worth.emptied * float(not (self.cluster.bin_of == n).any()))
                continue
            for t, chunk in enumerate(self.worth.chunk):
                if chunk > 0:
                    terms.append(self._chunks(int(n), t))
                    weights.append(self._whole(float(chunk)))
            if self.worth.emptied and not ((self.cluster.bin_of == n) & (self.kinds.kind_of == FIXED)).any():
                terms.append(self._emptied(int(n)))
                weights.append(self._whole(self.worth.emptied))
        return self.cp.LinearExpr.weighted_sum(terms, weights) + constant

    def _chunks(self, n: int, t: int) -> Any:
        """Chunks of term t on the machine: at most what fits, and as many where that pays."""
        model, size = self.model, int(self.rules.term_chunk[t])
        cells = []
        for r in term_rows(self.rules, t):
            counts, sizes, room = self._use(n, r)
            cell = model.new_int_var(0, max(room // size, 0), "")
            model.add(self.cp.LinearExpr.weighted_sum([*counts, cell], [*sizes, size]) <= room)
            cells.append(cell)
        if self.rules.term_nodes[t] != 2:
            return sum(cells)
        pairs = model.new_int_var(0, self.cluster.capacity.max().item(), "")
        model.add(2 * pairs <= sum(cells))
        for cell in cells:
            model.add(pairs <= sum(cells) - cell)
        return pairs

    def _emptied(self, n: int) -> Any:
        """Whether the machine holds no VM."""
        empty = self.model.new_bool_var("")
        for _, _, count in self.places[n]:
            self.model.add(count == 0).only_enforce_if(empty)
        return empty

    def _add_groups(self) -> None:
        """No machine (or rack) into which a member comes ends with more members than the limit."""
        cluster, kinds = self.cluster, self.kinds
        for g, limit in enumerate(cluster.group_limit):
            domain_of = cluster.rack_of if cluster.group_scope[g] else np.arange(cluster.n_pms)
            member = (cluster.group_of == g).any(1)
            now = np.bincount(domain_of[cluster.bin_of[member]], minlength=int(domain_of.max()) + 1)
            fixed = member & (kinds.kind_of == FIXED)
            stay = np.bincount(domain_of[cluster.bin_of[fixed]], minlength=len(now))
            for domain in range(len(now)):
                mine = [
                    (q, int(n), v, x)
                    for n in np.flatnonzero(domain_of == domain)
                    for q, v, x in self.places[n]
                    if kinds.groups[q, g]
                ]
                self._limit_domain(mine, int(limit), int(now[domain]), int(stay[domain]))

    def _limit_domain(self, mine: list[tuple[int, int, int, Any]], limit: int, now: int, stay: int) -> None:
        total = sum(x for *_, x in mine)
        if not mine:
            return
        if now <= limit:
            self.model.add(total + stay <= limit)
            return
        comes = self.model.new_bool_var("")  # above its limit from the start: nobody comes until it is not
        for q, n, v, x in mine:
            self.model.add(x <= int(self.kinds.before[q, n, v])).only_enforce_if(~comes)
        self.model.add(total + stay <= limit).only_enforce_if(comes)

    def solve(self, seconds: float, hint: LongArray, workers: int, seed: int) -> Found:
        for n, places in enumerate(self.places):
            for q, v, x in places:
                self.model.add_hint(x, int(hint[q, n, v]))
        solver = self.cp.CpSolver()
        solver.parameters.num_workers = workers
        solver.parameters.random_seed = seed
        status = run_model(solver, self.model, seconds)
        bound = float(solver.best_objective_bound)
        if self.goal is None:
            bound = (bound + self._rounding()) * self.step
        if status == self.cp.INFEASIBLE:
            return Found(None, np.inf if self.goal is not None else -np.inf)
        if status not in (self.cp.OPTIMAL, self.cp.FEASIBLE):
            return Found(None, bound)
        after = np.zeros_like(self.kinds.before)
        for n, places in enumerate(self.places):
            for q, v, x in places:
                after[q, n, v] = solver.value(x)
        return Found(after, bound)

    def _rounding(self) -> float:
        """How many steps rounded gains can differ from true ones, over all machines."""
        if self.step != 1 / _SCALE:
            return 0.0
        return 0.5 * (float(chunks_of(self.rules, self.cluster.capacity.astype(np.int64)).sum()) + self.cluster.n_pms
                      + len(self.left))  # fmt: skip
