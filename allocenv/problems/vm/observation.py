"""What an agent sees of a cluster: features of VMs (slots), machines (bins), the whole, and of placements.

Everything is measured in chunks of the objective's first term (x = what it takes of one cell) or in shares
of a capacity, so that weights carry over to other chunk sizes, machines and cluster sizes.
`left over` of a cell is its free amount modulo x: what no chunk can use.

The rows of VMs and machines are kept in the state's `Features` and only those of the one or two machines
that a migration touched are computed anew.
"""

from copy import deepcopy
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import FloatArray, IntArray
from allocenv.core.kernel import inlined, kernel
from allocenv.core.resource_state import NOBODY
from allocenv.problems.vm.dynamics import State, gain, has_legal_move, legal, objective, worth
from allocenv.problems.vm.objective import ON_HOST, Rules

SLOT_FEATURES = (
    "size of its part on one cell, in chunks (up to 4), / 4",
    "size modulo a chunk",
    "takes two or more cells",
    "left over of its cell",
    "left over of its second cell, or the largest of the other cells",
    "chunks won at its machine when it leaves, / 2",
    "left over of its cell once it has left",
    "fewest further VMs to leave its cell until the next chunk is whole, / 8 (1: never)",
    "free share of its cell",
    "share of its cell's second resource that it takes",
    "has migrated in this episode",
    "price of migrating it, in chunks",
    "is the stop slot",
)
BIN_FEATURES = (
    "smallest left over of its cells",
    "largest left over",
    "mean left over",
    "free share",
    "whole chunks as a share of those in its capacity",
    "VMs / 16",
    "fewest VMs to leave one of its cells until a chunk more is whole, / 8 (1: never)",
    "free share of the second resource",
    "active",
    "emptied",
)
N_BUCKETS = 8
CONTEXT = (
    "steps left / 50 (up to 2), / 2",
    "steps left per machine (up to 2), / 2",
    "objective",
    "objective at the start less objective",
    "a chunk as a share of a cell's mean capacity (up to 4), / 4",
    "free share",
    "log2 of the number of machines / 10",
    "distance to the goal (0: none)",
    *(f"share of cells with left over in [{i}/{N_BUCKETS}, {i + 1}/{N_BUCKETS})" for i in range(N_BUCKETS)),
)
PLACEMENT_FEATURES = (
    "chunks won at the target, / 2",
    "chunks won in all, / 2",
    "left over of the target cell before",
    "left over of the target cell after",
    "nothing is left over after",
    "on its own machine",
    "free share of the target cell after",
    "largest left over of the machine's other cells",
    "fewest VMs to leave the target cell until a chunk more is whole, / 8 (1: never)",
    "the machine is empty",
    "free share of the target cell's second resource after",
)
NEVER = 8  # "fewest VMs to leave": this many or more


class Features(NamedTuple):
    """The rows kept between steps, and what they are computed from."""

    slots: FloatArray  # [B, S, F]
    bins: FloatArray  # [B, N, G]
    leavers: IntArray  # [B, K, N]  fewest VMs to leave the cell until a chunk more is whole, up to NEVER
    buckets: IntArray  # [B, N_BUCKETS]  cells by left over


def empty_features(n: int, vms: int, pms: int, cells: int) -> Features:
    """Arrays for `n` clusters; the last slot is the stop slot."""
    slots = np.zeros((n, vms + 1, len(SLOT_FEATURES)), np.float32)
    slots[:, vms, len(SLOT_FEATURES) - 1] = 1.0
    return Features(
        slots=slots,
        bins=np.zeros((n, pms, len(BIN_FEATURES)), np.float32),
        leavers=np.zeros((n, max(cells, 1), pms), np.int32),
        buckets=np.zeros((n, N_BUCKETS), np.int32),
    )


@kernel
def rebuild(rules, s, f, b):
    """Compute every row of b."""
    f.slots[b, : s.movable.shape[1]] = 0.0
    f.bins[b] = 0.0
    f.buckets[b] = 0
    for pm in range(s.alloc.n_bins[b]):
        count_buckets(rules, s, f, b, pm, 1)
        refresh(rules, s, f, b, pm)


@inlined
def n_scale_cells(rules):
    """How many cells a machine has for the first term: one where the term is of the whole machine."""
    return 1 if rules.term_nodes[0] == ON_HOST else rules.n_cells


@inlined
def resource_row(rules, k):
    """The row of the first term's resource on cell k."""
    return rules.term_resource[0] + k * rules.n_cell_resources


@inlined
def second_row(rules, a, k):
    """The row of the other resource that may bind: the next of the same cell (or of the machine)."""
    c = rules.n_cell_resources
    r = rules.term_resource[0]
    if rules.term_nodes[0] != ON_HOST and c > 1:
        return (r + 1) % c + k * c
    return rules.n_cells * c if a.capacity.shape[1] > rules.n_cells * c else resource_row(rules, k)


@inlined
def left_over(rules, a, b, k, pm):
    """Free amount of the cell modulo a chunk."""
    r = resource_row(rules, k)
    return max(a.capacity[b, r, pm] - a.used[b, r, pm], 0) % rules.term_chunk[0]


@inlined
def count_buckets(rules, s, f, b, pm, sign):
    """Count the machine's cells by what is left over of them."""
    if not s.active[b, pm]:
        return
    for k in range(n_scale_cells(rules)):
        if s.alloc.capacity[b, resource_row(rules, k), pm] > 0:
            rest = left_over(rules, s.alloc, b, k, pm)
            f.buckets[b, rest * N_BUCKETS // rules.term_chunk[0]] += sign


@inlined
def fewest_leavers(rules, s, b, k, pm, but):
    """Fewest movable VMs (not counting `but`, which has left) to leave cell k until a chunk more is whole.

    VMs leave largest first, by size modulo a chunk; NEVER where that many or more are needed.
    """
    a = s.alloc
    x = rules.term_chunk[0]
    r = resource_row(rules, k)
    have = left_over(rules, a, b, k, pm)
    if but != NOBODY:
        have += a.demand[b, a.shape_of[b, but], a.variant_of[b, but], r] % x
        if have >= x:
            have -= x
    last_size, last_vm = x, NOBODY  # the VM that left last
    for n in range(1, NEVER):
        size, leaver = 0, NOBODY
        vm = a.first_held[b, pm]
        while vm != NOBODY:
            if vm != but and s.movable[b, vm]:
                its = a.demand[b, a.shape_of[b, vm], a.variant_of[b, vm], r] % x
                after_last = its < last_size or (its == last_size and vm > last_vm)
                if after_last and (its > size or (its == size and vm < leaver)):
                    size, leaver = its, vm
            vm = a.next_held[b, vm]
        if leaver == NOBODY:
            return NEVER
        have += size
        if have >= x:
            return n
        last_size, last_vm = size, leaver
    return NEVER


@kernel
def refresh(rules, s, f, b, pm):
    """Compute the rows of a machine and of the VMs it holds."""
    a = s.alloc
    cells = n_scale_cells(rules)
    for k in range(cells):
        f.leavers[b, k, pm] = fewest_leavers(rules, s, b, k, pm, NOBODY)
    refresh_bin(rules, s, f, b, pm, cells)
    here = worth(rules, s, b, pm, 0, -1, -1)
    vm = a.first_held[b, pm]
    while vm != NOBODY:
        refresh_slot(rules, s, f, b, vm, pm, cells, here)
        vm = a.next_held[b, vm]


@kernel
def refresh_bin(rules, s, f, b, pm, cells):
    a = s.alloc
    x = rules.term_chunk[0]
    low, high, total, n = x, 0, 0, 0
    capacity = free = whole = room = 0
    second = second_free = 0
    best = NEVER
    for k in range(cells):
        r = resource_row(rules, k)
        if a.capacity[b, r, pm] == 0:
            continue
        n += 1
        rest = left_over(rules, a, b, k, pm)
        low, high, total = min(low, rest), max(high, rest), total + rest
        capacity += a.capacity[b, r, pm]
        free += a.capacity[b, r, pm] - a.used[b, r, pm]
        whole += (a.capacity[b, r, pm] - a.used[b, r, pm]) // x
        room += a.capacity[b, r, pm] // x
        r = second_row(rules, a, k)
        second += a.capacity[b, r, pm]
        second_free += a.capacity[b, r, pm] - a.used[b, r, pm]
        best = min(best, f.leavers[b, k, pm])
    row = f.bins[b, pm]
    row[0] = low / x if n > 0 else 0.0
    row[1] = high / x
    row[2] = total / (x * max(n, 1))
    row[3] = free / max(capacity, 1)
    row[4] = whole / max(room, 1)
    row[5] = min(a.n_held[b, pm] / 16.0, 2.0)
    row[6] = best / NEVER
    row[7] = second_free / max(second, 1)
    row[8] = s.active[b, pm]
    row[9] = a.n_held[b, pm] == 0


@inlined
def own_cells(rules, a, b, vm, cells):
    """The first and the second cell the VM sits on; where it sits on one, the fullest-left other; or -1."""
    shape, variant, pm = a.shape_of[b, vm], a.variant_of[b, vm], a.bin_of[b, vm]
    first = second = other = -1
    rest = -1
    for k in range(cells):
        r = resource_row(rules, k)
        if a.demand[b, shape, variant, r] > 0:
            if first < 0:
                first = k
            elif second < 0:
                second = k
        elif a.capacity[b, r, pm] > 0 and left_over(rules, a, b, k, pm) > rest:
            rest = left_over(rules, a, b, k, pm)
            other = k
    return first, second, other


@inlined
def refresh_slot(rules, s, f, b, vm, pm, cells, here):
    a = s.alloc
    x = rules.term_chunk[0]
    shape, variant = a.shape_of[b, vm], a.variant_of[b, vm]
    first, second, other = own_cells(rules, a, b, vm, cells)
    row = f.slots[b, vm]
    row[:] = 0.0
    if first < 0:  # takes nothing of the first term's resource
        row[7] = 1.0
    else:
        r = resource_row(rules, first)
        size = a.demand[b, shape, variant, r]
        rest = left_over(rules, a, b, first, pm)
        row[0] = min(size / x, 4.0) / 4.0
        row[1] = (size % x) / x
        row[2] = second >= 0
        row[3] = rest / x
        beside = second if second >= 0 else other
        row[4] = left_over(rules, a, b, beside, pm) / x if beside >= 0 else 0.0
        row[6] = ((rest + size) % x) / x
        row[7] = fewest_leavers(rules, s, b, first, pm, vm) / NEVER
        row[8] = (a.capacity[b, r, pm] - a.used[b, r, pm]) / a.capacity[b, r, pm]
        r = second_row(rules, a, first)
        row[9] = a.demand[b, shape, variant, r] / max(a.capacity[b, r, pm], 1)
    won = (worth(rules, s, b, pm, shape, variant, -1) - here) / s.unit[b]
    row[5] = min(max(won, -2.0), 2.0) / 2.0
    row[10] = s.home_bin[b, vm] != pm or s.home_variant[b, vm] != variant
    row[11] = min(rules.move_price * s.cost[b, vm], 2.0) / 2.0


@kernel
def observe(rules, s, f, out, lo, hi):
    """Write masks, holders and context of rows lo..hi; the kept rows are copied by the caller."""
    stop = s.movable.shape[1]
    for b in range(lo, hi):
        for vm in range(s.alloc.n_items[b]):
            out.slot_mask[b, vm] = has_legal_move(s, b, vm)
            out.slot_bin[b, vm] = s.alloc.bin_of[b, vm]
        out.slot_mask[b, stop] = True
        observe_context(rules, s, f, out.context[b], b)


@kernel
def observe_context(rules, s, f, out, b):
    a = s.alloc
    bins = max(a.n_bins[b], 1)
    capacity = free = cells = 0
    for k in range(n_scale_cells(rules)):
        r = resource_row(rules, k)
        for pm in range(a.n_bins[b]):
            if s.active[b, pm] and a.capacity[b, r, pm] > 0:
                capacity += a.capacity[b, r, pm]
                free += a.capacity[b, r, pm] - a.used[b, r, pm]
                cells += 1
    now = objective(s, b)
    out[0] = min(s.steps_left[b] / 50.0, 2.0) / 2.0
    out[1] = min(s.steps_left[b] / bins, 2.0) / 2.0
    out[2] = now
    out[3] = s.start[b] - now
    out[4] = min(rules.term_chunk[0] * max(cells, 1) / max(capacity, 1), 4.0) / 4.0
    out[5] = free / max(capacity, 1)
    out[6] = np.log2(bins) / 10.0
    out[7] = max(now - rules.goal, 0.0) if np.isfinite(rules.goal) else 0.0
    for i in range(N_BUCKETS):
        out[8 + i] = f.buckets[b, i] / max(cells, 1)


@kernel
def placement_mask(s, slots, out, lo, hi):
    """Write which placements are legal for the chosen slot: [B, N * V]."""
    n_variants = s.alloc.demand.shape[2]
    stop = s.movable.shape[1]
    for b in range(lo, hi):
        vm = slots[b]
        if vm == stop:
            out[b, 0] = True
            continue
        if vm < 0 or vm >= s.alloc.n_items[b]:
            continue
        for pm in range(s.alloc.n_bins[b]):
            for variant in range(s.alloc.n_variants[b, s.alloc.shape_of[b, vm]]):
                out[b, pm * n_variants + variant] = legal(s, b, vm, pm, variant)


@kernel
def placement_features(rules, s, f, slots, out, lo, hi):
    """Write what each legal placement would mean for the chosen slot: [B, N * V, P]; zero where illegal."""
    n_variants = s.alloc.demand.shape[2]
    cells = n_scale_cells(rules)
    for b in range(lo, hi):
        vm = slots[b]
        if vm < 0 or vm >= s.alloc.n_items[b]:
            continue
        shape, variant, source = s.alloc.shape_of[b, vm], s.alloc.variant_of[b, vm], s.alloc.bin_of[b, vm]
        leaving = worth(rules, s, b, source, shape, variant, -1) - worth(rules, s, b, source, shape, -1, -1)
        for pm in range(s.alloc.n_bins[b]):
            for v in range(s.alloc.n_variants[b, shape]):
                if legal(s, b, vm, pm, v):
                    won = gain(rules, s, b, vm, pm, v)
                    describe_placement(rules, s, f, b, vm, pm, v, cells, won, leaving, out[b, pm * n_variants + v])


@kernel
def describe_placement(rules, s, f, b, vm, pm, v, cells, won, leaving, row):
    a = s.alloc
    x = rules.term_chunk[0]
    shape, now = a.shape_of[b, vm], a.variant_of[b, vm]
    own = a.bin_of[b, vm] == pm
    row[0] = min(max((won - leaving) / s.unit[b], -2.0), 2.0) / 2.0
    row[1] = min(max(won / s.unit[b], -2.0), 2.0) / 2.0
    row[5] = own
    row[9] = a.n_held[b, pm] == 0
    target = -1
    other = 0
    for k in range(cells):
        r = resource_row(rules, k)
        if a.demand[b, shape, v, r] > 0 and target < 0:
            target = k
        elif a.demand[b, shape, v, r] == 0 and a.capacity[b, r, pm] > 0:
            other = max(other, left_over(rules, a, b, k, pm))
    row[7] = other / x
    if target < 0:
        return
    r = resource_row(rules, target)
    size = a.demand[b, shape, v, r]
    free = a.capacity[b, r, pm] - a.used[b, r, pm] + (a.demand[b, shape, now, r] if own else 0)
    row[2] = (free % x) / x
    row[3] = ((free - size) % x) / x
    row[4] = (free - size) % x == 0
    row[6] = (free - size) / a.capacity[b, r, pm]
    row[8] = f.leavers[b, target, pm] / NEVER
    r = second_row(rules, a, target)
    taken = a.demand[b, shape, v, r] - (a.demand[b, shape, now, r] if own else 0)
    row[10] = (a.capacity[b, r, pm] - a.used[b, r, pm] - taken) / max(a.capacity[b, r, pm], 1)


def check(rules: Rules, state: State, features: Features, b: int) -> None:
    """Raise ValueError where a kept feature of row b differs from a rebuild."""
    fresh = deepcopy(features)
    rebuild(rules, state, fresh, b)
    for name, kept, new in zip(Features._fields, features, fresh, strict=True):
        if not np.array_equal(kept[b], new[b]):
            raise ValueError(f"Row {b}: the kept feature rows `{name}` differ from a rebuild.")
