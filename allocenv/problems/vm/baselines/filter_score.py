"""Filter, then score: the two-step heuristic that schedulers and clouds use for rescheduling.

First the VMs are filtered by how much of a fragment their leaving removes, then the machines are scored for the
one that was chosen: `HA` in VMR2L's comparison (Ding et al., EuroSys 2025, section 5), after the filter and
score plugins of the Kubernetes scheduler. Unlike greedy search it never weighs VM and machine together.
"""

import numpy as np

from allocenv.core.arrays import IntArray
from allocenv.core.clock import perf_counter
from allocenv.problems.vm.baselines.placement import Placement
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.objective import Rules

_EPSILON = 1e-9
_BEST_FIT = 1e-6  # how much less room on the machine counts, against gains


def filter_score(cluster: Cluster, rules: Rules, max_moves: int, seconds: float, rng: np.random.Generator) -> IntArray:
    """Moves [n, 3]: the VM whose leaving removes most fragments, to where its coming costs least; ties by best fit.

    VMs are tried in that order (equal ones at random) until a move lowers the objective; it ends when none does.
    """
    deadline = perf_counter() + seconds
    now = Placement(cluster, rules)
    moves: list[tuple[int, int, int]] = []
    while len(moves) < max_moves:
        move = _next_move(now, deadline, rng)
        if move is None:
            break
        moves.append(move)
    return np.array(moves, np.int32).reshape(-1, 3)


def _next_move(now: Placement, deadline: float, rng: np.random.Generator) -> tuple[int, int, int] | None:
    """Carry out the first move that gains; None: there is none, or no time."""
    leave, fragments = now.leave_gains(), now.fragment_gains()
    order = np.lexsort((rng.random(len(leave)), -fragments))
    tried: set[tuple[int, ...]] = set()
    for vm in order[: int(np.isfinite(leave).sum())].tolist():
        if perf_counter() > deadline:
            return None
        source, variant = int(now.bin_of[vm]), int(now.variant_of[vm])
        look = _look(now, vm)
        if look in tried:
            continue
        tried.add(look)
        now.take(vm)
        entry = now.entry_gains(vm)
        entry[source, variant] = -np.inf
        score = entry - _BEST_FIT * now.spare(vm)
        best = int(np.argmax(score))
        pm, to = best // score.shape[1], best % score.shape[1]
        if leave[vm] + entry[pm, to] > _EPSILON:
            now.put(vm, pm, to)
            return vm, pm, to
        now.put(vm, source, variant)
    return None


def _look(now: Placement, vm: int) -> tuple[int, ...]:
    """VMs that look the same have the same moves."""
    cluster = now.cluster
    place = (int(now.bin_of[vm]), int(now.variant_of[vm]))
    return (*place, int(cluster.shape_of[vm]), int(cluster.class_of[vm]), *cluster.group_of[vm].tolist())
