"""The compact form against the definitions."""

import numpy as np
import pytest
import vm_reference as reference
from vm_examples import random_cluster, two_node_cluster

from allocenv.problems.vm.objective import Objective, compile_rules
from allocenv.problems.vm.search.compact import (
    ACTIVE,
    BIN,
    FIRST,
    NEXT,
    VARIANT,
    apply,
    compact,
    leave_gain,
    legal,
    move_gain,
    objective_at,
)

OBJECTIVES = (
    "cpu:16",
    "cpu:16x2",
    "empty",
    "0.7*cpu:8 + 0.3*memory:16",
    "cpu:8 + 0.5*cpu:12 + 0.2*disk:3 + 0.1*empty",
    "cpu:20x2 + cpu:8 + empty",
)


def rules_for(cluster, objective, **options):
    return compile_rules(
        Objective.parse(objective), cluster.n_cells, cluster.cell_resources, cluster.host_resources, **options
    )


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("n_cells", [1, 2, 3])
def test_objective_and_legality_follow_the_definitions_through_random_moves(objective, n_cells):
    rng = np.random.default_rng(n_cells)
    for _ in range(3):
        cluster = random_cluster(rng, n_pms=3, n_vms=7, n_cells=n_cells)
        rules = rules_for(cluster, objective, move_price=0.25)
        layout = compact(cluster, rules)
        bin_of, variant_of = cluster.bin_of.copy(), cluster.variant_of.copy()
        for _ in range(4):
            moves = reference.legal_moves(cluster, bin_of, variant_of)
            everything = [(vm, *place) for vm in range(cluster.n_vms) for place in reference.places(cluster, vm)]
            assert [move for move in everything if legal(layout, *move)] == moves
            if not moves:
                break
            move = moves[rng.integers(len(moves))]
            before = objective_at(layout)[0]
            gain = move_gain(layout, *move)
            apply(layout, *move)
            bin_of[move[0]], variant_of[move[0]] = move[1:]
            expected = reference.objective(cluster, rules, bin_of, variant_of)
            assert objective_at(layout) == pytest.approx(
                (expected, reference.price(cluster, rules, bin_of, variant_of)), abs=1e-12
            )
            assert before - layout.unit * gain == pytest.approx(expected, abs=1e-12)
            assert layout.vms[:, BIN].tolist() == bin_of.tolist()
            assert layout.vms[:, VARIANT].tolist() == variant_of.tolist()


def test_the_list_of_a_machine_names_its_movable_vms():
    rng = np.random.default_rng(5)
    cluster = random_cluster(rng, n_pms=3, n_vms=8)
    layout = compact(cluster, rules_for(cluster, "cpu:16"))
    for _ in range(20):
        moves = [
            (vm, pm, variant)
            for vm in range(cluster.n_vms)
            for pm, variant in reference.places(cluster, vm)
            if legal(layout, vm, pm, variant)
        ]
        apply(layout, *moves[rng.integers(len(moves))])
    for pm in range(cluster.n_pms):
        listed, vm = [], layout.pms[pm, FIRST]
        while vm >= 0:
            listed.append(vm)
            vm = layout.vms[vm, NEXT]
        assert sorted(listed) == np.flatnonzero((layout.vms[:, BIN] == pm) & layout.movable).tolist()


def test_worth_is_counted_in_chunks_of_the_most_valuable_term():
    # Free: 44 - 28 = 16, 44, 44, 44 cores: 148 in all. One chunk of 16 is worth 16 / 148 of the objective.
    cluster = two_node_cluster(2, [(0, (0,), 28)])
    layout = compact(cluster, rules_for(cluster, "cpu:16"))
    assert layout.unit == pytest.approx(16 / 148)
    assert objective_at(layout)[0] == pytest.approx(1 - 16 * (1 + 2 + 2 + 2) / 148)
    assert leave_gain(layout, 0) == 1  # 44 cores hold one chunk more than 16
    assert layout.pms[:, ACTIVE].tolist() == [1, 1]


def test_an_objective_in_too_fine_a_unit_is_refused():
    cluster = two_node_cluster(1, [(0, (0,), 1)], cores=40_000)
    with pytest.raises(ValueError, match="coarser unit"):
        compact(cluster, rules_for(cluster, "cpu:0.001"))
