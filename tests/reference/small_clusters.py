"""Small random clusters with everything in them: cells, own resources, groups, classes, inactive machines."""

import numpy as np
from slow_replay import slow_is_legal, slow_move

from allocenv.problems.vm.cluster import PM, VM, Cluster, Group, build_cluster


def random_cluster(seed: int, n_pms: int = 6, n_vms: int = 24, n_cells: int = 2) -> Cluster:
    """Machines of 32 cores a cell, VMs of 2 to 16 a cell wherever there is room."""
    rng = np.random.default_rng(seed)
    pms = [
        PM(
            f"pm_{n}",
            ({"cpu": 32000, "memory": 65536},) * n_cells,
            {"gpu": 4000},
            active=bool(rng.random() < 0.85),
            rack=f"r{n % 3}",
        )
        for n in range(n_pms)
    ]
    free = np.tile([32, 64], (n_pms, n_cells, 1))
    gpus = np.full(n_pms, 4)
    vms = []
    for m in range(n_vms):
        cores = int(rng.choice([2, 4, 8, 16]))
        nodes = int(rng.integers(1, min(n_cells, 2) + 1))
        takes = int(rng.random() < 0.3)
        n = int(rng.integers(n_pms))
        cells = tuple(sorted(rng.permutation(n_cells)[:nodes].tolist()))
        if (free[n, cells] < [cores, 2 * cores]).any() or gpus[n] < takes:
            continue
        free[n, cells] -= [cores, 2 * cores]
        gpus[n] -= takes
        vms.append(
            VM(
                f"vm_{m}",
                f"pm_{n}",
                cells,
                {"cpu": cores * 1000, "memory": cores * 2048},
                {"gpu": takes * 1000},
                movable=bool(rng.random() < 0.9),
                may_run_on=frozenset(f"pm_{i}" for i in range(n_pms) if i % 2) if rng.random() < 0.15 else None,
            )
        )
    names = [vm.id for vm in vms]
    groups = [
        Group(tuple(rng.permutation(names)[:4].tolist()), scope, int(rng.integers(1, 3))) for scope in ("host", "rack")
    ]
    return build_cluster("random", pms, vms, groups)


def random_moves(cluster: Cluster, seed: int, n: int, tries: int = 3000) -> list[tuple[int, int, int]]:
    """Up to `n` moves (vm, pm, variant), each legal when its turn comes by the slow rules."""
    rng = np.random.default_rng(seed)
    moves: list[tuple[int, int, int]] = []
    for _ in range(tries):
        if len(moves) == n:
            break
        vm, pm = int(rng.integers(cluster.n_vms)), int(rng.integers(cluster.n_pms))
        variant = int(rng.integers(cluster.n_variants[cluster.shape_of[vm]]))
        if slow_is_legal(cluster, vm, pm, variant):
            cluster = slow_move(cluster, vm, pm, variant)
            moves.append((vm, pm, variant))
    return moves
