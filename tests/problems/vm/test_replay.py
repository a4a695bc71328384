"""The replay of moves agrees with its slow twin."""

import numpy as np
import pytest
from slow_replay import slow_is_legal, slow_move, slow_objective
from small_clusters import random_cluster, random_moves

from allocenv.problems.vm.cluster import PM, VM, Group, build_cluster
from allocenv.problems.vm.objective import Objective, Rules, compile_rules
from allocenv.problems.vm.replay import (
    ALREADY_THERE,
    ANTI_AFFINITY,
    HOST_DISABLED,
    NO_ROOM,
    NOT_MOVABLE,
    NOT_PERMITTED,
    Replay,
    chunks,
    objective_of,
)

MIXTURE = "0.5*cpu:16 + 0.3*cpu:32x2 + 0.2*memory:24 + 0.1*gpu:2 + 0.4*empty"


def rules_of(cluster, text: str) -> Rules:
    return compile_rules(Objective.parse(text), cluster.n_cells, cluster.cell_resources, cluster.host_resources)


@pytest.mark.parametrize("text", ["cpu:16", "cpu:16x2", "gpu:3", "empty", MIXTURE])
@pytest.mark.parametrize("n_cells", [1, 2, 4])
def test_the_objective_is_that_of_the_slow_twin_after_every_move(text: str, n_cells: int) -> None:
    for seed in range(3):
        cluster = random_cluster(seed, n_cells=n_cells)
        rules = rules_of(cluster, text)
        replay = Replay(cluster, rules)
        for vm, pm, variant in random_moves(cluster, seed, 8):
            assert replay.objective() == pytest.approx(slow_objective(cluster, rules), abs=1e-12)
            cluster = slow_move(cluster, vm, pm, variant)
            replay.move(vm, pm, variant)
        assert replay.objective() == pytest.approx(slow_objective(cluster, rules), abs=1e-12)
        assert np.array_equal(replay.free, cluster.capacity - cluster.used)


@pytest.mark.parametrize("seed", range(6))
def test_a_move_is_legal_exactly_where_the_slow_twin_says_so(seed: int) -> None:
    cluster = random_cluster(seed, n_vms=30)
    replay = Replay(cluster, rules_of(cluster, "cpu:16"))
    for vm, pm, variant in random_moves(cluster, seed, 3):
        cluster = slow_move(cluster, vm, pm, variant)
        replay.move(vm, pm, variant)
    legal = 0
    for vm in range(cluster.n_vms):
        for pm in range(cluster.n_pms):
            for variant in range(int(cluster.n_variants[cluster.shape_of[vm]])):
                assert (replay.obstacle(vm, pm, variant) is None) == slow_is_legal(cluster, vm, pm, variant)
                legal += replay.obstacle(vm, pm, variant) is None
    assert legal > 20


def test_two_node_chunks_pair_different_cells() -> None:
    # Halves of 8 free in four cells: 5, 1, 1, 0. Sum 7 -> at most 3 pairs, but only 7 - 5 = 2 partners.
    cluster = build_cluster("x", [PM("a", tuple({"cpu": 1000 * c} for c in (43, 8, 15, 7)))], [])
    rules = rules_of(cluster, "cpu:16x2")
    assert chunks(cluster.capacity.astype(np.int64), rules).tolist() == [[2]]
    # 73 cores free, 2 chunks of 16 used: 1 - 32/73
    assert objective_of(cluster, rules) == pytest.approx(1 - 32 / 73)


def test_an_empty_share_of_nothing_free_is_no_fragment() -> None:
    pms = [PM("a", ({"cpu": 4000},))]
    cluster = build_cluster("x", pms, [VM("v", "a", (0,), {"cpu": 4000})])
    assert objective_of(cluster, rules_of(cluster, "cpu:16")) == 0.0


def test_each_obstacle_says_what_it_is() -> None:
    pms = [
        PM("a", ({"cpu": 8000, "memory": 8192},) * 2, rack="r"),
        PM("b", ({"cpu": 8000, "memory": 8192},) * 2, {"gpu": 1000}, rack="r"),
        PM("off", ({"cpu": 8000, "memory": 8192},) * 2, active=False),
    ]
    vms = [
        VM("big", "a", (0,), {"cpu": 6000, "memory": 1024}),
        VM("two", "b", (0, 1), {"cpu": 4000, "memory": 1024}),
        VM("gpu", "b", (1,), {"cpu": 1000, "memory": 0}, {"gpu": 1000}),
        VM("fixed", "a", (1,), {"cpu": 1000, "memory": 0}, movable=False),
        VM("home", "a", (1,), {"cpu": 1000, "memory": 0}, may_run_on=frozenset(["a"])),
        VM("twin", "b", (1,), {"cpu": 1000, "memory": 0}),
    ]
    cluster = build_cluster("x", pms, vms, [Group(("home", "twin")), Group(("big", "gpu"), "rack")])
    replay = Replay(cluster, rules_of(cluster, "cpu:4"))
    vm = {name: i for i, name in enumerate(cluster.vm_ids)}
    cases = [
        (("big", 0, 0), ALREADY_THERE, "big is on a node 0 already"),
        (("big", 2, 0), HOST_DISABLED, "off is not active"),
        (("fixed", 1, 0), NOT_MOVABLE, "fixed may not be moved"),
        (("home", 1, 0), NOT_PERMITTED, "home may not run on b"),
        (("two", 0, 0), NO_ROOM, "a lacks 2 cores on node 0"),  # 4 wanted, 8 - 6 free
        (("gpu", 0, 0), NO_ROOM, "a lacks 1 gpu"),
        (("twin", 0, 0), ANTI_AFFINITY, "a holds 1 of its anti-affinity group, at most 1"),
    ]
    for (name, pm, variant), status, detail in cases:
        obstacle = replay.obstacle(vm[name], pm, variant)
        assert obstacle is not None
        assert obstacle == (status, detail)
    assert replay.obstacle(vm["big"], 1, 0) is not None  # the rack holds `gpu` of its group
    assert replay.obstacle(vm["twin"], 1, 0) is None  # its own host: only the other node is new
