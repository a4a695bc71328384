"""Whether exact rescheduling finds what trying everything finds, on small random clusters."""

import numpy as np
import pytest
import vm_brute_force as brute
from vm_crowded_clusters import crowded_cluster, rules_of
from vm_examples import random_cluster

from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.exact import bound_only, solve_exact
from allocenv.problems.vm.exact import solve as solve_module
from allocenv.problems.vm.exact.worth import objective_of
from allocenv.problems.vm.objective import Rules

SECONDS = 20.0
OBJECTIVES = ["cpu:4", "cpu:4x2", "0.7*cpu:4 + 0.3*cpu:8x2", "memory:3", "0.5*cpu:4 + 0.5*memory:4", "empty",
              "cpu:3 + 0.5*empty", "cpu:4"]  # fmt: skip


def places(result) -> brute.Places:
    return tuple(zip(result.bin_of.tolist(), result.variant_of.tolist(), strict=True))


def case(seed: int) -> tuple[Cluster, str, float, int]:
    """A cluster, an objective, a price of moves and a limit of moves."""
    cluster = crowded_cluster(seed, cells=1 + (seed % 4 > 0) + (seed % 7 == 6), tied_memory=seed % 3 == 0)
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


@pytest.mark.parametrize("seed", range(30))
def test_exact_finds_the_best_assignment_with_resources_of_the_machine(seed):
    cluster = random_cluster(np.random.default_rng(seed), 2 + seed % 2, 5, 1 + (seed % 5 > 0) + (seed % 11 == 10))
    objective = ["cpu:16", "cpu:16x2", "disk:4", "cpu:16 + disk:4", "0.7*cpu:8 + 0.3*memory:16"][seed % 5]
    expect_best(cluster, rules_of(cluster, objective), 1 + seed % 3)


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
