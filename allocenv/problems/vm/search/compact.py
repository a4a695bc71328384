"""The cluster and the objective as searches take them: small integers, and worth by table.

Amounts are divided by their greatest common divisor, so that what a machine contributes to the objective
is looked up in tables by its free amounts. Worth is counted in chunks of the most valuable term, and
more is better: objective = base - unit * (sum of worth over active machines).
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray, IntArray, LongArray
from allocenv.core.kernel import kernel
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.objective import ON_HOST, Rules

HOST, RACK = 0, 1  # scopes of an anti-affinity group
MAX_TABLE = 2**24

# Columns of Layout.vms. The first three change.
BIN, VARIANT = 0, 1  # where the VM is now
NEXT = 2  # the next movable VM of the same machine, or -1
SHAPE = 3
HOME_BIN, HOME_VARIANT = 4, 5  # where it was at the start
CLASS = 6
KIND = 7  # VMs of one kind are interchangeable
# Columns of Layout.pms. The first two change.
HELD = 0  # VMs on the machine
FIRST = 1  # a movable one of them, or -1
ACTIVE, RACK_OF = 2, 3
# Columns of Layout.groups.
SCOPE, LIMIT = 0, 1
# Columns of Layout.pairs.
ROW = 0  # of the resource on cell 0
CHUNK = 1
STRIDE = 2  # rows from one cell to the next
CELLS = 3


class Plan(NamedTuple):
    """Where a search wants the VMs, and what that is worth."""

    bin_of: IntArray  # [M]
    variant_of: IntArray  # [M]
    moves: IntArray  # [n, 3]  (VM, PM, variant), each legal at its turn
    objective: float  # after the moves, without their price
    price: float  # of the displaced VMs, in the objective's unit; the search minimises the sum
    tries: int  # candidate moves looked at
    seconds: float  # wall time


class Layout(NamedTuple):
    """A cluster and an objective, and where the VMs are now. `apply` and `relocate` are the only writers.

    Indices are int64 throughout, since numba compiles every kernel once for each mix of integer types.
    """

    room: IntArray  # [N, R]  what is free now
    ceiling: IntArray  # [R]  what the largest machine has
    demand: IntArray  # [S, V, R]
    n_variants: LongArray  # [S]
    vms: LongArray  # [M, 8]  see the columns above
    want: LongArray  # [M]  VMs that take as much and may go to the same machines share a number
    movable: BoolArray  # [M]  and on an active machine
    price: Array  # [M] float64  chunks it costs to displace the VM
    pms: LongArray  # [N, 4]
    allowed: BoolArray  # [classes, N]
    group_of: LongArray  # [M, groups of a VM]  or -1
    groups: LongArray  # [G, 2]
    group_count: IntArray  # [G, N]  members in each host or rack now
    table_of: LongArray  # [R]  row of `tables` that says what a free amount is worth, or -1: nothing
    tables: Array  # [tables, amounts] float64
    steps: LongArray  # [other terms, 2]  (row of `tables`, chunk)
    step_worth: Array  # [other terms] float64  of a chunk
    pairs: LongArray  # [two-node terms, 4]
    pair_worth: Array  # [two-node terms] float64
    empty_worth: float
    unit: float  # objective of one chunk
    base: float  # objective where nothing is worth anything


def compact(cluster: Cluster, rules: Rules) -> Layout:
    """The cluster with its VMs at home.

    Raises:
        ValueError: a resource of the objective comes in more than 2^24 distinct amounts.
    """
    common = _common(cluster, rules)
    free = (cluster.capacity - cluster.used) // common[:, None]
    worth, base, unit = _worth(cluster, rules)
    steps = np.flatnonzero((rules.term_nodes != 2) & (worth > 0))
    table_of = _table_of(rules, steps, len(common))
    chunks = np.stack([table_of[rules.term_resource[steps]], rules.term_chunk[steps]], axis=1)
    chunks[:, 1] //= common[rules.term_resource[steps]]
    ceiling = (cluster.capacity.max(axis=1, initial=0) // common).astype(np.int32)
    n_active = max(int(cluster.active.sum()), 1)
    pairs = np.flatnonzero((rules.term_nodes == 2) & (worth > 0))
    movable = cluster.movable & cluster.active[cluster.bin_of]
    want = _numbered(cluster.shape_of, (cluster.class_of, *cluster.group_of.T))
    layout = Layout(
        room=np.ascontiguousarray(free.T, np.int32),
        ceiling=ceiling,
        demand=(cluster.demand // common.astype(np.int32)).astype(np.int32),
        n_variants=cluster.n_variants.astype(np.int64),
        vms=_vms(cluster, want, movable),
        want=want,
        movable=movable,
        price=rules.move_price * cluster.cost.astype(np.float64),
        pms=_pms(cluster),
        allowed=cluster.allowed,
        group_of=cluster.group_of.astype(np.int64),
        groups=np.stack([cluster.group_scope, cluster.group_limit], axis=1).astype(np.int64),
        group_count=_group_counts(cluster),
        table_of=table_of,
        tables=_tables(table_of, ceiling, chunks, worth[steps]),
        steps=chunks.astype(np.int64),
        step_worth=worth[steps],
        pairs=_pairs(rules, common, pairs),
        pair_worth=worth[pairs],
        empty_worth=rules.empty_weight / n_active / unit,
        unit=unit,
        base=base,
    )
    _link(layout)
    return layout


def copied(layout: Layout) -> Layout:
    """A layout that may change without the other."""
    return layout._replace(
        room=layout.room.copy(),
        vms=layout.vms.copy(),
        pms=layout.pms.copy(),
        group_count=layout.group_count.copy(),
    )


def _vms(cluster: Cluster, want: LongArray, movable: BoolArray) -> LongArray:
    out = np.full((cluster.n_vms, 8), -1, np.int64)
    out[:, BIN] = out[:, HOME_BIN] = cluster.bin_of
    out[:, VARIANT] = out[:, HOME_VARIANT] = cluster.variant_of
    out[:, SHAPE] = cluster.shape_of
    out[:, CLASS] = cluster.class_of
    out[:, KIND] = _numbered(want, (movable, cluster.cost))
    return out


def _pms(cluster: Cluster) -> LongArray:
    out = np.full((cluster.n_pms, 4), -1, np.int64)
    out[:, HELD] = np.bincount(cluster.bin_of, minlength=cluster.n_pms)
    out[:, ACTIVE] = cluster.active
    out[:, RACK_OF] = cluster.rack_of
    return out


def _pairs(rules: Rules, common: LongArray, terms: LongArray) -> LongArray:
    out = np.zeros((len(terms), 4), np.int64)
    out[:, ROW] = rules.term_resource[terms]
    out[:, CHUNK] = rules.term_chunk[terms] // common[out[:, ROW]]
    out[:, STRIDE] = rules.n_cell_resources
    out[:, CELLS] = rules.n_cells
    return out


def _rows(rules: Rules, t: int) -> list[int]:
    """The resource rows that term t looks at."""
    first = int(rules.term_resource[t])
    if rules.term_nodes[t] == ON_HOST:
        return [first]
    return [first + k * rules.n_cell_resources for k in range(rules.n_cells)]


def _common(cluster: Cluster, rules: Rules) -> LongArray:
    """What all demands and chunks of a resource are multiples of: [R]."""
    rows: LongArray = np.gcd.reduce(cluster.demand.reshape(-1, cluster.capacity.shape[0]).astype(np.int64), axis=0)
    for t in range(len(rules.term_chunk)):
        for row in _rows(rules, t):
            rows[row] = np.gcd(rows[row], int(rules.term_chunk[t]))
    c, k = rules.n_cell_resources, rules.n_cells
    cells = rows[: k * c].reshape(k, c)
    cells[:] = np.gcd.reduce(cells, axis=0)
    rows[rows == 0] = 1
    return rows


def _worth(cluster: Cluster, rules: Rules) -> tuple[Array, float, float]:
    """Chunks of the most valuable term that one chunk of each term is worth [T]; `base` and `unit`."""
    free = (cluster.capacity.astype(np.int64) - cluster.used)[:, cluster.active].sum(axis=1)
    value, base = np.zeros(len(rules.term_chunk)), 0.0
    for t, weight in enumerate(rules.term_weight):
        total = int(free[_rows(rules, t)].sum())
        if total > 0:
            value[t] = weight * int(rules.term_chunk[t]) * max(int(rules.term_nodes[t]), 1) / total
            base += float(weight)
    unit = max(value.max(initial=0.0), rules.empty_weight / max(int(cluster.active.sum()), 1))
    if unit == 0:
        unit = 1.0
    return value / unit, base, float(unit)


def _table_of(rules: Rules, steps: LongArray, n_rows: int) -> LongArray:
    """Which table holds for each resource row, or -1: [R]."""
    table_of = np.full(n_rows, -1, np.int64)
    n_tables = 0
    for t in steps:
        rows = _rows(rules, int(t))
        if table_of[rows[0]] < 0:
            table_of[rows] = n_tables
            n_tables += 1
    return table_of


def _tables(table_of: LongArray, ceiling: IntArray, steps: Array, worth: Array) -> Array:
    """What each free amount is worth: [tables, amounts]."""
    looked_at = table_of >= 0
    size = int(ceiling[looked_at].max(initial=0)) + 1
    if size > MAX_TABLE:
        raise ValueError(
            f"Expected the objective's resources to come in at most {MAX_TABLE} distinct amounts, got {size}: "
            "state them in a coarser unit."
        )
    out = np.zeros((int(table_of.max(initial=-1)) + 1, size))
    for (table, chunk), value in zip(steps, worth, strict=True):
        out[table] += value * (np.arange(size) // chunk)
    return out


def guided(layout: Layout, bend: float) -> Array:
    """`tables` less `bend * rest * (1 - rest)` chunks, where `rest` is the share of a chunk left over."""
    out = layout.tables.copy()
    for (table, chunk), value in zip(layout.steps, layout.step_worth, strict=True):
        rest = np.arange(out.shape[1]) % chunk / chunk
        out[table] -= value * bend * rest * (1 - rest)
    return out


def _numbered(first: Array, columns: Iterable[Array]) -> LongArray:
    """Numbers 0, 1, ... without gaps, such that two VMs share one where they agree in all columns: [M]."""
    number = np.unique(first, return_inverse=True)[1].astype(np.int64)
    for column in columns:
        if len(column) and (column != column[0]).any():
            codes = np.unique(column, return_inverse=True)[1].astype(np.int64)
            number = np.unique(number * (codes.max() + 1) + codes, return_inverse=True)[1].astype(np.int64)
    return number


def _group_counts(cluster: Cluster) -> IntArray:
    """Members of each group in each host, or rack: [G, N]."""
    out = np.zeros((len(cluster.group_scope), cluster.n_pms), np.int32)
    domains = np.stack([np.arange(cluster.n_pms), cluster.rack_of])
    vms, columns = np.nonzero(cluster.group_of >= 0)
    groups = cluster.group_of[vms, columns]
    np.add.at(out, (groups, domains[cluster.group_scope[groups], cluster.bin_of[vms]]), 1)
    return out


def objective_at(layout: Layout) -> tuple[float, float]:
    """Objective of the layout and price of its displaced VMs, both in the objective's unit."""
    worth, price = total_worth(layout)
    return layout.base - layout.unit * worth, layout.unit * price


@kernel
def _link(x):
    """List the movable VMs of each machine."""
    for vm in range(x.vms.shape[0]):
        if x.movable[vm]:
            pm = x.vms[vm, BIN]
            x.vms[vm, NEXT] = x.pms[pm, FIRST]
            x.pms[pm, FIRST] = vm


@kernel
def total_worth(x):
    """Worth of all active machines, and the price of the displaced VMs, in chunks."""
    worth, paid = 0.0, 0.0
    for pm in range(x.pms.shape[0]):
        if x.pms[pm, ACTIVE]:
            worth += machine_worth(x, pm)
    for vm in range(x.vms.shape[0]):
        if is_displaced(x, vm):
            paid += x.price[vm]
    return worth, paid


@kernel
def machine_worth(x, pm):
    """What an active machine is worth as it is."""
    worth = x.empty_worth if x.pms[pm, HELD] == 0 else 0.0
    for r in range(x.table_of.size):
        if x.table_of[r] >= 0:
            worth += x.tables[x.table_of[r], x.room[pm, r]]
    for t in range(x.pairs.shape[0]):
        worth += x.pair_worth[t] * pair_chunks(x, t, pm, 0, -1, -1)
    return worth


@kernel
def pair_chunks(x, t, pm, shape, minus, plus):
    """Two-node chunks of term t on the machine once a VM of the shape has left as variant `minus` and come as variant
    `plus` (-1: neither)."""
    total, top = 0.0, 0.0  # floats: integer sums make numba compile for seconds
    for k in range(x.pairs[t, CELLS]):
        r = x.pairs[t, ROW] + k * x.pairs[t, STRIDE]
        free = x.room[pm, r]
        if minus >= 0:
            free += x.demand[shape, minus, r]
        if plus >= 0:
            free -= x.demand[shape, plus, r]
        fit = float(free // x.pairs[t, CHUNK])
        total += fit
        top = max(top, fit)
    return min(np.floor(total / 2), total - top)  # pairs of distinct nodes


@kernel
def is_displaced(x, vm):
    """Whether the VM is elsewhere than at the start."""
    return x.vms[vm, BIN] != x.vms[vm, HOME_BIN] or x.vms[vm, VARIANT] != x.vms[vm, HOME_VARIANT]


@kernel
def has_room(x, pm, shape, minus, plus):
    """Whether the machine takes a VM of the shape as `plus` once one has left as `minus` (-1: none has)."""
    for r in range(x.demand.shape[2]):
        need = x.demand[shape, plus, r]
        if need > 0:
            if minus >= 0:
                need -= x.demand[shape, minus, r]
            if need > x.room[pm, r]:
                return False
    return True


@kernel
def table_gain(x, tables, pm, shape, minus, plus):
    """How much more the machine's free amounts are worth by the tables once a VM of the shape has left as variant
    `minus` and come as variant `plus` (-1: neither)."""
    total = 0.0
    for r in range(x.table_of.size):
        table = x.table_of[r]
        if table < 0:
            continue
        change = 0
        if minus >= 0:
            change += x.demand[shape, minus, r]
        if plus >= 0:
            change -= x.demand[shape, plus, r]
        if change != 0:
            now = x.room[pm, r]
            total += tables[table, now + change] - tables[table, now]
    return total


@kernel
def other_gain(x, pm, shape, minus, plus):
    """What `table_gain` does not see: two-node chunks and emptied machines."""
    total = 0.0
    for t in range(x.pairs.shape[0]):
        fewer = pair_chunks(x, t, pm, shape, -1, -1)
        total += x.pair_worth[t] * (pair_chunks(x, t, pm, shape, minus, plus) - fewer)
    if plus < 0 and x.pms[pm, HELD] == 1:
        total += x.empty_worth
    elif minus < 0 and x.pms[pm, HELD] == 0:
        total -= x.empty_worth
    return total


@kernel
def gain(x, pm, shape, minus, plus):
    """How much more the machine is worth after the change of `table_gain`."""
    total = table_gain(x, x.tables, pm, shape, minus, plus)
    if x.pairs.shape[0] > 0 or x.empty_worth > 0.0:
        total += other_gain(x, pm, shape, minus, plus)
    return total


@kernel
def leave_gain(x, vm):
    """How much more the VM's machine is worth without it."""
    return gain(x, x.vms[vm, BIN], x.vms[vm, SHAPE], x.vms[vm, VARIANT], -1)


@kernel
def move_gain(x, vm, pm, variant):
    """How much more the layout is worth after the move, without its price."""
    if x.vms[vm, BIN] == pm:
        return gain(x, pm, x.vms[vm, SHAPE], x.vms[vm, VARIANT], variant)
    return leave_gain(x, vm) + gain(x, pm, x.vms[vm, SHAPE], -1, variant)


@kernel
def permits(x, vm, pm):
    """Whether the machine is active, allowed to the VM, and not full of other members of its groups."""
    if not x.pms[pm, ACTIVE] or not x.allowed[x.vms[vm, CLASS], pm]:
        return False
    for i in range(x.group_of.shape[1]):
        group = x.group_of[vm, i]
        if group < 0:
            break
        there = domain(x, group, pm)
        own = domain(x, group, x.vms[vm, BIN]) == there
        if x.group_count[group, there] - own >= x.groups[group, LIMIT]:
            return False
    return True


@kernel
def domain(x, group, pm):
    """Which host, or rack, counts for the group: its column in `group_count`."""
    return x.pms[pm, RACK_OF] if x.groups[group, SCOPE] == RACK else pm


@kernel
def legal(x, vm, pm, variant):
    """Whether the VM may move there now. Staying where it is is no move."""
    shape = x.vms[vm, SHAPE]
    if not x.movable[vm] or variant < 0 or variant >= x.n_variants[shape]:
        return False
    minus = -1
    if x.vms[vm, BIN] == pm:
        minus = x.vms[vm, VARIANT]
        if minus == variant:
            return False
    return has_room(x, pm, shape, minus, variant) and permits(x, vm, pm)


@kernel
def apply(x, vm, pm, variant):
    """Move the VM, without asking whether that is legal."""
    source = x.vms[vm, BIN]
    relocate(x, vm, pm, variant)
    if source == pm:
        return
    before = x.pms[source, FIRST]
    if before == vm:
        x.pms[source, FIRST] = x.vms[vm, NEXT]
    else:
        while x.vms[before, NEXT] != vm:
            before = x.vms[before, NEXT]
        x.vms[before, NEXT] = x.vms[vm, NEXT]
    x.vms[vm, NEXT] = x.pms[pm, FIRST]
    x.pms[pm, FIRST] = vm


@kernel
def relocate(x, vm, pm, variant):
    """`apply` for kernels that never look at who is on a machine."""
    shape, source, now = x.vms[vm, SHAPE], x.vms[vm, BIN], x.vms[vm, VARIANT]
    for r in range(x.demand.shape[2]):
        x.room[source, r] += x.demand[shape, now, r]
        x.room[pm, r] -= x.demand[shape, variant, r]
    x.vms[vm, BIN] = pm
    x.vms[vm, VARIANT] = variant
    if source == pm:
        return
    for i in range(x.group_of.shape[1]):
        group = x.group_of[vm, i]
        if group < 0:
            break
        x.group_count[group, domain(x, group, source)] -= 1
        x.group_count[group, domain(x, group, pm)] += 1
    x.pms[source, HELD] -= 1
    x.pms[pm, HELD] += 1
