"""What does the best single move, again and again, lead to?

The usual baseline (VMR2L's `HA`, EuroSys 2025). VMs of one shape want the same place, so one step looks up
the best place a shape and adds what each VM's leaving is worth.
"""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray, IntArray, LongArray
from allocenv.core.clock import perf_counter
from allocenv.core.kernel import kernel
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.objective import Rules
from allocenv.problems.vm.search.compact import (
    ACTIVE,
    BIN,
    CLASS,
    FIRST,
    HOME_BIN,
    HOME_VARIANT,
    LIMIT,
    NEXT,
    RACK,
    SCOPE,
    SHAPE,
    VARIANT,
    Layout,
    Plan,
    apply,
    compact,
    domain,
    gain,
    has_room,
    is_displaced,
    leave_gain,
    legal,
    move_gain,
    objective_at,
    permits,
    total_worth,
)

EPSILON = 1e-9  # smaller gains are rounding


def greedy(cluster: Cluster, rules: Rules, max_moves: int) -> Plan:
    """The best legal move, repeated until none gains, `max_moves` are made, or the goal is reached."""
    started = perf_counter()
    layout = compact(cluster, rules)
    moves = greedy_moves(layout, max_moves, rules.goal)
    objective, price = objective_at(layout)
    return Plan(
        bin_of=layout.vms[:, BIN].astype(np.int32),
        variant_of=layout.vms[:, VARIANT].astype(np.int32),
        moves=moves,
        objective=objective,
        price=price,
        tries=(len(moves) + 1) * cluster.n_vms * cluster.n_pms,
        seconds=perf_counter() - started,
    )


def greedy_moves(layout: Layout, max_moves: int, goal: float = -np.inf) -> IntArray:
    """Improve the layout in place, down to the goal at most, and return the moves made: [n, 3]."""
    moves = np.empty((max_moves, 3), np.int32)
    wanting = _wanting(layout)
    prospects = _no_prospects(layout, len(wanting.example))
    n = _climb(layout, prospects, wanting, moves, (layout.base - goal) / layout.unit)
    return moves[:n]


class Wanting(NamedTuple):
    """A VM of each want, and which wants need every machine asked for every VM."""

    example: LongArray  # [wants]  a VM
    in_rack_group: BoolArray  # [wants]  so that its own rack counts differently


def _wanting(layout: Layout) -> Wanting:
    example = np.unique(layout.want, return_index=True)[1]
    groups = layout.group_of[example]
    scopes = np.append(layout.groups[:, SCOPE], -1)[groups]
    return Wanting(example, (scopes == RACK).any(axis=1))


class Prospects(NamedTuple):
    """What entering, leaving and flipping is worth now, without prices."""

    entry: Array  # [S, N] float64  best way of coming to the machine, or -inf: no room
    entry_variant: LongArray  # [S, N]
    leave: Array  # [M] float64
    flip: Array  # [M] float64  best other cells of the same machine, or -inf
    flip_variant: LongArray  # [M]
    best: LongArray  # [wants, 2]  best and second-best machine to enter, or -1


def _no_prospects(layout: Layout, n_wants: int) -> Prospects:
    shapes, pms, vms = len(layout.demand), len(layout.room), len(layout.vms)
    return Prospects(
        entry=np.full((shapes, pms), -np.inf),
        entry_variant=np.zeros((shapes, pms), np.int64),
        leave=np.zeros(vms),
        flip=np.full(vms, -np.inf),
        flip_variant=np.zeros(vms, np.int64),
        best=np.full((n_wants, 2), -1, np.int64),
    )


@kernel
def _climb(x, p, wanting, moves, worth_goal):
    """Make best moves until none gains, and return their number."""
    worth = total_worth(x)[0]
    for pm in range(x.pms.shape[0]):
        _refresh(x, p, pm)
    for n in range(moves.shape[0]):
        if worth >= worth_goal - EPSILON:
            return n
        for want in range(wanting.example.size):
            _find_best(x, p, want, wanting.example[want])
        vm, pm, variant, total = _best_move(x, p, wanting)
        if total <= EPSILON:
            return n
        moves[n, 0], moves[n, 1], moves[n, 2] = vm, pm, variant
        worth += move_gain(x, vm, pm, variant)
        source = x.vms[vm, BIN]
        apply(x, vm, pm, variant)
        _refresh(x, p, source)
        _refresh(x, p, pm)
    return moves.shape[0]


@kernel
def _refresh(x, p, pm):
    """Bring everything that depends on the machine up to date."""
    if not x.pms[pm, ACTIVE]:
        return
    for shape in range(p.entry.shape[0]):
        p.entry[shape, pm] = -np.inf
        for variant in range(x.n_variants[shape]):
            if has_room(x, pm, shape, -1, variant):
                worth = gain(x, pm, shape, -1, variant)
                if worth > p.entry[shape, pm]:
                    p.entry[shape, pm] = worth
                    p.entry_variant[shape, pm] = variant
    vm = x.pms[pm, FIRST]
    while vm >= 0:
        shape, now = x.vms[vm, SHAPE], x.vms[vm, VARIANT]
        p.leave[vm] = leave_gain(x, vm)
        p.flip[vm] = -np.inf
        for variant in range(x.n_variants[shape]):
            if variant != now and has_room(x, pm, shape, now, variant):
                worth = gain(x, pm, shape, now, variant)
                if worth > p.flip[vm]:
                    p.flip[vm] = worth
                    p.flip_variant[vm] = variant
        vm = x.vms[vm, NEXT]


@kernel
def _find_best(x, p, want, vm):
    """The two best machines for VMs of the want that are elsewhere now."""
    shape = x.vms[vm, SHAPE]
    first, second = -1, -1
    for pm in range(x.pms.shape[0]):
        worth = p.entry[shape, pm]
        if worth == -np.inf or (second >= 0 and worth <= p.entry[shape, second]):
            continue
        if not _admits(x, vm, pm):
            continue
        if first < 0 or worth > p.entry[shape, first]:
            first, second = pm, first
        else:
            second = pm
    p.best[want, 0], p.best[want, 1] = first, second


@kernel
def _admits(x, vm, pm):
    """Whether the machine is open to a VM like this one that comes from another host and rack."""
    if not x.allowed[x.vms[vm, CLASS], pm]:
        return False
    for i in range(x.group_of.shape[1]):
        group = x.group_of[vm, i]
        if group < 0:
            break
        if x.group_count[group, domain(x, group, pm)] >= x.groups[group, LIMIT]:
            return False
    return True


@kernel
def _best_move(x, p, wanting):
    """The legal move (VM, PM, variant) that gains most, and its gain less its price."""
    best_vm, best_pm, best_variant, best = -1, -1, -1, 0.0
    for vm in range(x.vms.shape[0]):
        if not x.movable[vm]:
            continue
        shape, now, want = x.vms[vm, SHAPE], x.vms[vm, BIN], x.want[vm]
        away = is_displaced(x, vm)
        price = 0.0 if away else x.price[vm]
        if p.flip[vm] - price > best and permits(x, vm, now):
            best_vm, best_pm, best_variant, best = vm, now, p.flip_variant[vm], p.flip[vm] - price
        if wanting.in_rack_group[want]:  # its own rack counts differently: ask every machine
            for pm in range(x.pms.shape[0]):
                total = p.leave[vm] + p.entry[shape, pm] - price
                if pm != now and total > best and permits(x, vm, pm):
                    best_vm, best_pm, best_variant, best = vm, pm, p.entry_variant[shape, pm], total
        else:
            pm = p.best[want, 0] if p.best[want, 0] != now else p.best[want, 1]
            if pm >= 0 and p.leave[vm] + p.entry[shape, pm] - price > best:
                total = p.leave[vm] + p.entry[shape, pm] - price
                best_vm, best_pm, best_variant, best = vm, pm, p.entry_variant[shape, pm], total
        if away and legal(x, vm, x.vms[vm, HOME_BIN], x.vms[vm, HOME_VARIANT]):
            total = move_gain(x, vm, x.vms[vm, HOME_BIN], x.vms[vm, HOME_VARIANT]) + x.price[vm]
            if total > best:
                best_vm, best_pm, best_variant, best = vm, x.vms[vm, HOME_BIN], x.vms[vm, HOME_VARIANT], total
    return best_vm, best_pm, best_variant, best
