"""Whether exact rescheduling finds what trying everything finds, on small random clusters."""

import numpy as np
import pytest
import vm_brute_force as brute

from allocenv.problems.vm.cluster import PM, VM, Cluster, Group, build_cluster
from allocenv.problems.vm.exact import bound_only, solve_exact
from allocenv.problems.vm.objective import Objective, Rules, compile_rules

SECONDS = 20.0
OBJECTIVES = ["cpu:4", "cpu:4x2", "0.7*cpu:4 + 0.3*cpu:8x2", "memory:3", "0.5*cpu:4 + 0.5*memory:4", "empty",
              "cpu:3 + 0.5*empty", "cpu:4"]  # fmt: skip


def random_cluster(seed: int, cells: int = 2, tied_memory: bool = False) -> Cluster:
    """A cluster of 3 or 4 machines and about 6 VMs, with everything a cluster can have."""
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
    return build_cluster(f"random {seed}", pms, vms, groups)


def rules_of(cluster: Cluster, objective: str, goal: float | None = None, move_price: float = 0.0) -> Rules:
    return compile_rules(
        Objective.parse(objective), cluster.n_cells, cluster.cell_resources, cluster.host_resources, goal, move_price
    )


def places(result) -> brute.Places:
    return tuple(zip(result.bin_of.tolist(), result.variant_of.tolist(), strict=True))


@pytest.mark.parametrize("seed", range(40))
def test_exact_finds_the_best_assignment(seed):
    cluster = random_cluster(seed, cells=1 + (seed % 4 > 0), tied_memory=seed % 3 == 0)
    price = 0.3 if seed % 5 == 0 else 0.0
    rules = rules_of(cluster, OBJECTIVES[seed % len(OBJECTIVES)], move_price=price)
    max_moves = 1 + seed % 3
    found = solve_exact(cluster, rules, max_moves, SECONDS)
    assignments = brute.after_displacing(cluster, max_moves)
    best = brute.lowest(cluster, rules, assignments)
    assert found.proven
    assert found.value == pytest.approx(best, abs=1e-9)
    assert found.bound == pytest.approx(best, abs=1e-9)
    assert found.objective == pytest.approx(brute.objective(cluster, rules, places(found)), abs=1e-9)
    assert places(found) in assignments
    assert bound_only(cluster, rules, max_moves, SECONDS) <= best + 1e-9


def test_the_run():
    pass
