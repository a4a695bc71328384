"""What does simulated annealing over assignments find?

A state is an assignment with at most `max_moves` displaced VMs; a try sends one VM elsewhere, or home.
"""

from time import perf_counter
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, IntArray, LongArray
from allocenv.core.kernel import kernel
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.objective import Rules
from allocenv.problems.vm.search.bits import next_bits, seeded
from allocenv.problems.vm.search.compact import (
    BIN,
    HOME_BIN,
    HOME_VARIANT,
    KIND,
    SHAPE,
    VARIANT,
    Layout,
    Plan,
    apply,
    compact,
    copied,
    guided,
    has_room,
    is_displaced,
    objective_at,
    other_gain,
    permits,
    table_gain,
    total_worth,
)
from allocenv.problems.vm.search.ordering import ordered, wanted_moves
from allocenv.problems.vm.search.places import BUCKETS, places_of, put

CHUNK = 20_000  # tries between two looks at the clock
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
    movers: LongArray  # [movers]  VMs whose moves may change anything
    threshold: Array  # [4096] float64  -log of evenly spread probabilities
    random: Array  # [1] uint64


class Schedule(NamedTuple):
    """How the search cools. Amounts are chunks; tuned on churned clusters other than the benchmark's."""

    hot: float = 0.06
    cold: float = 0.01
    toll: float = 0.3  # of a displaced VM, so that moves that bring less are given up for others
    bend: float = -0.8  # of the guide
    slack: int = 2  # displaced VMs above the limit on the way


DEFAULT = Schedule()


def anneal(
    cluster: Cluster,
    rules: Rules,
    max_moves: int,
    seconds: float,
    seed: int,
    start: tuple[IntArray, IntArray] | None = None,
    tries: int | None = None,
    schedule: Schedule = DEFAULT,
) -> Plan:
    """The best plan of at most `max_moves` moves found within `seconds` of wall time, or `tries` tries.

    With `tries` the same seed gives the same plan; the time limit then still holds. `start` is an assignment
    (bin_of, variant_of) to begin with; the plan is at least as good.

    Raises:
        ValueError: max_moves < 1, or a start with more moves than that or over a capacity.
    """
    started = perf_counter()
    if max_moves < 1:
        raise ValueError(f"Expected max_moves >= 1, got {max_moves}.")
    home = compact(cluster, rules)
    layout = copied(home)
    tour = _tour(layout, max_moves, seed, schedule)
    if start is not None:
        _begin_at(layout, tour, *start)
    places = places_of(cluster, layout)
    done = 0
    while True:
        elapsed = (perf_counter() - started) / seconds
        share = elapsed if tries is None else done / tries
        if max(elapsed, share) >= 1:
            break
        n = CHUNK if tries is None else min(CHUNK, tries - done)
        temperature = schedule.hot * (schedule.cold / schedule.hot) ** share
        _anneal(layout, places, tour, n, temperature, schedule.toll, max_moves)
        done += n
    best = tour.best[: tour.best[-1, 0]]
    bin_of, variant_of = cluster.bin_of.copy(), cluster.variant_of.copy()
    bin_of[best[:, 0]], variant_of[best[:, 0]] = best[:, 1], best[:, 2]
    moves, layout = ordered(home, bin_of, variant_of, max_moves)
    objective, price = objective_at(layout)
    return Plan(
        bin_of=layout.vms[:, BIN].astype(np.int32),
        variant_of=layout.vms[:, VARIANT].astype(np.int32),
        moves=moves,
        objective=objective,
        price=price,
        tries=done,
        seconds=perf_counter() - started,
    )


def _begin_at(layout: Layout, tour: Tour, bin_of: IntArray, variant_of: IntArray) -> None:
    """Displace the VMs as given; that is the best plan unless staying is better."""
    wanted = wanted_moves(layout, bin_of, variant_of)
    max_moves = len(tour.best) - 1
    if len(wanted) > max_moves:
        raise ValueError(f"Expected a start with at most {max_moves} displaced VMs, got {len(wanted)}.")
    for vm, pm, variant in wanted:
        _send(layout, tour, vm, pm, variant)
    if (layout.room < 0).any() or not all(permits(layout, vm, pm) for vm, pm, _ in wanted):
        raise ValueError("Expected a start that keeps every capacity and every rule on who may be where.")
    worth, price = total_worth(layout)
    tour.worth[0] = worth - price
    if tour.worth[0] > tour.worth[1]:
        _record(layout, tour)


def _tour(layout: Layout, max_moves: int, seed: int, schedule: Schedule) -> Tour:
    m, n = len(layout.vms), len(layout.room)
    worth = total_worth(layout)[0]
    guide = guided(layout, schedule.bend)
    return Tour(
        away=np.zeros(max_moves + schedule.slack + 1, np.int64),
        rank=np.full(m, -1, np.int64),
        foreign=np.zeros(n, np.int64),
        missing=np.zeros(n, np.int64),
        best=np.zeros((max_moves + 1, 3), np.int64),
        worth=np.array([worth, worth]),
        guide=guide,
        movers=_movers(layout),
        threshold=-np.log((np.arange(4096) + 0.5) / 4096),
        random=seeded(seed),
    )


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
def _anneal(x, p, t, tries, temperature, toll, max_moves):
    """Make the tries at one temperature; returns how many were accepted."""
    last = t.away.size - 1
    plain = x.pairs.shape[0] == 0 and x.empty_worth == 0.0
    accepted = 0
    for _ in range(tries):
        bits = next_bits(t.random)
        n_away = t.away[last]
        if n_away == 0 or (bits & 255) < 128:
            vm = t.movers[((bits >> 8) & 0xFFFFFF) * t.movers.size >> 24]
        else:
            vm = t.away[((bits >> 8) & 0xFFFFFF) * n_away >> 24]
        shape, source, now = x.vms[vm, SHAPE], x.vms[vm, BIN], x.vms[vm, VARIANT]
        is_away = t.rank[vm] >= 0
        bits = next_bits(t.random)
        if is_away and (bits & 255) < 77:
            pm, variant = x.vms[vm, HOME_BIN], x.vms[vm, HOME_VARIANT]
        else:
            i = p.class_of[shape]
            lo = p.start[i, p.need[shape]]
            n = p.start[i, BUCKETS] - lo
            if n == 0:
                continue
            place = p.order[i, lo + (((bits >> 8) & 0xFFFFFF) * n >> 24)]
            pm, variant = place // p.n_variants[i], place % p.n_variants[i]
        same = source == pm
        if same and now == variant:
            continue
        if not is_away and n_away >= last and t.foreign[source] == 0 and t.missing[pm] == 0:
            continue
        if not has_room(x, pm, shape, now if same else -1, variant):
            continue
        change, true = 0.0, 0.0
        if not plain:  # what no table shows counts the same in `change` and `true`
            if same:
                true = other_gain(x, pm, shape, now, variant)
            else:
                true = other_gain(x, source, shape, now, -1) + other_gain(x, pm, shape, -1, variant)
            change = true
        if same:
            change += table_gain(x, t.guide, pm, shape, now, variant)
        else:
            change += table_gain(x, t.guide, source, shape, now, -1)
            change += table_gain(x, t.guide, pm, shape, -1, variant)
        limit = temperature * t.threshold[bits >> 51]
        if -change - 2 * (toll + x.price[vm]) > limit:
            continue
        if not is_away and t.foreign[source] > 0:
            twin = _like(x, t, vm, BIN, VARIANT, source, now)
            if twin >= 0:
                vm = twin
                is_away = True
        if not permits(x, vm, pm):
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
        if n_away + more > last or -change + (toll + x.price[vm]) * more > limit:
            continue
        accepted += 1
        if same:
            true += table_gain(x, x.tables, pm, shape, now, variant)
        else:
            true += table_gain(x, x.tables, source, shape, now, -1)
            true += table_gain(x, x.tables, pm, shape, -1, variant)
        t.worth[0] += true - x.price[vm] * more
        if partner >= 0:
            _send(x, t, partner, pm, variant)
        _send(x, t, vm, to_pm, to_variant)
        put(p, x.room, source)
        put(p, x.room, pm)
        if t.worth[0] > t.worth[1] + EPSILON and t.away[last] <= max_moves:
            _record(x, t)
    return accepted


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
def _send(x, t, vm, pm, variant):
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
    apply(x, vm, pm, variant)
    if is_displaced(x, vm):
        t.rank[vm] = t.away[last]
        t.away[t.away[last]] = vm
        t.away[last] += 1
        t.foreign[pm] += 1
        t.missing[home] += 1


@kernel
def _record(x, t):
    """Remember the layout as the best."""
    n_away = t.away[t.away.size - 1]
    t.worth[1] = t.worth[0]
    for k in range(n_away):
        vm = t.away[k]
        t.best[k, 0], t.best[k, 1], t.best[k, 2] = vm, x.vms[vm, BIN], x.vms[vm, VARIANT]
    t.best[t.best.shape[0] - 1, 0] = n_away
