"""The model of VM rescheduling: state, legality, what a move does. Start reading here.

One step migrates one VM (VMR2L, EuroSys 2025, section 3). Capacity holds after every single step. Machines
that are not active take no VM, keep theirs and count in no fragment rate.
"""

from copy import deepcopy
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray, FloatArray, IntArray, LongArray
from allocenv.core.kernel import inlined, kernel
from allocenv.core.resource_state import (
    ResourceState,
    clear,
    empty_resource_state,
    fits,
    has_room,
    move,
    place,
)
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.objective import ON_HOST, Rules

HOST, RACK = 0, 1  # scopes of an anti-affinity group
ILLEGAL_REWARD = -1.0  # as much as losing one chunk


class Shape(NamedTuple):
    """How large the arrays of a state are."""

    vms: int  # M
    pms: int  # N
    resources: int  # R = K*C + P
    shapes: int  # S
    variants: int  # V
    classes: int
    groups: int  # G
    groups_of_a_vm: int
    terms: int  # T


class State(NamedTuple):
    """B clusters in the middle of an episode. Kernels of this file are the only writers."""

    alloc: ResourceState
    active: BoolArray  # [B, N]
    movable: BoolArray  # [B, M]
    cost: FloatArray  # [B, M]
    home_bin: IntArray  # [B, M]  where the VM was at the start
    home_variant: IntArray  # [B, M]
    class_of: IntArray  # [B, M]
    allowed: BoolArray  # [B, classes, N]
    group_of: IntArray  # [B, M, groups of a VM]  or -1
    group_scope: IntArray  # [B, G]  HOST or RACK
    group_limit: IntArray  # [B, G]
    group_count: IntArray  # [B, G, N]  members in each host or rack
    domain_of: IntArray  # [B, 2, N]  index of the machine itself, and of its rack
    n_room: IntArray  # [B, S]  placements on active machines with room for one more of the shape
    n_chunks: LongArray  # [B, T]  chunks of each term, over active machines
    n_emptied: LongArray  # [B]  active machines without a VM
    n_active: LongArray  # [B]
    term_value: Array  # [B, T]  objective a chunk is worth (float64)
    term_base: Array  # [B]  objective with no chunk and no emptied machine
    empty_value: Array  # [B]  objective an emptied machine is worth
    unit: Array  # [B]  objective of the most valuable chunk: what a reward of 1 means
    start: Array  # [B]  objective at the start
    steps_left: IntArray  # [B]
    moves: IntArray  # [B]  migrations carried out
    n_illegal: IntArray  # [B]  illegal actions so far
    paid: Array  # [B]  cost of the migrations carried out


def empty_state(n: int, shape: Shape) -> State:
    """Arrays for `n` clusters."""
    ints = lambda *dims: np.zeros((n, *dims), np.int32)  # noqa: E731
    longs = lambda *dims: np.zeros((n, *dims), np.int64)  # noqa: E731
    floats = lambda *dims: np.zeros((n, *dims), np.float64)  # noqa: E731
    bools = lambda *dims: np.zeros((n, *dims), np.bool_)  # noqa: E731
    m, bins, groups, terms = shape.vms, shape.pms, shape.groups, shape.terms
    return State(
        alloc=empty_resource_state(n, m, bins, shape.resources, shape.shapes, shape.variants),
        active=bools(bins),
        movable=bools(m),
        cost=np.zeros((n, m), np.float32),
        home_bin=ints(m),
        home_variant=ints(m),
        class_of=ints(m),
        allowed=bools(shape.classes, bins),
        group_of=np.full((n, m, shape.groups_of_a_vm), -1, np.int32),
        group_scope=ints(groups),
        group_limit=ints(groups),
        group_count=ints(groups, bins),
        domain_of=ints(2, bins),
        n_room=ints(shape.shapes),
        n_chunks=longs(terms),
        n_emptied=longs(),
        n_active=longs(),
        term_value=floats(terms),
        term_base=floats(),
        empty_value=floats(),
        unit=floats(),
        start=floats(),
        steps_left=ints(),
        moves=ints(),
        n_illegal=ints(),
        paid=floats(),
    )


def fill(state: State, rules: Rules, b: int, cluster: Cluster, max_moves: int) -> None:
    """Begin an episode on the cluster in row b."""
    m, n, shapes = cluster.n_vms, cluster.n_pms, len(cluster.shape_nodes)
    alloc = state.alloc
    alloc.n_items[b], alloc.n_bins[b] = m, n
    alloc.capacity[b] = 0
    alloc.capacity[b, :, :n] = cluster.capacity
    alloc.demand[b, :shapes, : cluster.demand.shape[1]] = cluster.demand
    alloc.n_variants[b] = 0
    alloc.n_variants[b, :shapes] = cluster.n_variants
    alloc.shape_of[b, :m] = cluster.shape_of
    state.active[b] = False
    state.active[b, :n] = cluster.active
    state.movable[b] = False
    state.movable[b, :m] = cluster.movable & cluster.active[cluster.bin_of]
    state.cost[b, :m] = cluster.cost
    state.home_bin[b, :m], state.home_variant[b, :m] = cluster.bin_of, cluster.variant_of
    state.class_of[b, :m] = cluster.class_of
    state.allowed[b, : len(cluster.allowed), :n] = cluster.allowed
    state.group_of[b] = -1
    state.group_of[b, :m, : cluster.group_of.shape[1]] = cluster.group_of
    state.group_scope[b, : len(cluster.group_scope)] = cluster.group_scope
    state.group_limit[b, : len(cluster.group_limit)] = cluster.group_limit
    state.domain_of[b, HOST, :n] = np.arange(n)
    state.domain_of[b, RACK, :n] = cluster.rack_of
    _begin(rules, state, b, max_moves)


@kernel
def _begin(rules, s, b, max_moves):
    """Place every VM at home and compute everything that follows from it."""
    clear(s.alloc, b)
    s.group_count[b] = 0
    for vm in range(s.alloc.n_items[b]):
        place(s.alloc, b, vm, s.home_bin[b, vm], s.home_variant[b, vm])
        count_in_groups(s, b, vm, s.home_bin[b, vm], 1)
    s.n_active[b] = 0
    for pm in range(s.alloc.n_bins[b]):
        s.n_active[b] += s.active[b, pm]
    n_active = max(s.n_active[b], 1)
    s.empty_value[b] = rules.empty_weight / n_active
    s.unit[b] = s.empty_value[b]
    s.term_base[b] = 0.0
    for t in range(rules.term_resource.size):
        free = free_total(rules, s, b, t)
        size = rules.term_chunk[t] * max(rules.term_nodes[t], 1)
        s.term_value[b, t] = rules.term_weight[t] * size / free if free > 0 else 0.0
        s.term_base[b] += rules.term_weight[t] if free > 0 else 0.0
        s.unit[b] = max(s.unit[b], s.term_value[b, t])
    if s.unit[b] == 0.0:
        s.unit[b] = 1.0
    s.n_chunks[b] = 0
    s.n_emptied[b] = 0
    s.n_room[b] = 0
    for pm in range(s.alloc.n_bins[b]):
        count_machine(rules, s, b, pm, 1)
    s.steps_left[b] = max_moves
    s.moves[b] = 0
    s.n_illegal[b] = 0
    s.paid[b] = 0.0
    s.start[b] = objective(s, b)


@kernel
def free_total(rules, s, b, t):
    """Free amount of the term's resource over all active machines."""
    total = 0
    cells = 1 if rules.term_nodes[t] == ON_HOST else rules.n_cells
    for k in range(cells):
        r = rules.term_resource[t] + k * rules.n_cell_resources
        for pm in range(s.alloc.n_bins[b]):
            if s.active[b, pm]:
                total += s.alloc.capacity[b, r, pm] - s.alloc.used[b, r, pm]
    return total


@inlined
def chunks(rules, a, b, t, pm, shape, minus, plus):
    """Chunks of term t that fit on the machine once a VM of the shape has left as variant `minus` and come as
    variant `plus` (-1: neither)."""
    size = rules.term_chunk[t]
    nodes = rules.term_nodes[t]
    total = 0
    top = 0
    for k in range(1 if nodes == ON_HOST else rules.n_cells):
        r = rules.term_resource[t] + k * rules.n_cell_resources
        free = a.capacity[b, r, pm] - a.used[b, r, pm]
        if minus >= 0:
            free += a.demand[b, shape, minus, r]
        if plus >= 0:
            free -= a.demand[b, shape, plus, r]
        fit = free // size if free > 0 else 0
        total += fit
        top = max(top, fit)
    if nodes == 2:
        return min(total // 2, total - top)  # pairs of chunks on distinct nodes
    return total


@kernel
def worth(rules, s, b, pm, shape, minus, plus):
    """What the machine contributes to a lower objective, after the change of `chunks`."""
    if not s.active[b, pm]:
        return 0.0
    total = 0.0
    for t in range(rules.term_resource.size):
        total += s.term_value[b, t] * chunks(rules, s.alloc, b, t, pm, shape, minus, plus)
    held = s.alloc.n_held[b, pm] + (plus >= 0) - (minus >= 0)
    if held == 0:
        total += s.empty_value[b]
    return total


@inlined
def objective(s, b):
    """The weighted fragment rates, less the share of emptied machines."""
    total = s.term_base[b] - s.empty_value[b] * s.n_emptied[b]
    for t in range(s.n_chunks.shape[1]):
        total -= s.term_value[b, t] * s.n_chunks[b, t]
    return total


@kernel
def count_machine(rules, s, b, pm, sign):
    """Add (or take away) what an active machine contributes to the totals of its row."""
    if not s.active[b, pm]:
        return
    for t in range(rules.term_resource.size):
        s.n_chunks[b, t] += sign * chunks(rules, s.alloc, b, t, pm, 0, -1, -1)
    if s.alloc.n_held[b, pm] == 0:
        s.n_emptied[b] += sign
    for shape in range(s.n_room.shape[1]):
        for variant in range(s.alloc.n_variants[b, shape]):
            if has_room(s.alloc, b, shape, pm, variant):
                s.n_room[b, shape] += sign


@inlined
def count_in_groups(s, b, vm, pm, sign):
    """Count the VM in (or out of) the machine's domain in each of its groups."""
    for i in range(s.group_of.shape[2]):
        group = s.group_of[b, vm, i]
        if group >= 0:
            s.group_count[b, group, s.domain_of[b, s.group_scope[b, group], pm]] += sign


@inlined
def permits(s, b, vm, pm):
    """Whether the machine is active, allowed to the VM, and free of the VM's adversaries."""
    if not s.active[b, pm] or not s.allowed[b, s.class_of[b, vm], pm]:
        return False
    now = s.alloc.bin_of[b, vm]
    for i in range(s.group_of.shape[2]):
        group = s.group_of[b, vm, i]
        if group < 0:
            continue
        domains = s.domain_of[b, s.group_scope[b, group]]
        others = s.group_count[b, group, domains[pm]] - (domains[now] == domains[pm])
        if others >= s.group_limit[b, group]:
            return False
    return True


@inlined
def legal(s, b, vm, pm, variant):
    """Whether the VM may migrate there now. Staying where it is is no migration."""
    if not s.movable[b, vm]:
        return False
    if s.alloc.bin_of[b, vm] == pm and s.alloc.variant_of[b, vm] == variant:
        return False
    return fits(s.alloc, b, vm, pm, variant) and permits(s, b, vm, pm)


@inlined
def has_legal_move(s, b, vm):
    """Whether the VM may migrate anywhere now."""
    if not s.movable[b, vm]:
        return False
    shape = s.alloc.shape_of[b, vm]
    n_variants = s.alloc.n_variants[b, shape]
    plain = s.class_of[b, vm] == 0 and (s.group_of.shape[2] == 0 or s.group_of[b, vm, 0] < 0)
    here = s.alloc.bin_of[b, vm]
    if plain:
        elsewhere = s.n_room[b, shape]
        if elsewhere > n_variants:
            return True  # more placements with room than its own machine can have
        for variant in range(n_variants):
            if legal(s, b, vm, here, variant):
                return True
            if s.active[b, here] and has_room(s.alloc, b, shape, here, variant):
                elsewhere -= 1
        return elsewhere > 0
    for pm in range(s.alloc.n_bins[b]):
        for variant in range(n_variants):
            if legal(s, b, vm, pm, variant):
                return True
    return False


@kernel
def gain(rules, s, b, vm, pm, variant):
    """How much the migration would lower the objective."""
    source = s.alloc.bin_of[b, vm]
    now = s.alloc.variant_of[b, vm]
    shape = s.alloc.shape_of[b, vm]
    if source == pm:
        return worth(rules, s, b, pm, shape, now, variant) - worth(rules, s, b, pm, shape, -1, -1)
    return (
        worth(rules, s, b, source, shape, now, -1)
        - worth(rules, s, b, source, shape, -1, -1)
        + worth(rules, s, b, pm, shape, -1, variant)
        - worth(rules, s, b, pm, shape, -1, -1)
    )


@kernel
def migrate(rules, s, b, vm, pm, variant):
    """Carry out a legal migration and keep every total."""
    source = s.alloc.bin_of[b, vm]
    count_machine(rules, s, b, source, -1)
    if pm != source:
        count_machine(rules, s, b, pm, -1)
    count_in_groups(s, b, vm, source, -1)
    move(s.alloc, b, vm, pm, variant)
    count_in_groups(s, b, vm, pm, 1)
    count_machine(rules, s, b, source, 1)
    if pm != source:
        count_machine(rules, s, b, pm, 1)
    s.moves[b] += 1
    s.paid[b] += s.cost[b, vm]


@kernel
def is_legal_action(s, b, slot, placement, stop, n_variants):
    """Whether the pair may be carried out: a legal migration, or the stop slot with placement 0."""
    if slot == stop:
        return placement == 0
    if slot < 0 or slot >= s.alloc.n_items[b] or placement < 0:
        return False
    pm = placement // n_variants
    return pm < s.alloc.n_bins[b] and legal(s, b, slot, pm, placement % n_variants)


@kernel
def step_row(rules, s, b, slot, placement, out):
    """Carry out one action in row b; return whether a machine changed."""
    stop = s.movable.shape[1]
    n_variants = s.alloc.demand.shape[2]
    s.steps_left[b] -= 1
    out.truncated[b] = False
    out.terminated[b] = s.steps_left[b] <= 0
    out.illegal[b] = not is_legal_action(s, b, slot, placement, stop, n_variants)
    if out.illegal[b]:
        s.n_illegal[b] += 1
        out.rewards[b] = ILLEGAL_REWARD
        return False
    if slot == stop:
        out.terminated[b] = True
        out.rewards[b] = 0.0
        return False
    before = objective(s, b)
    migrate(rules, s, b, slot, placement // n_variants, placement % n_variants)
    after = objective(s, b)
    out.rewards[b] = (before - after) / s.unit[b] - rules.move_price * s.cost[b, slot]
    if after <= rules.goal:
        out.terminated[b] = True
    return True


def check(rules: Rules, state: State, b: int) -> None:
    """Raise ValueError where a total of row b differs from a rebuild."""
    copy = deepcopy(state)
    copy.home_bin[b], copy.home_variant[b] = state.alloc.bin_of[b], state.alloc.variant_of[b]
    _begin(rules, copy, b, 0)
    for name in ("n_room", "n_chunks", "n_emptied", "group_count"):
        if not np.array_equal(getattr(copy, name)[b], getattr(state, name)[b]):
            raise ValueError(f"Row {b}: `{name}` differs from a rebuild.")
    if not np.array_equal(copy.alloc.used[b], state.alloc.used[b]):
        raise ValueError(f"Row {b}: `used` differs from a rebuild.")
