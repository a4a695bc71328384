"""Plans in an order in which every step is legal."""

import numpy as np
import vm_reference as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from vm_examples import random_cluster, two_node_cluster

from allocenv.problems.vm.objective import Objective, compile_rules
from allocenv.problems.vm.search.ordering import order_moves


def rules_for(cluster, objective="cpu:16"):
    return compile_rules(Objective.parse(objective), cluster.n_cells, cluster.cell_resources, cluster.host_resources)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1))
def test_any_target_is_approached_by_legal_steps(seed):
    rng = np.random.default_rng(seed)
    cluster = random_cluster(rng, n_pms=3, n_vms=7, n_cells=int(rng.integers(1, 3)))
    bin_of, variant_of = cluster.bin_of.copy(), cluster.variant_of.copy()
    for _ in range(int(rng.integers(1, 8))):
        moves = reference.legal_moves(cluster, bin_of, variant_of)
        if not moves:
            break
        vm, pm, variant = moves[rng.integers(len(moves))]
        bin_of[vm], variant_of[vm] = pm, variant
    n = len(reference.displaced_vms(cluster, bin_of, variant_of))
    budget = None if rng.random() < 0.5 else int(rng.integers(n + 3))
    moves = order_moves(cluster, rules_for(cluster), bin_of, variant_of, budget)
    assert len(moves) <= (n if budget is None else budget)
    after = reference.replay(cluster, moves)
    if budget is not None and budget >= 2 * n:  # room for every VM to step aside once
        assert kinds_at(cluster, *after) == kinds_at(cluster, bin_of, variant_of)


def kinds_at(cluster, bin_of, variant_of):
    """Which kinds of VM are where."""
    return sorted(
        (
            int(cluster.shape_of[vm]), int(cluster.class_of[vm]), float(cluster.cost[vm]),
            *cluster.group_of[vm].tolist(), bool(cluster.movable[vm]), int(bin_of[vm]), int(variant_of[vm]),
        )
        for vm in range(cluster.n_vms)
    )  # fmt: skip


def test_interchangeable_vms_that_would_trade_places_stay():
    cluster = two_node_cluster(2, [(0, (0,), 8), (1, (0,), 8), (1, (1,), 4)])
    moves = order_moves(cluster, rules_for(cluster), np.array([1, 0, 0]), np.array([0, 0, 1]))
    assert moves.tolist() == [[2, 0, 1]]


def test_of_interchangeable_vms_in_a_row_only_one_moves():
    # 0 -> where 1 is, 1 -> where 2 is, 2 -> to an empty machine: one 8 goes there from the first machine.
    cluster = two_node_cluster(4, [(0, (0,), 8), (1, (0,), 8), (2, (0,), 8)])
    moves = order_moves(cluster, rules_for(cluster), np.array([1, 2, 3]), np.zeros(3, int))
    assert len(moves) == 1
    bin_of, _ = reference.replay(cluster, moves)
    assert sorted(bin_of.tolist()) == [1, 2, 3]


def test_a_move_waits_until_its_room_is_free():
    # Machine 1's node 0 is full until its 44 leaves for machine 2.
    cluster = two_node_cluster(3, [(0, (0,), 8), (1, (0,), 44)])
    moves = order_moves(cluster, rules_for(cluster), np.array([1, 2]), np.array([0, 0]))
    assert moves.tolist() == [[1, 2, 0], [0, 1, 0]]


def test_a_vm_steps_aside_where_two_block_each_other_and_the_budget_allows():
    # A 30 and a 40 trade nodes of full machines; only machine 2 has room meanwhile.
    cluster = two_node_cluster(3, [(0, (0,), 30), (0, (1,), 44), (1, (0,), 40), (1, (1,), 44)], cores=44)
    target = np.array([1, 0, 0, 1]), np.array([0, 1, 0, 1])
    moves = order_moves(cluster, rules_for(cluster), *target, max_moves=3)
    assert len(moves) == 3
    bin_of, variant_of = reference.replay(cluster, moves)
    assert (bin_of.tolist(), variant_of.tolist()) == (target[0].tolist(), target[1].tolist())


def test_a_move_is_given_up_where_two_block_each_other_and_no_move_is_left():
    cluster = two_node_cluster(2, [(0, (0,), 30), (0, (1,), 44), (1, (0,), 40), (1, (1,), 44)], cores=44)
    moves = order_moves(cluster, rules_for(cluster), np.array([1, 0, 0, 1]), np.array([0, 1, 0, 1]), max_moves=5)
    assert len(moves) == 0


def test_gains_come_first():
    # 0's leaving completes a chunk (44 - 36 + 8 = 16 free); 1's leaving completes none.
    cluster = two_node_cluster(3, [(0, (0,), 8), (1, (0,), 8), (0, (0,), 28), (1, (0,), 4), (2, (0,), 28)])
    moves = order_moves(cluster, rules_for(cluster), np.array([2, 2, 0, 1, 2]), np.array([0, 0, 0, 0, 0]))
    assert moves[:, 0].tolist() == [0, 1]
