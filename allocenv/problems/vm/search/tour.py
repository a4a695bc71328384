"""One temperature of the annealing: tries that send a VM elsewhere, or home.

VMs of one kind are interchangeable, so a displaced VM is only counted where the number of its kind on a place
has changed: a VM that would leave a place where a displaced twin sits lets the twin go instead, and one that
comes to where a displaced twin is at home lets the twin come home and takes its place.
"""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, IntArray, LongArray
from allocenv.core.bits import next_bits, seeded
from allocenv.core.kernel import kernel
from allocenv.problems.vm.search.compact import (
    ACTIVE,
    BIN,
    CELLS,
    CHUNK,
    HELD,
    HOME_BIN,
    HOME_VARIANT,
    KIND,
    ROW,
    SHAPE,
    STRIDE,
    VARIANT,
    Layout,
    guided,
    has_room,
    is_displaced,
    move_gain,
    pair_chunks,
    permits,
    relocate,
    table_gain,
    total_worth,
)
from allocenv.problems.vm.search.ordering import wanted_moves
from allocenv.problems.vm.search.places import BUCKETS, put

EPSILON = 1e-9  # smaller gains are rounding


class Tour(NamedTuple):
    """Where the annealing is, apart from the layout."""

    away: LongArray  # [capacity + 1]  the displaced VMs; the last entry counts them
    rank: LongArray  # [M]  index in `away`, or -1
    foreign: LongArray  # [N]  displaced VMs that are on the machine
    missing: LongArray  # [N]  displaced VMs at home on the machine
    best: LongArray  # [max_moves + 1, 3]  (VM, PM, variant) of the best plan; the last row counts them
    worth: Array  # [2] float64  worth less price, in chunks: now, and of the best plan
    guide: Array  # [tables, amounts] float64  `tables` with a slope towards full chunks
    touched: LongArray  # [S, V, k, 3]  (table, row, amount) that a VM of the shape changes
    n_touched: LongArray  # [S]  how many of them
    blend: Array  # [2] float64  of the smooth two-node chunks; and what a VM more leaves of a machine's emptiness
    movers: LongArray  # [movers]  VMs whose moves may change anything
    threshold: Array  # [1024] float64  -log of evenly spread probabilities
    random: Array  # [1] uint64


def tour_of(layout: Layout, max_moves: int, slack: int, bend: float, blend: tuple[float, float], seed: int) -> Tour:
    """The tour that has gone nowhere."""
    m, n = len(layout.vms), len(layout.room)
    worth = total_worth(layout)[0]
    guide = guided(layout, bend)
    touched, n_touched = _touched(layout)
    return Tour(
        away=np.zeros(max_moves + slack + 1, np.int64),
        rank=np.full(m, -1, np.int64),
        foreign=np.zeros(n, np.int64),
        missing=np.zeros(n, np.int64),
        best=np.zeros((max_moves + 1, 3), np.int64),
        worth=np.array([worth, worth]),
        guide=guide,
        touched=touched,
        n_touched=n_touched,
        blend=np.array(blend),
        movers=_movers(layout),
        threshold=-np.log((np.arange(1024) + 0.5) / 1024),
        random=seeded(seed),
    )


def begin_at(layout: Layout, tour: Tour, bin_of: IntArray, variant_of: IntArray) -> None:
    """Displace the VMs as given; that is the best plan unless staying is better."""
    wanted = wanted_moves(layout, bin_of, variant_of)
    max_moves = len(tour.best) - 1
    if len(wanted) > max_moves:
        raise ValueError(f"Expected a start with at most {max_moves} displaced VMs, got {len(wanted)}.")
    for vm, pm, variant in wanted:
        send(layout, tour, vm, pm, variant)
    if (layout.room < 0).any() or not all(permits(layout, vm, pm) for vm, pm, _ in wanted):
        raise ValueError("Expected a start that keeps every capacity and every rule on who may be where.")
    worth, price = total_worth(layout)
    tour.worth[0] = worth - price
    if tour.worth[0] > tour.worth[1]:
        record(layout, tour)


def _touched(layout: Layout) -> tuple[LongArray, LongArray]:
    """(table, row, amount) of what each shape, as each variant, changes: [S, V, k, 3]; and how many: [S]."""
    rows = np.flatnonzero(layout.table_of >= 0)
    amounts = layout.demand[:, :, rows]
    counts = (amounts > 0).sum(axis=2)
    out = np.zeros((*layout.demand.shape[:2], max(1, int(counts.max(initial=0))), 3), np.int64)
    for shape, variant, k in zip(*np.nonzero(amounts), strict=True):
        position = int((amounts[shape, variant, :k] > 0).sum())
        out[shape, variant, position] = layout.table_of[rows[k]], rows[k], amounts[shape, variant, k]
    return out, counts.max(axis=1)


def _movers(layout: Layout) -> LongArray:
    """VMs whose leaving and coming may change anything."""
    inert = np.array([_is_inert(layout, s) for s in range(len(layout.demand))], np.bool_)
    return np.flatnonzero(layout.movable & ~inert[layout.vms[:, SHAPE]])


def _is_inert(layout: Layout, shape: int) -> bool:
    """Whether taking in a VM of the shape costs any machine the same."""
    if len(layout.pairs) or layout.empty_worth > 0:
        return False
    for r in np.flatnonzero(layout.table_of >= 0):
        table = layout.tables[layout.table_of[r]]
        for need in np.unique(layout.demand[shape, :, r]):
            if need > 0 and np.ptp(table[need:] - table[: len(table) - need]) > 1e-9:
                return False
    return True


@kernel
def wander(x, p, t, tries, temperature, toll, max_moves):
    """Make the tries at one temperature; returns the sum of displaced VMs over all tries."""
    last = t.away.size - 1
    plain = x.pairs.shape[0] == 0 and x.empty_worth == 0.0
    free_for_all = x.allowed.shape[0] == 1 and x.group_of.shape[1] == 0
    crowd = 0
    for n_try in range(tries):
        bits = next_bits(t.random)
        n_away = t.away[last]
        crowd += n_away
        if n_away == 0 or n_try & 1:
            vm = t.movers[(bits >> 8 & 0xFFFFF) * t.movers.size >> 20]
        else:
            vm = t.away[(bits >> 8 & 0xFFFFF) * n_away >> 20]
        shape, source, now = x.vms[vm, SHAPE], x.vms[vm, BIN], x.vms[vm, VARIANT]
        is_away = is_displaced(x, vm)
        back = is_away and n_try & 6 == 0
        if back:
            pm, variant = x.vms[vm, HOME_BIN], x.vms[vm, HOME_VARIANT]
        else:
            i = p.class_of[shape]
            lo = p.start[i, p.need[shape]]
            n = p.start[i, BUCKETS] - lo
            if n == 0:
                continue
            place = p.order[i, lo + ((bits >> 28 & 0xFFFFF) * n >> 20)]
            pm = place >> p.bits[i]
            variant = place - (pm << p.bits[i])
        limit = temperature * t.threshold[bits >> 53]
        more = -1  # displaced VMs more: at least that many, and exactly where nobody could trade places
        if t.missing[pm] == 0:
            if is_away:
                more = 0
            elif t.foreign[source] == 0:
                more = 1
                if n_away == last:
                    continue
        elif not back and (is_away or t.foreign[source] > 0):
            more = -2
        if source == pm:
            if now == variant:
                continue
            change = table_gain(x, t.guide, pm, shape, now, variant)
        else:
            change = _leave(x, t, source, shape, now) + _come(x, t, pm, shape, variant)
        if not plain:
            if not has_room(x, pm, shape, now if source == pm else -1, variant):
                continue
            if source == pm:
                change += _other_guide(x, t, pm, shape, now, variant)
            else:
                change += _other_guide(x, t, source, shape, now, -1) + _other_guide(x, t, pm, shape, -1, variant)
        if (toll + x.price[vm]) * more - change > limit:
            continue
        if not has_room(x, pm, shape, now if source == pm else -1, variant):
            continue
        if not is_away and t.foreign[source] > 0:
            twin = _like(x, t, vm, BIN, VARIANT, source, now)
            if twin >= 0:
                vm = twin
                is_away = True
        if not free_for_all and not permits(x, vm, pm):
            continue
        partner = -1
        if t.missing[pm] > 0:
            partner = _like(x, t, vm, HOME_BIN, HOME_VARIANT, pm, variant)
        to_pm, to_variant = pm, variant
        more = -1 if is_away else 0
        if partner >= 0:  # it goes home, and the VM where it was
            to_pm, to_variant = x.vms[partner, BIN], x.vms[partner, VARIANT]
            more -= 1
        if to_pm != x.vms[vm, HOME_BIN] or to_variant != x.vms[vm, HOME_VARIANT]:
            more += 1
        if n_away + more > last or (toll + x.price[vm]) * more - change > limit:
            continue
        t.worth[0] += move_gain(x, vm, pm, variant) - x.price[vm] * more
        if partner >= 0:
            send(x, t, partner, pm, variant)
        send(x, t, vm, to_pm, to_variant)
        put(p, x.room, source)
        put(p, x.room, pm)
        if t.worth[0] > t.worth[1] + EPSILON and t.away[last] <= max_moves:
            record(x, t)
    return crowd


@kernel
def back_to_best(x, p, t):
    """Return to the best plan."""
    last = t.away.size - 1
    while t.away[last] > 0:
        vm = t.away[0]
        send(x, t, vm, x.vms[vm, HOME_BIN], x.vms[vm, HOME_VARIANT])
    for k in range(t.best[t.best.shape[0] - 1, 0]):
        send(x, t, t.best[k, 0], t.best[k, 1], t.best[k, 2])
    for pm in range(x.pms.shape[0]):
        if x.pms[pm, ACTIVE]:
            put(p, x.room, pm)
    t.worth[0] = t.worth[1]


@kernel
def _leave(x, t, pm, shape, variant):
    """What the guide gives for a VM of the shape leaving the machine."""
    total = 0.0
    for k in range(t.n_touched[shape]):
        table, now = t.touched[shape, variant, k, 0], x.room[pm, t.touched[shape, variant, k, 1]]
        total += t.guide[table, now + t.touched[shape, variant, k, 2]] - t.guide[table, now]
    return total


@kernel
def _come(x, t, pm, shape, variant):
    """What the guide gives for a VM of the shape coming to the machine; anything where there is no room."""
    total = 0.0
    for k in range(t.n_touched[shape]):
        table, now = t.touched[shape, variant, k, 0], x.room[pm, t.touched[shape, variant, k, 1]]
        total += t.guide[table, now - t.touched[shape, variant, k, 2]] - t.guide[table, now]
    return total


@kernel
def _other_guide(x, t, pm, shape, minus, plus):
    """What the guide gives for what no table shows: two-node chunks that come nearer, fewer VMs on the machine."""
    total = 0.0
    for i in range(x.pairs.shape[0]):
        more = _smooth_pairs(x, i, pm, shape, minus, plus) - _smooth_pairs(x, i, pm, shape, -1, -1)
        exact = pair_chunks(x, i, pm, shape, minus, plus) - pair_chunks(x, i, pm, shape, -1, -1)
        total += x.pair_worth[i] * (exact + t.blend[0] * (more - exact))
    held = x.pms[pm, HELD]
    after = held + (plus >= 0) - (minus >= 0)
    if x.empty_worth > 0.0 and after != held:
        total += x.empty_worth * (t.blend[1] ** after - t.blend[1] ** held)
    return total


@kernel
def _smooth_pairs(x, i, pm, shape, minus, plus):
    """Two-node chunks of term i as `pair_chunks` has them, were chunks divisible."""
    total, top = 0.0, 0.0
    for k in range(x.pairs[i, CELLS]):
        r = x.pairs[i, ROW] + k * x.pairs[i, STRIDE]
        free = x.room[pm, r]
        if minus >= 0:
            free += x.demand[shape, minus, r]
        if plus >= 0:
            free -= x.demand[shape, plus, r]
        fit = free / x.pairs[i, CHUNK]
        total += fit
        top = max(top, fit)
    return min(total / 2, total - top)


@kernel
def _like(x, t, vm, bin_column, variant_column, pm, variant):
    """Another displaced VM of the same kind whose bin and variant (now, or at home) are these, or -1."""
    for k in range(t.away[t.away.size - 1]):
        other = t.away[k]
        same = x.vms[other, bin_column] == pm and x.vms[other, variant_column] == variant
        if same and other != vm and x.vms[other, KIND] == x.vms[vm, KIND]:
            return other
    return -1


@kernel
def send(x, t, vm, pm, variant):
    """Move the VM and keep the list of displaced ones."""
    last = t.away.size - 1
    home = x.vms[vm, HOME_BIN]
    if t.rank[vm] >= 0:
        t.foreign[x.vms[vm, BIN]] -= 1
        t.missing[home] -= 1
        t.away[last] -= 1
        moved = t.away[t.away[last]]
        t.away[t.rank[vm]] = moved
        t.rank[moved] = t.rank[vm]
        t.rank[vm] = -1
    relocate(x, vm, pm, variant)
    if is_displaced(x, vm):
        t.rank[vm] = t.away[last]
        t.away[t.away[last]] = vm
        t.away[last] += 1
        t.foreign[pm] += 1
        t.missing[home] += 1


@kernel
def record(x, t):
    """Remember the layout as the best."""
    n_away = t.away[t.away.size - 1]
    t.worth[1] = t.worth[0]
    for k in range(n_away):
        vm = t.away[k]
        t.best[k, 0], t.best[k, 1], t.best[k, 2] = vm, x.vms[vm, BIN], x.vms[vm, VARIANT]
    t.best[t.best.shape[0] - 1, 0] = n_away
