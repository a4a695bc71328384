"""Whether the baselines keep the rules, and do what they are known for."""

import numpy as np
import pytest
import vm_brute_force as brute
from vm_crowded_clusters import crowded_cluster, rules_of

from allocenv.problems.vm import baselines
from allocenv.problems.vm.baselines.placement import Placement
from allocenv.problems.vm.cluster import PM, VM, Cluster, build_cluster
from allocenv.problems.vm.exact.worth import objective_of
from allocenv.problems.vm.instances import calibrated

EVERY = [getattr(baselines, name) for name in baselines.__all__]
OBJECTIVES = ["cpu:4", "cpu:4x2", "0.5*cpu:4 + 0.5*memory:4", "cpu:3 + 0.5*empty"]


def replayed(cluster: Cluster, moves: np.ndarray) -> brute.Places:
    """Where the VMs are after the moves, each of which is checked."""
    places = brute.home(cluster)
    for vm, pm, variant in moves.tolist():
        assert places[vm] != (pm, variant)
        assert brute.may_move(cluster, vm)
        assert brute.may_be(cluster, places, vm, pm, variant)
        places = (*places[:vm], (pm, variant), *places[vm + 1 :])
    return places


@pytest.mark.parametrize("baseline", EVERY)
@pytest.mark.parametrize("seed", range(12))
def test_every_move_is_legal_and_the_objective_does_not_rise(baseline, seed):
    cluster = crowded_cluster(seed, cells=1 + (seed % 3 > 0), tied_memory=seed % 2 == 0)
    rules = rules_of(cluster, OBJECTIVES[seed % 4])
    moves = baseline(cluster, rules, 3, 1.0, np.random.default_rng(seed))
    assert moves.dtype == np.int32
    assert moves.shape[1] == 3
    assert len(moves) <= 3
    after = brute.objective(cluster, rules, replayed(cluster, moves))
    assert after <= brute.objective(cluster, rules, brute.home(cluster)) + 1e-9


@pytest.mark.parametrize("baseline", EVERY)
def test_the_same_seed_gives_the_same_moves(baseline):
    cluster = calibrated(20, np.random.default_rng(1))
    rules = rules_of(cluster, "cpu:16")
    first, second = (baseline(cluster, rules, 6, 30.0, np.random.default_rng(5)) for _ in range(2))
    assert first.tolist() == second.tolist()


@pytest.mark.parametrize("baseline", EVERY)
def test_a_cluster_that_cannot_be_improved_is_left_alone(baseline):
    cluster = build_cluster("made up", [PM("a", ({"cpu": 4000},)), PM("b", ({"cpu": 4000},))], [])
    assert len(baseline(cluster, rules_of(cluster, "cpu:4"), 5, 1.0, np.random.default_rng(0))) == 0


def rate_after(baseline, cluster: Cluster, max_moves: int, **options) -> float:
    rules = rules_of(cluster, "cpu:16")
    moves = baseline(cluster, rules, max_moves, 30.0, np.random.default_rng(0), **options)
    bin_of, variant_of = cluster.bin_of.copy(), cluster.variant_of.copy()
    for vm, pm, variant in moves:
        bin_of[vm], variant_of[vm] = pm, variant
    return objective_of(cluster, rules, bin_of, variant_of)


def test_beam_search_goes_on_where_single_moves_gain_nothing():
    # two VMs of 4 cores have to leave a cell before it has 16 free (facts: greedy is stuck)
    pms = [PM(f"pm{n}", ({"cpu": 16000}, {"cpu": 16000})) for n in range(2)]
    sizes = [(0, 0, 4), (0, 0, 4), (0, 1, 12), (1, 0, 12), (1, 1, 16)]
    vms = [VM(f"vm{i}", f"pm{n}", (k,), {"cpu": c * 1000}) for i, (n, k, c) in enumerate(sizes)]
    cluster = build_cluster("made up", pms, vms)
    assert rate_after(baselines.filter_score, cluster, 2) == pytest.approx(1.0)
    assert rate_after(baselines.beam, cluster, 2) == pytest.approx(0.0)


def test_a_wider_beam_beats_filter_and_score():
    cluster = calibrated(60, np.random.default_rng(2))
    assert rate_after(baselines.beam, cluster, 12, width=64) < rate_after(baselines.filter_score, cluster, 12)


def test_one_part_of_pop_is_the_whole_optimum():
    cluster = calibrated(30, np.random.default_rng(3))
    whole = rate_after(baselines.pop, cluster, 8, parts=1)
    assert whole <= rate_after(baselines.pop, cluster, 8, parts=4) + 1e-9
    assert whole <= rate_after(baselines.beam, cluster, 8) + 1e-9


def test_leaving_and_coming_back_gains_nothing():
    cluster = crowded_cluster(3)
    now = Placement(cluster, rules_of(cluster, "cpu:4"))
    leave = now.leave_gains()
    for vm in np.flatnonzero(np.isfinite(leave)):
        pm, variant = int(cluster.bin_of[vm]), int(cluster.variant_of[vm])
        now.take(int(vm))
        back = now.entry_gains(int(vm))[pm, variant]
        assert not np.isfinite(back) or leave[vm] + back == pytest.approx(0.0)
        now.put(int(vm), pm, variant)
    assert (now.free == cluster.capacity - cluster.used).all()
