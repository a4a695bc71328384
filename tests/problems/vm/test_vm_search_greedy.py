"""Greedy makes the best single move, whatever the objective and the rules."""

import numpy as np
import pytest
import vm_reference as reference
from vm_examples import random_cluster, two_node_cluster

from allocenv.problems.vm.objective import Objective, compile_rules
from allocenv.problems.vm.search.greedy import greedy


def rules_for(cluster, objective, **options):
    return compile_rules(
        Objective.parse(objective), cluster.n_cells, cluster.cell_resources, cluster.host_resources, **options
    )


def total(cluster, rules, bin_of, variant_of):
    return reference.objective(cluster, rules, bin_of, variant_of) + reference.price(cluster, rules, bin_of, variant_of)


@pytest.mark.parametrize("objective", ["cpu:16", "cpu:16x2 + cpu:8", "empty + 0.5*memory:16 + 0.2*disk:3"])
@pytest.mark.parametrize("move_price", [0.0, 0.2])
def test_every_move_is_legal_and_the_best_there_is(objective, move_price):
    rng = np.random.default_rng(11)
    for _ in range(6):
        cluster = random_cluster(rng, n_pms=3, n_vms=7)
        rules = rules_for(cluster, objective, move_price=move_price)
        plan = greedy(cluster, rules, 6)
        bin_of, variant_of = cluster.bin_of.copy(), cluster.variant_of.copy()
        for step in range(len(plan.moves) + 1):
            now = total(cluster, rules, bin_of, variant_of)
            after = []
            for vm, pm, variant in reference.legal_moves(cluster, bin_of, variant_of):
                to_bin, to_variant = bin_of.copy(), variant_of.copy()
                to_bin[vm], to_variant[vm] = pm, variant
                after.append(total(cluster, rules, to_bin, to_variant))
            if step == len(plan.moves):
                assert step == 6 or min(after, default=now) >= now - 1e-9
                break
            vm, pm, variant = plan.moves[step]
            assert reference.is_legal(cluster, bin_of, variant_of, vm, pm, variant)
            bin_of[vm], variant_of[vm] = pm, variant
            assert total(cluster, rules, bin_of, variant_of) == pytest.approx(min(after), abs=1e-9)
        assert plan.bin_of.tolist() == bin_of.tolist()
        assert plan.objective + plan.price == pytest.approx(total(cluster, rules, bin_of, variant_of))


def test_it_stops_at_the_goal():
    # Each machine has 44 - 36 = 8 and 44 - 8 = 36 free; an 8 moved into an 8 makes 44 of 36, no chunk more; a
    # machine whose 36 cores are 28 + 8 gains one chunk (16 free) when the 8 leaves it for an 8.
    vms = [(i, (0,), 28) for i in range(4)] + [(i, (0,), 8) for i in range(4)] + [(i, (1,), 36) for i in range(4)]
    cluster = two_node_cluster(4, vms)
    free = reference.objective(cluster, rules_for(cluster, "cpu:16"), cluster.bin_of, cluster.variant_of)
    assert free == 1.0
    everything = greedy(cluster, rules_for(cluster, "cpu:16"), 10)
    assert len(everything.moves) == 4
    once = greedy(cluster, rules_for(cluster, "cpu:16", goal=0.8), 10)
    assert len(once.moves) == 1
    assert once.objective == pytest.approx(0.75)  # 64 cores free, one chunk of 16


def test_no_moves_are_made_where_none_may_be():
    cluster = two_node_cluster(2, [(0, (0,), 28)])
    assert len(greedy(cluster, rules_for(cluster, "cpu:16"), 0).moves) == 0
