"""Small clusters in which capacity, memory and anti-affinity bind, and VMs of equal shape are common."""

import numpy as np

from allocenv.problems.vm.cluster import PM, VM, Cluster, Group, build_cluster
from allocenv.problems.vm.objective import Objective, Rules, compile_rules


def crowded_cluster(seed: int, cells: int = 2, tied_memory: bool = False) -> Cluster:
    """2 to 4 machines and about 6 VMs, with everything a cluster can have."""
    rng = np.random.default_rng(seed)
    n_pms = int(rng.integers(2, 5))
    room = {"cpu": int(rng.integers(5, 9)), "memory": int(rng.integers(6, 11))}
    pms = [
        PM(
            f"pm{n}",
            tuple({"cpu": room["cpu"] * 1000, "memory": room["memory"] * 1024} for _ in range(cells)),
            active=n == 0 or rng.random() > 0.15,
            rack=f"rack{n % 2}",
        )
        for n in range(n_pms)
    ]
    left = np.tile([room["cpu"], room["memory"]], (n_pms, cells, 1))
    vms: list[VM] = []
    for i in range(40):
        if len(vms) == 6:
            break
        nodes = int(rng.integers(1, 3)) if cells > 1 and rng.random() < 0.4 else 1
        cpu = int(rng.integers(1, 4))
        need = np.array([cpu, cpu if tied_memory else int(rng.integers(1, 5))])
        pm, where = int(rng.integers(n_pms)), sorted(rng.choice(cells, nodes, replace=False).tolist())
        if (left[pm, where] < need).any():
            continue
        left[pm, where] -= need
        pinned = frozenset({f"pm{pm}", f"pm{int(rng.integers(n_pms))}"}) if rng.random() < 0.15 else None
        vms.append(
            VM(
                f"vm{i}",
                f"pm{pm}",
                tuple(where),
                {"cpu": int(need[0]) * 1000, "memory": int(need[1]) * 1024},
                movable=rng.random() > 0.1,
                cost=float(rng.integers(1, 4)),
                may_run_on=pinned,
            )
        )
    groups = [
        Group(tuple(vm.id for vm in vms if rng.random() < 0.5), scope, limit=int(rng.integers(1, 3)))
        for scope in ("host", "rack")
        if rng.random() < 0.4
    ]
    return build_cluster(f"crowded {seed}", pms, vms, groups)


def rules_of(cluster: Cluster, objective: str, goal: float | None = None, move_price: float = 0.0) -> Rules:
    return compile_rules(
        Objective.parse(objective), cluster.n_cells, cluster.cell_resources, cluster.host_resources, goal, move_price
    )
