"""The slow, obvious twin of `problems/vm/replay.py`: objective and legality in plain Python, from scratch."""

from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.objective import ON_HOST, Rules


def slow_free(cluster: Cluster, pm: int) -> list[int]:
    """What is free of each resource row of a machine."""
    free = cluster.capacity[:, pm].tolist()
    for vm in range(cluster.n_vms):
        if cluster.bin_of[vm] == pm:
            for r, need in enumerate(_need(cluster, vm, int(cluster.variant_of[vm]))):
                free[r] -= need
    return free


def slow_objective(cluster: Cluster, rules: Rules) -> float:
    """Sum of weight * (1 - size * chunks / free), less the share of empty machines, over active machines."""
    active = [n for n in range(cluster.n_pms) if cluster.active[n]]
    total = 0.0
    for t in range(len(rules.term_chunk)):
        first, chunk, nodes = (int(x[t]) for x in (rules.term_resource, rules.term_chunk, rules.term_nodes))
        n_chunks = n_free = 0
        for pm in active:
            free = slow_free(cluster, pm)
            if nodes == ON_HOST:
                rows = [free[first]]
            else:
                rows = [free[first + k * rules.n_cell_resources] for k in range(rules.n_cells)]
            n_free += sum(rows)
            n_chunks += _pairs([f // chunk for f in rows]) if nodes == 2 else sum(f // chunk for f in rows)
        if n_free:
            total += rules.term_weight[t] * (1 - chunk * max(nodes, 1) * n_chunks / n_free)
    if active:
        empty = [pm for pm in active if not (cluster.bin_of == pm).any()]
        total -= rules.empty_weight * len(empty) / len(active)
    return total


def slow_is_legal(cluster: Cluster, vm: int, pm: int, variant: int) -> bool:
    """Whether the VM may move there: not a place of its own, allowed, room, anti-affinity."""
    if not cluster.movable[vm] or not cluster.active[pm] or not cluster.allowed[cluster.class_of[vm], pm]:
        return False
    if cluster.bin_of[vm] == pm and cluster.variant_of[vm] == variant:
        return False
    free = slow_free(cluster, pm)
    if cluster.bin_of[vm] == pm:
        free = [f + n for f, n in zip(free, _need(cluster, vm, int(cluster.variant_of[vm])), strict=True)]
    if any(need > f for need, f in zip(_need(cluster, vm, variant), free, strict=True) if need):
        return False
    for g in range(len(cluster.group_scope)):
        members = [m for m in range(cluster.n_vms) if g in cluster.group_of[m]]
        if vm in members:
            place = cluster.rack_of if cluster.group_scope[g] else range(cluster.n_pms)
            there = [m for m in members if m != vm and place[cluster.bin_of[m]] == place[pm]]
            if len(there) >= cluster.group_limit[g]:
                return False
    return True


def slow_move(cluster: Cluster, vm: int, pm: int, variant: int) -> Cluster:
    """The cluster after the move."""
    bin_of, variant_of = cluster.bin_of.copy(), cluster.variant_of.copy()
    bin_of[vm], variant_of[vm] = pm, variant
    return cluster.moved(bin_of, variant_of)


def _need(cluster: Cluster, vm: int, variant: int) -> list[int]:
    shape = cluster.shape_of[vm]
    c = len(cluster.cell_resources)
    per_cell, own = cluster.shape_demand[shape, :c].tolist(), cluster.shape_demand[shape, c:].tolist()
    cells = cluster.cells_of(vm, variant)
    return [amount for k in range(cluster.n_cells) for amount in (per_cell if k in cells else [0] * c)] + own


def _pairs(halves: list[int]) -> int:
    """Pairs of two different cells, taken greedily from the two fullest."""
    halves, pairs = sorted(halves), 0
    while len(halves) > 1 and halves[-2] > 0:
        halves[-1] -= 1
        halves[-2] -= 1
        pairs += 1
        halves.sort()
    return pairs
