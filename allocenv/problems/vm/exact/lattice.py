"""A cluster seen from its objective: machines as free levels of the one or two resources that decide.

All sizes that can move, and the chunks, are multiples of a step; what is free of a cell is then a level, a
small integer, and a machine with one or two cells is a pair of them. A resource in a fixed proportion to a
lead resource is a function of its level; one that can never bind is left out; any other is relaxed: plans are
checked for it, the bound ignores it. Machines that look the same are one type.
"""

from collections.abc import Iterable
from fractions import Fraction
from math import gcd, prod
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray, LongArray
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.exact.kinds import FIXED, Kinds
from allocenv.problems.vm.exact.worth import Worth
from allocenv.problems.vm.objective import ON_HOST, Rules

MAX_STATES = 6_000  # levels of a cell, at most
IMPOSSIBLE = -1e18  # gain of a level that breaks a capacity
CELL0, CELL1, BOTH = 0, 1, 2  # the parts of a machine a VM can take


class Lattice(NamedTuple):
    """T types of machine over (levels of resource A, levels of resource B); without B its only level is 0."""

    limit: LongArray  # [2]  highest level of A and B
    size: LongArray  # [Q, 2]  levels a kind takes of each of its cells
    part_of: LongArray  # [Q, V]  which part of a machine each variant takes
    types: LongArray  # [N]  type of each machine, or -1: not active
    level: LongArray  # [T, 2, 2]  free levels (cell, resource)
    held: LongArray  # [T, Q, 3]  VMs of each kind in each part
    n_cells: int
    enters: BoolArray  # [E, Q]  which kinds may come in ...
    enters_of: LongArray  # [T]  ... and which row holds for the type
    gain: Array  # [G, S]  gain of a cell at each pair of levels, where it does not depend on the other cell
    label: LongArray  # [G, S]  what of a cell matters for the gain of both cells together
    gain_of: LongArray  # [T, 2]  row of `gain` and `label` for each cell
    joint: Array  # [L, L]  gain of both cells together, by their labels


class Lead(NamedTuple):
    """A resource that spans the lattice, and those in a fixed proportion to it."""

    resource: int  # column of `shape_demand`
    step: int
    derived: tuple[tuple[int, Fraction], ...]  # (resource, its amount per unit of the lead)


def lattice_of(cluster: Cluster, rules: Rules, worth: Worth, kinds: Kinds) -> Lattice | None:
    """The lattice of a cluster, or None where machines have more than two cells that matter, the objective mixes
    cells with whole machines, or there would be too many levels."""
    on_host = rules.term_nodes == ON_HOST
    demand = cluster.shape_demand[kinds.shape].astype(np.int64)  # [Q, C + P]
    if len(kinds.shape) == 0 or (on_host.any() and not on_host.all()):
        return None
    by_host = bool(on_host.all())
    n_cells = 1 if by_host else cluster.n_cells
    if n_cells > 2 or (by_host and (cluster.n_variants[kinds.shape] > 1).any()):
        return None
    c = len(cluster.cell_resources)
    rows = [[r if r < c else cluster.n_cells * c + r - c] for r in range(demand.shape[1])]
    if not by_host:
        rows = [[k * c + r for k in range(n_cells)] for r in range(c)]
    in_terms = [int(r) - (cluster.n_cells - 1) * c if by_host else int(r) for r in rules.term_resource]
    chunk_of = {r: [int(x) for x, t in zip(rules.term_chunk, in_terms, strict=True) if t == r] for r in in_terms}
    columns = range(c, demand.shape[1]) if by_host else range(c)
    fixed = _fixed_use(cluster, kinds)
    leads, slack = _leads(cluster, demand, fixed, rows, list(dict.fromkeys([*in_terms, *columns])), chunk_of)
    if not leads:
        return None
    known = {*slack, *(r for lead in leads for r in (lead.resource, *(x for x, _ in lead.derived)))}
    relaxed = np.flatnonzero(cluster.demand[kinds.shape].any((0, 1)))
    relaxed = np.setdiff1d(relaxed, [row for r in known for row in rows[r]])
    return _Builder(cluster, rules, worth, kinds, n_cells, rows, leads, relaxed).lattice()


def _fixed_use(cluster: Cluster, kinds: Kinds) -> LongArray:
    """What the VMs that may not move take of each machine: [K*C + P, N]."""
    fixed = kinds.kind_of == FIXED
    used = np.zeros(cluster.capacity.shape, np.int64)
    np.add.at(used.T, cluster.bin_of[fixed], cluster.demand[cluster.shape_of[fixed], cluster.variant_of[fixed]])
    return used


def _leads(
    cluster: Cluster,
    demand: LongArray,
    fixed: LongArray,
    rows: list[list[int]],
    candidates: list[int],
    chunk_of: dict[int, list[int]],
) -> tuple[list[Lead], list[int]]:
    """At most two resources such that every term depends on their levels alone (none: impossible), and the
    resources that never bind."""
    leads: list[Lead] = []
    slack: list[int] = []
    for r in candidates:
        need = demand[:, r]
        if r not in chunk_of and not need.any():
            continue
        chunks = chunk_of.get(r, [])
        for i, lead in enumerate(leads):
            ratio = _proportion(need, demand[:, lead.resource])
            if ratio is not None:
                leads[i] = lead._replace(derived=(*lead.derived, (r, ratio)))
                break
            if not chunks and _never_binds(cluster, demand, fixed, rows, r, lead.resource):
                slack.append(r)
                break
        else:
            step = gcd(*need.tolist(), *chunks)
            states = prod(int(cluster.capacity[rows[x.resource]].max()) // x.step + 1 for x in leads)
            states *= int(cluster.capacity[rows[r]].max()) // step + 1
            if len(leads) < 2 and states <= MAX_STATES:
                leads.append(Lead(r, step, ()))
            elif chunks:
                return [], []
    return leads, slack


def _proportion(need: LongArray, lead: LongArray) -> Fraction | None:
    """The constant ratio of two demands over all kinds, or None."""
    i = int(np.argmax(lead))
    if lead[i] == 0 or (need * int(lead[i]) != lead * int(need[i])).any():
        return None
    return Fraction(int(need[i]), int(lead[i]))


def _never_binds(
    cluster: Cluster, demand: LongArray, fixed: LongArray, rows: list[list[int]], r: int, lead: int
) -> bool:
    """Whether cells full of the lead resource still have room in resource r, whatever VMs fill them."""
    need, by = demand[:, r], demand[:, lead]
    if (need[by == 0] > 0).any():
        return False
    ratio = (need[by > 0] / by[by > 0]).max(initial=0.0)
    room = cluster.capacity[rows[lead]] - fixed[rows[lead]]
    most = fixed[rows[r]] + np.ceil(ratio * room * (1 + 1e-12))
    return bool((most <= cluster.capacity[rows[r]])[:, cluster.active].all())


class _Builder:
    """Fills the arrays of a lattice."""

    def __init__(
        self,
        cluster: Cluster,
        rules: Rules,
        worth: Worth,
        kinds: Kinds,
        n_cells: int,
        rows: list[list[int]],
        leads: list[Lead],
        relaxed: LongArray,
    ) -> None:
        self.cluster, self.rules, self.worth, self.kinds = cluster, rules, worth, kinds
        self.n_cells, self.rows, self.leads, self.relaxed = n_cells, rows, leads, relaxed
        self.active = np.flatnonzero(cluster.active)
        self.free = (cluster.capacity.astype(np.int64) - cluster.used)[:, self.active]
        self.level = self._levels(self.free)
        self.top = self._levels(cluster.capacity.astype(np.int64)[:, self.active])
        self.limit = self.top.max((0, 1))

    def _levels(self, amounts: LongArray) -> LongArray:
        """Levels [n, 2 cells, 2 resources] of amounts [K*C + P, n]."""
        out = np.zeros((amounts.shape[1], 2, 2), np.int64)
        for i, lead in enumerate(self.leads):
            for cell in range(self.n_cells):
                out[:, cell, i] = amounts[self.rows[lead.resource][cell]] // lead.step
        return out

    def lattice(self) -> Lattice:
        kinds, cluster = self.kinds, self.cluster
        part_of = self._parts()
        held = np.zeros((len(self.active), len(kinds.shape), 3), np.int64)
        for kind, parts in enumerate(part_of):
            for variant, part in enumerate(parts):
                if part >= 0:
                    held[:, kind, part] += kinds.before[kind, self.active, variant]
        enters, enters_of = np.unique(kinds.enters[:, self.active].T, axis=0, return_inverse=True)
        gain, label, gain_of, joint = self._gains()
        key = np.column_stack(
            [
                self.level.reshape(len(held), -1),
                held.reshape(len(held), -1),
                enters_of.reshape(-1, 1),
                gain_of,
                self._beyond_the_lattice(),
            ]
        )
        _, first, types = np.unique(key, axis=0, return_index=True, return_inverse=True)
        type_of = np.full(cluster.n_pms, -1, np.int64)
        type_of[self.active] = types.ravel()
        size = np.zeros((len(kinds.shape), 2), np.int64)
        for i, lead in enumerate(self.leads):
            size[:, i] = cluster.shape_demand[kinds.shape, lead.resource] // lead.step
        return Lattice(
            limit=self.limit,
            size=size,
            part_of=part_of,
            types=type_of,
            level=self.level[first],
            held=held[first],
            n_cells=self.n_cells,
            enters=enters,
            enters_of=enters_of.ravel()[first],
            gain=gain,
            label=label,
            gain_of=gain_of[first],
            joint=joint,
        )

    def _parts(self) -> LongArray:
        """Which part of a machine each variant of each kind takes: [Q, V], -1 where there is none."""
        out = np.full((len(self.kinds.shape), self.kinds.before.shape[2]), -1, np.int64)
        for kind, shape in enumerate(self.kinds.shape):
            nodes = int(self.cluster.shape_nodes[shape])
            for v, cells in enumerate(self.cluster.variants[nodes]):
                if self.n_cells == 1 or len(cells) == 0:
                    out[kind, v] = CELL0
                else:
                    out[kind, v] = BOTH if len(cells) == 2 else cells[0]
        return out

    def _gains(self) -> tuple[Array, LongArray, LongArray, Array]:
        """Gains of single cells, labels, and gains of pairs, each kind of cell and machine once."""
        cells: dict[tuple[int, ...], int] = {}
        gain_of = np.zeros((len(self.active), 2), np.int64)
        for n in range(len(self.active)):
            for cell in range(2):
                gain_of[n, cell] = cells.setdefault(self._look(n, cell), len(cells))
        states = np.stack(np.meshgrid(*(np.arange(x + 1) for x in self.limit), indexing="ij"), -1).reshape(-1, 2)
        gain = np.empty((len(cells), len(states)))
        marks: dict[tuple[int, ...], int] = {}
        label = np.empty((len(cells), len(states)), np.int64)
        for look, g in cells.items():
            gain[g], seen = self._cell(look, states)
            label[g] = [marks.setdefault(tuple(mark), len(marks)) for mark in seen.tolist()]
        joint = np.zeros((len(marks), len(marks)))
        for a, i in marks.items():
            for b, j in marks.items():
                joint[i, j] = self._pair(a, b)
        return gain, label, gain_of, joint

    def _look(self, n: int, cell: int) -> tuple[int, ...]:
        """All that tells the gain of a cell at given levels: exists, top levels, remainders, derived offsets."""
        if cell >= self.n_cells:
            return (0,)
        out = [1, *(self.top[n, cell].tolist() if self.worth.emptied else ())]
        for i, lead in enumerate(self.leads):
            out.append(int(self.free[self.rows[lead.resource][cell], n]) % lead.step)
            for r, ratio in lead.derived:
                amount = int(self.free[self.rows[r][cell], n]) * ratio.denominator
                out.append(amount - ratio.numerator * lead.step * int(self.level[n, cell, i]))
        return tuple(out)

    def _cell(self, look: tuple[int, ...], states: LongArray) -> tuple[Array, LongArray]:
        """Gain of the cell at each pair of levels [S], and its marks [S, 1 + pair terms]."""
        pairs = [t for t in range(len(self.worth.chunk)) if self.rules.term_nodes[t] == 2]
        marks = np.zeros((len(states), 1 + len(pairs)), np.int64)
        if look[0] == 0:
            marks[:, 0] = 1
            return np.where((states == 0).all(1), 0.0, IMPOSSIBLE), marks
        rest = list(look[1:])
        if self.worth.emptied:
            marks[:, 0] = (states == rest[:2]).all(1)
            rest = rest[2:]
        amounts, possible = self._amounts(rest, states)
        gain = np.where(possible, 0.0, IMPOSSIBLE)
        for t, worth in enumerate(self.worth.chunk):
            fit = np.maximum(amounts[self._column(t)], 0) // int(self.rules.term_chunk[t])
            if t in pairs:
                marks[:, 1 + pairs.index(t)] = fit
            else:
                gain += worth * fit
        return gain, marks

    def _amounts(self, rest: list[int], states: LongArray) -> tuple[dict[int, LongArray], BoolArray]:
        """What is free of each resource at each pair of levels, and whether that breaks no capacity."""
        values: Iterable[int] = iter(rest)
        amounts: dict[int, LongArray] = {}
        possible = np.ones(len(states), np.bool_)
        for i, lead in enumerate(self.leads):
            amounts[lead.resource] = states[:, i] * lead.step + next(iter(values))
            for r, ratio in lead.derived:
                amount = ratio.numerator * lead.step * states[:, i] + next(iter(values))
                amounts[r] = amount // ratio.denominator
                possible &= amount >= 0
        return amounts, possible

    def _column(self, t: int) -> int:
        """The resource of term t, as a column of `shape_demand`."""
        r = int(self.rules.term_resource[t])
        c = len(self.cluster.cell_resources)
        return r if self.rules.term_nodes[t] != ON_HOST else r - (self.cluster.n_cells - 1) * c

    def _pair(self, a: tuple[int, ...], b: tuple[int, ...]) -> float:
        """Gain of two cells together, given their marks."""
        pairs = [t for t in range(len(self.worth.chunk)) if self.rules.term_nodes[t] == 2]
        gain = self.worth.emptied * (a[0] == 1 and b[0] == 1)
        return float(gain + sum(self.worth.chunk[t] * min(x, y) for t, x, y in zip(pairs, a[1:], b[1:], strict=True)))

    def _beyond_the_lattice(self) -> LongArray:
        """What else tells machines apart: room in relaxed resources, other VMs, group members, racks."""
        cluster, kinds = self.cluster, self.kinds
        fixed = np.bincount(cluster.bin_of[kinds.kind_of == FIXED], minlength=cluster.n_pms)[self.active]
        members = np.zeros((cluster.n_pms, len(cluster.group_scope)), np.int64)
        vm, i = np.nonzero(cluster.group_of >= 0)
        np.add.at(members, (cluster.bin_of[vm], cluster.group_of[vm, i]), 1)
        rack = cluster.rack_of[self.active] if cluster.group_scope.any() else np.zeros(len(self.active))
        return np.column_stack([self.free[self.relaxed].T, np.minimum(fixed, 1), members[self.active], rack]).astype(
            np.int64
        )
