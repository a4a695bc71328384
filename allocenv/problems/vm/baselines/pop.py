"""Split the cluster, solve every part exactly, join: POP.

Narayanan et al., "Solving Large-Scale Granular Resource Allocation Problems Efficiently with POP", SOSP 2021:
machines (with their VMs) are dealt out at random into parts of equal size, each part gets its share of the
moves, and each is solved to the optimum.
"""

from dataclasses import replace

import numpy as np

from allocenv.core.arrays import IntArray, LongArray
from allocenv.core.clock import perf_counter
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.exact import solve_exact
from allocenv.problems.vm.exact.worth import term_rows
from allocenv.problems.vm.objective import Rules
from allocenv.problems.vm.search.ordering import order_moves


def pop(
    cluster: Cluster,
    rules: Rules,
    max_moves: int,
    seconds: float,
    rng: np.random.Generator,
    parts: int = 8,
) -> IntArray:
    """Moves [n, 3] that take each of the parts to its optimum. VMs in groups that span racks stay."""
    deadline = perf_counter() + seconds
    bin_of, variant_of = cluster.bin_of.copy(), cluster.variant_of.copy()
    parts = max(1, min(parts, cluster.n_pms, max_moves))
    left = max_moves
    for i, pms in enumerate(np.array_split(rng.permutation(cluster.n_pms), parts)):
        share = left // (parts - i)  # moves that a part leaves over go to the next
        part, vms = _part(cluster, np.sort(pms))
        seconds_left = max(deadline - perf_counter(), 0.0) / (parts - i)
        found = solve_exact(part, _part_rules(cluster, part, rules), share, seconds_left, workers=1)
        bin_of[vms], variant_of[vms] = np.sort(pms)[found.bin_of], found.variant_of
        left -= int(((found.bin_of != part.bin_of) | (found.variant_of != part.variant_of)).sum())
    return order_moves(cluster, rules, bin_of, variant_of, max_moves)


def _part(cluster: Cluster, pms: LongArray) -> tuple[Cluster, LongArray]:
    """The machines with their VMs as a cluster of its own, and which VMs these are."""
    vms = np.flatnonzero(np.isin(cluster.bin_of, pms))
    spans = np.append(cluster.group_scope == 1, False)[cluster.group_of[vms]].any(1)
    part = replace(
        cluster,
        pm_ids=tuple(cluster.pm_ids[n] for n in pms),
        vm_ids=tuple(cluster.vm_ids[vm] for vm in vms),
        capacity=np.ascontiguousarray(cluster.capacity[:, pms]),
        active=cluster.active[pms],
        rack_of=cluster.rack_of[pms],
        shape_of=cluster.shape_of[vms],
        bin_of=np.searchsorted(pms, cluster.bin_of[vms]).astype(np.int32),
        variant_of=cluster.variant_of[vms],
        movable=cluster.movable[vms] & ~spans,
        cost=cluster.cost[vms],
        class_of=cluster.class_of[vms],
        allowed=np.ascontiguousarray(cluster.allowed[:, pms]),
        group_of=cluster.group_of[vms],
        vm_types=(),
    )
    return part, vms


def _part_rules(cluster: Cluster, part: Cluster, rules: Rules) -> Rules:
    """Rules under which a chunk is worth as much in the part as in the whole."""
    weight = np.zeros(len(rules.term_weight))
    for t in range(len(weight)):
        rows = term_rows(rules, t)
        whole = int((cluster.capacity[rows] - cluster.used[rows])[:, cluster.active].sum())
        mine = int((part.capacity[rows] - part.used[rows])[:, part.active].sum())
        weight[t] = rules.term_weight[t] * mine / whole if whole else 0.0
    empty = rules.empty_weight * int(part.active.sum()) / max(int(cluster.active.sum()), 1)
    return rules._replace(term_weight=weight, empty_weight=empty, goal=-np.inf)
