"""Whether exact rescheduling finds what trying everything finds, on small random clusters."""

import numpy as np
import pytest
import vm_brute_force as brute

from allocenv.problems.vm.cluster import PM, VM, Cluster, Group, build_cluster
from allocenv.problems.vm.exact import bound_only, solve_exact
from allocenv.problems.vm.exact import solve as solve_module
from allocenv.problems.vm.exact.worth import objective_of
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
                f"vm{i}", f"pm{pm}", tuple(where), {"cpu": int(need[0]) * 1000, "memory": int(need[1]) * 1024},
                movable=rng.random() > 0.1, cost=float(rng.integers(1, 4)), may_run_on=pinned,
            )  # fmt: skip
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


def case(seed: int) -> tuple[Cluster, str, float, int]:
    """A cluster, an objective, a price of moves and a limit of moves."""
    cluster = random_cluster(seed, cells=1 + (seed % 4 > 0) + (seed % 7 == 6), tied_memory=seed % 3 == 0)
    price = 0.3 if seed % 5 == 0 else 0.0
    return cluster, OBJECTIVES[seed % len(OBJECTIVES)], price, 1 + seed % 3


def expect_best(cluster: Cluster, rules: Rules, max_moves: int) -> None:
    found = solve_exact(cluster, rules, max_moves, SECONDS)
    assignments = brute.after_displacing(cluster, max_moves)
    best = brute.lowest(cluster, rules, assignments)
    assert found.proven
    assert found.value == pytest.approx(best, abs=1e-9)
    assert found.bound == pytest.approx(best, abs=1e-9)
    assert found.objective == pytest.approx(brute.objective(cluster, rules, places(found)), abs=1e-9)
    assert places(found) in assignments


@pytest.mark.parametrize("seed", range(60))
def test_exact_finds_the_best_assignment(seed):
    cluster, objective, price, max_moves = case(seed)
    expect_best(cluster, rules_of(cluster, objective, move_price=price), max_moves)


@pytest.mark.parametrize("seed", range(100, 116))
def test_the_full_model_alone_finds_the_best_assignment(seed, monkeypatch):
    monkeypatch.setattr(solve_module, "lattice_of", lambda *_: None)
    cluster, objective, price, max_moves = case(seed)
    expect_best(cluster, rules_of(cluster, objective, move_price=price), max_moves)


@pytest.mark.parametrize("seed", range(200, 230))
def test_the_bound_of_columns_is_never_above_the_best_assignment(seed):
    cluster, objective, price, max_moves = case(seed)
    rules = rules_of(cluster, objective, move_price=price)
    best = brute.lowest(cluster, rules, brute.after_displacing(cluster, max_moves))
    assert bound_only(cluster, rules, max_moves, SECONDS) <= best + 1e-9


@pytest.mark.parametrize("seed", range(300, 330))
def test_exact_reaches_a_goal_with_the_fewest_moves(seed):
    cluster, objective, _, max_moves = case(seed)
    assignments = brute.after_displacing(cluster, max_moves)
    values = sorted({brute.objective(cluster, rules_of(cluster, objective), p) for p in assignments})
    goal = values[len(values) // 3] + 1e-9
    rules = rules_of(cluster, objective, goal=goal)
    found = solve_exact(cluster, rules, max_moves, SECONDS)
    assert found.proven
    assert found.value == brute.fewest(cluster, rules, assignments)
    assert found.objective <= goal


@pytest.mark.parametrize("seed", range(400, 420))
def test_no_sequence_of_moves_is_better_than_exact(seed):
    # the other way round it is not so: a cycle of moves may need a helper move
    cluster, objective, price, max_moves = case(seed)
    rules = rules_of(cluster, objective, move_price=price)
    best = brute.lowest(cluster, rules, brute.after_sequences(cluster, max_moves))
    assert solve_exact(cluster, rules, max_moves, SECONDS).value <= best + 1e-9


@pytest.mark.parametrize("seed", range(500, 530))
def test_exact_values_assignments_as_the_environment_does(seed):
    cluster, objective, _, _ = case(seed)
    rules = rules_of(cluster, objective)
    assert objective_of(cluster, rules, cluster.bin_of, cluster.variant_of) == pytest.approx(
        brute.objective(cluster, rules, brute.home(cluster)), abs=1e-12
    )
