"""Exact rescheduling on clusters small enough to work out by hand."""

import gzip
import json
from time import perf_counter

import numpy as np
import pytest

from allocenv.core.data import data_folder
from allocenv.problems.vm.cluster import PM, VM, Cluster, Group, build_cluster
from allocenv.problems.vm.dynamics import empty_state, fill, objective
from allocenv.problems.vm.exact import bound_only, solve_exact
from allocenv.problems.vm.exact.kinds import assignment, kinds_of, moves_between
from allocenv.problems.vm.exact.lattice import lattice_of
from allocenv.problems.vm.exact.worth import grid_of, objective_of, worth_of
from allocenv.problems.vm.instances import calibrated, churned
from allocenv.problems.vm.objective import Objective, Rules, compile_rules
from allocenv.problems.vm.search.ordering import order_moves
from allocenv.problems.vm.sources import arrays_for


def cluster_of(pms: int, vms: list[tuple[int, int, int]], cores: int = 16, groups=(), **fields) -> Cluster:
    """Machines with two cells of 16 cores; VMs are (machine, cell, cores)."""
    return build_cluster(
        "made up",
        [PM(f"pm{n}", ({"cpu": cores * 1000},) * 2) for n in range(pms)],
        [
            VM(f"vm{i}", f"pm{pm}", (cell,), {"cpu": size * 1000}, **{k: v[i] for k, v in fields.items()})
            for i, (pm, cell, size) in enumerate(vms)
        ],
        groups,
    )


def rules_of(cluster: Cluster, text: str = "cpu:16", **options) -> Rules:
    return compile_rules(
        Objective.parse(text), cluster.n_cells, cluster.cell_resources, cluster.host_resources, **options
    )


# Two cells hold a VM of 8 cores each, two are free: 48 cores free, 2 chunks of 16, rate 1 - 32/48 = 1/3.
# Bringing the VMs together frees a third chunk: rate 0.
HALVES = [(0, 0, 8), (1, 0, 8)]


def test_two_halves_are_brought_together():
    cluster = cluster_of(2, HALVES)
    found = solve_exact(cluster, rules_of(cluster), 1, 5.0)
    assert found.objective == pytest.approx(0.0)
    assert found.proven
    assert found.bound == pytest.approx(0.0)
    assert (found.bin_of != cluster.bin_of).sum() + (found.variant_of != cluster.variant_of).sum() == 1


def test_no_moves_leave_everything_as_it_is():
    cluster = cluster_of(2, HALVES)
    found = solve_exact(cluster, rules_of(cluster), 0, 5.0)
    assert found.objective == pytest.approx(1 / 3)
    assert found.proven
    assert (found.bin_of == cluster.bin_of).all()


def test_no_more_moves_are_made_than_gain_anything():
    cluster = cluster_of(2, HALVES)
    found = solve_exact(cluster, rules_of(cluster), 2, 5.0)
    assert ((found.bin_of != cluster.bin_of) | (found.variant_of != cluster.variant_of)).sum() == 1


def test_a_move_that_costs_more_than_it_gains_is_not_made():
    cluster = cluster_of(2, HALVES, cost=[3.0, 3.0])
    # a chunk gains 1, the move costs 0.5 * 3 = 1.5 chunks
    found = solve_exact(cluster, rules_of(cluster, move_price=0.5), 2, 5.0)
    assert found.proven
    assert found.value == pytest.approx(1 / 3)
    # at 0.1 * 3 it pays: a chunk is worth 16/48
    found = solve_exact(cluster, rules_of(cluster, move_price=0.1), 2, 5.0)
    assert found.value == pytest.approx(0.3 * 16 / 48)
    assert found.objective == pytest.approx(0.0)


def test_the_cheaper_of_two_vms_moves():
    cluster = cluster_of(2, HALVES, cost=[1.0, 0.5])
    found = solve_exact(cluster, rules_of(cluster, move_price=0.1), 2, 5.0)
    assert (found.bin_of[0], found.variant_of[0]) == (0, 0)
    assert found.bin_of[1] == 0


def test_vms_that_may_not_move_stay():
    cluster = cluster_of(2, HALVES, movable=[False, False])
    found = solve_exact(cluster, rules_of(cluster), 2, 5.0)
    assert found.proven
    assert found.objective == pytest.approx(1 / 3)
    assert bound_only(cluster, rules_of(cluster), 2, 5.0) == pytest.approx(1 / 3)


def test_a_group_keeps_its_members_apart():
    cluster = cluster_of(2, HALVES, groups=[Group(("vm0", "vm1"))])
    assert solve_exact(cluster, rules_of(cluster), 2, 5.0).objective == pytest.approx(1 / 3)
    cluster = cluster_of(2, HALVES, groups=[Group(("vm0", "vm1"), limit=2)])
    assert solve_exact(cluster, rules_of(cluster), 2, 5.0).objective == pytest.approx(0.0)


def test_a_chunk_that_needs_two_moves_is_found():
    # vm0 and vm1 (4 cores each) share a cell with 8 free; cells with 4 free each take one of them.
    # Free: 8 + 4 + 4 + 0 = 16 in no whole chunk; afterwards 16 + 0 + 0 + 0.
    cluster = cluster_of(2, [(0, 0, 4), (0, 0, 4), (0, 1, 12), (1, 0, 12), (1, 1, 16)])
    assert solve_exact(cluster, rules_of(cluster), 1, 5.0).objective == pytest.approx(1.0)
    assert solve_exact(cluster, rules_of(cluster), 2, 5.0).objective == pytest.approx(0.0)


def test_the_fewest_moves_to_a_goal_are_found():
    # three pairs of halves: 6 cells half full, each pair brought together frees a chunk; 48 cores free
    cluster = cluster_of(3, [(n, cell, 8) for n in range(3) for cell in range(2)])
    # rates after 1, 2, 3 moves: 2/3, 1/3, 0
    found = solve_exact(cluster, rules_of(cluster, goal=0.4), 5, 5.0)
    assert (found.value, found.bound, found.proven) == (2, 2, True)
    assert found.objective == pytest.approx(1 / 3)


def test_a_goal_out_of_reach_gives_the_lowest_objective():
    cluster = cluster_of(3, [(n, cell, 8) for n in range(3) for cell in range(2)])
    found = solve_exact(cluster, rules_of(cluster, goal=0.0), 2, 5.0)
    assert found.proven
    assert found.value == pytest.approx(1 / 3)


def test_a_goal_already_reached_needs_no_move():
    cluster = cluster_of(2, HALVES)
    found = solve_exact(cluster, rules_of(cluster, goal=0.5), 2, 5.0)
    assert (found.value, found.bound, found.proven) == (0, 0, True)


def test_the_result_is_never_worse_than_the_start():
    cluster = cluster_of(2, HALVES)
    start = (np.array([0, 0], np.int32), np.array([0, 0], np.int32))
    found = solve_exact(cluster, rules_of(cluster), 1, 0.0, start)
    assert found.objective == pytest.approx(0.0)
    assert found.bound <= found.value


@pytest.mark.parametrize(
    ("bin_of", "message"),
    [([1, 0], "at most 1 VMs"), ([0, 0], "within its capacity")],
)
def test_a_start_that_breaks_the_rules_is_refused(bin_of, message):
    cluster = cluster_of(2, [(0, 0, 9), (1, 0, 10)])
    with pytest.raises(ValueError, match=message):
        solve_exact(cluster, rules_of(cluster), 1, 1.0, (np.array(bin_of), np.array([0, 0])))


def test_a_start_that_moves_a_fixed_vm_is_refused():
    cluster = cluster_of(2, HALVES, movable=[True, False])
    with pytest.raises(ValueError, match="may not move"):
        solve_exact(cluster, rules_of(cluster), 1, 1.0, (np.array([0, 0]), np.array([0, 0])))


def test_a_negative_number_of_moves_is_refused():
    cluster = cluster_of(2, HALVES)
    with pytest.raises(ValueError, match="max_moves >= 0, got -1"):
        solve_exact(cluster, rules_of(cluster), -1, 1.0)


def test_equal_vms_are_one_kind_and_counts_move_as_few_as_possible():
    cluster = cluster_of(2, [(0, 0, 4), (0, 0, 4), (1, 0, 4), (1, 1, 8)])
    kinds = kinds_of(cluster, rules_of(cluster))
    assert kinds.before.sum((1, 2)).tolist() == [3, 1]
    after = kinds.before.copy()
    after[0, 0, 0] -= 1
    after[0, 1, 0] += 1
    bin_of, variant_of = assignment(cluster, kinds, after)
    assert (bin_of != cluster.bin_of).sum() == moves_between(kinds.before, after).sum() == 1
    assert (variant_of == cluster.variant_of).all()


def test_machines_that_look_the_same_are_one_type():
    cluster = cluster_of(4, [(0, 0, 4), (1, 0, 4), (2, 1, 4)])
    rules = rules_of(cluster)
    lattice = lattice_of(cluster, rules, worth_of(cluster, rules), kinds_of(cluster, rules))
    assert lattice.types[0] == lattice.types[1]
    assert len(set(lattice.types.tolist())) == 3
    assert lattice.limit.tolist() == [4, 0]  # 16 cores in steps of 4


def test_three_cells_have_no_lattice_but_are_solved():
    pms = [PM(f"pm{n}", ({"cpu": 4000},) * 3) for n in range(2)]
    vms = [VM(f"vm{n}", f"pm{n}", (n,), {"cpu": 2000}) for n in range(2)]
    cluster = build_cluster("made up", pms, vms)
    rules = rules_of(cluster, "cpu:4")
    assert lattice_of(cluster, rules, worth_of(cluster, rules), kinds_of(cluster, rules)) is None
    assert bound_only(cluster, rules, 1, 5.0) == -np.inf
    found = solve_exact(cluster, rules, 1, 10.0)
    # 20 cores free; at first 4 chunks, then 5
    assert (found.objective, found.proven) == (pytest.approx(0.0), True)


def test_gains_know_their_common_step():
    assert grid_of(np.array([1.0, 0.5, 0.25])) == 0.25
    assert grid_of(np.array([1.0, 2 / 3])) == pytest.approx(1 / 3)
    assert grid_of(np.array([1.0, np.sqrt(2)])) == 0.0


def test_an_objective_is_to_the_last_bit_the_environments():
    cluster = cluster_of(3, [(0, 0, 3), (1, 1, 7), (2, 0, 5)])
    rules = rules_of(cluster, "0.7*cpu:16 + 0.3*cpu:8x2 + 0.1*empty")
    state = empty_state(1, arrays_for(cluster, cluster.n_vms)._replace(terms=2))
    fill(state, rules, 0, cluster, 1)
    assert objective_of(cluster, rules, cluster.bin_of, cluster.variant_of) == objective(state, 0)


def snapshot(name: str) -> Cluster:
    folder = data_folder()
    if folder is None:
        pytest.skip("needs the real data in $ALLOCENV_DATA or ../shared/data")
    with gzip.open(folder / f"vm/bytedance/{name}.json.gz") as file:
        content = json.load(file)
    pms, vms = [], []
    for part in content["cluster_list"]:
        for pm in part["host_info"]:
            cells = [{"cpu": int(c["total_cpu"] * 1000), "memory": int(c["memory_huge_total_mb"])} for c in pm["numa"]]
            pms.append(PM(pm["node_id"], tuple(cells)))
        for vm in part["vm_instance"]:
            takes = {"cpu": int(vm["numa"][0]["cpu"] * 1000), "memory": int(vm["numa"][0]["mem_mb"])}
            vms.append(VM(vm["instance_id"], vm["host_id"], tuple(c["node"] for c in vm["numa"]), takes))
    return build_cluster(name, pms, vms)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "max_moves", "rate"),
    # 0.5713 and 0.5500 are also what CP-SAT proves, facts/vm_rescheduling.md, section 8
    [("medium", 100, 0.2884), ("large", 50, 0.5713), ("large", 100, 0.5500)],
)
def test_the_optimum_of_a_real_cluster_is_proven(name, max_moves, rate):
    cluster = snapshot(name)
    found = solve_exact(cluster, rules_of(cluster), max_moves, 60.0)
    assert found.proven
    assert found.objective == pytest.approx(rate, abs=5e-5)
    assert (cluster.moved(found.bin_of, found.variant_of).used <= cluster.capacity).all()


@pytest.mark.data
@pytest.mark.parametrize("seed", [1000, 1001])
@pytest.mark.parametrize("max_moves", [10, 50])
def test_the_optimum_of_a_churned_cluster_is_proven_and_can_be_put_in_order(seed, max_moves):
    cluster = churned(snapshot("medium"), np.random.default_rng(seed))
    rules = rules_of(cluster)
    found = solve_exact(cluster, rules, max_moves, 60.0)
    assert found.proven
    moves = order_moves(cluster, rules, found.bin_of, found.variant_of, max_moves)
    bin_of, variant_of = cluster.bin_of.copy(), cluster.variant_of.copy()
    bin_of[moves[:, 0]], variant_of[moves[:, 0]] = moves[:, 1], moves[:, 2]
    assert objective_of(cluster, rules, bin_of, variant_of) == pytest.approx(found.objective)


def test_the_time_limit_is_kept():
    cluster = calibrated(100, np.random.default_rng(0))
    rules = rules_of(cluster, "0.7*cpu:16 + 0.3*cpu:64x2")
    solve_exact(cluster, rules, 20, 1.0)  # imports and compiled code are there from now on
    began = perf_counter()
    found = solve_exact(cluster, rules, 20, 1.5)
    assert perf_counter() - began < 4.0  # a generous margin for busy machines
    assert found.bound <= found.value
