"""Take some VMs out and pack them again: alpha-VBPP.

Rescheduling as a sequence of vector bin packing problems: each round takes the alpha VMs out whose leaving
removes most fragments and packs them, largest first, where they cost least (Ding et al., VMR2L, EuroSys 2025,
section 5; the packing rule is best fit decreasing, Panigrahy et al., "Heuristics for Vector Bin Packing", 2011).
"""

import numpy as np

from allocenv.core.arrays import BoolArray, IntArray
from allocenv.core.clock import perf_counter
from allocenv.problems.vm.baselines.placement import Placement
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.objective import Rules
from allocenv.problems.vm.search.ordering import order_moves

_BEST_FIT = 1e-6  # how much less room on the machine counts, against gains


def vector_packing(
    cluster: Cluster,
    rules: Rules,
    max_moves: int,
    seconds: float,
    rng: np.random.Generator,
    alpha: int = 10,
) -> IntArray:
    """Moves [n, 3] after rounds of taking out and packing again at most `alpha` VMs, `max_moves` in all.

    A round that does not lower the objective is undone, and the next one draws other VMs among equals; ten
    such rounds in a row end it.
    """
    deadline = perf_counter() + seconds
    now = Placement(cluster, rules)
    moved = np.zeros(cluster.n_vms, np.bool_)
    failures = 0
    while failures < 10 and not moved.sum() >= max_moves and perf_counter() < deadline:
        n = min(alpha, max_moves - int(moved.sum()))
        vms = _round(now, moved, n, rng)
        failures = 0 if len(vms) else failures + 1
        moved[vms] = True
    return order_moves(cluster, rules, now.bin_of, now.variant_of, max_moves)


def _round(now: Placement, moved: BoolArray, n: int, rng: np.random.Generator) -> list[int]:
    """Take out and pack again; return who moved (nobody where that gains nothing)."""
    leave = np.where(moved, -np.inf, now.fragment_gains())
    order = np.lexsort((rng.random(len(leave)), -leave))[:n]
    taken = [int(vm) for vm in order if np.isfinite(leave[vm])]
    before = now.total()
    places = {vm: (int(now.bin_of[vm]), int(now.variant_of[vm])) for vm in taken}
    for vm in taken:
        now.take(vm)
    size = now.cluster.shape_demand.sum(1) * np.maximum(now.cluster.shape_nodes, 1)
    for vm in sorted(taken, key=lambda vm: -int(size[now.cluster.shape_of[vm]])):
        score = now.entry_gains(vm) - _BEST_FIT * now.spare(vm)
        best = int(np.argmax(score))
        pm, variant = best // score.shape[1], best % score.shape[1]
        if not np.isfinite(score[pm, variant]):
            break
        now.put(vm, pm, variant)
    gone = [vm for vm in taken if (int(now.bin_of[vm]), int(now.variant_of[vm])) != places[vm]]
    price = now.worth.move * float(now.cluster.cost[gone].sum())
    if (now.bin_of[taken] >= 0).all() and now.total() - price > before + 1e-9:
        return gone
    for vm in gone:
        if now.bin_of[vm] >= 0:
            now.take(vm)
    for vm in gone:
        now.put(vm, *places[vm])
    return []
