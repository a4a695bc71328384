"""Waves: at once within, one after the other between, the same in the end."""

import numpy as np
import pytest
from slow_replay import slow_is_legal, slow_move
from small_clusters import random_cluster, random_moves

from allocenv.problems.vm.cluster import PM, VM, Group, build_cluster
from allocenv.problems.vm.objective import Objective, compile_rules
from allocenv.problems.vm.waves import waves_of


def waves(cluster, steps, **caps) -> list[int]:
    rules = compile_rules(Objective.parse("cpu:16"), cluster.n_cells, cluster.cell_resources, cluster.host_resources)
    return waves_of(cluster, rules, steps, **caps)


def three_hosts(groups=()):
    """Hosts a, b, c of 8 cores: a holds two VMs of 4, b one of 4, c none."""
    pms = [PM(name, ({"cpu": 8000},)) for name in "abc"]
    vms = [
        VM("a1", "a", (0,), {"cpu": 4000}),
        VM("a2", "a", (0,), {"cpu": 4000}),
        VM("b1", "b", (0,), {"cpu": 4000}),
    ]
    return build_cluster("x", pms, vms, groups)


def test_a_move_into_room_that_another_leaves_comes_a_wave_later() -> None:
    # b1 moves to a, where a1 must have left first.
    assert waves(three_hosts(), [(0, 2, 0), (2, 0, 0)]) == [1, 2]


def test_independent_moves_share_a_wave_up_to_the_cap() -> None:
    steps = [(0, 1, 0), (1, 2, 0)]  # a1 -> b, a2 -> c
    assert waves(three_hosts(), steps) == [1, 1]
    assert waves(three_hosts(), steps, wave_cap=1) == [1, 2]
    assert waves(three_hosts(), steps, host_cap=1) == [1, 2]  # both leave a


def test_one_vm_moves_once_a_wave() -> None:
    assert waves(three_hosts(), [(0, 1, 0), (0, 2, 0)]) == [1, 2]


def test_two_of_a_group_do_not_set_out_for_one_host_at_once() -> None:
    # b1 leaves b, then a1 may come; c takes one of the two only.
    cluster = three_hosts([Group(("a1", "b1"))])
    assert waves(cluster, [(2, 2, 0), (0, 1, 0)]) == [1, 2]


def test_a_move_does_not_overtake_one_that_it_would_hinder() -> None:
    # a1 -> c, b1 -> a (waits for a1), a2 -> c: touches a, where b1's move is still due.
    assert waves(three_hosts(), [(0, 2, 0), (2, 0, 0), (1, 2, 0)]) == [1, 2, 2]


def test_a_change_of_node_on_a_full_host_is_a_wave_of_its_own() -> None:
    pms = [PM("a", ({"cpu": 8000},) * 2, {"gpu": 1000}), PM("b", ({"cpu": 8000},) * 2)]
    vms = [VM("v", "a", (0,), {"cpu": 4000}, {"gpu": 1000}), VM("w", "b", (0,), {"cpu": 4000})]
    cluster = build_cluster("x", pms, vms)
    assert waves(cluster, [(0, 0, 1), (1, 0, 0)]) == [1, 2]  # the only GPU cannot be held twice


@pytest.mark.parametrize("caps", [(1, 1), (3, 1), (5, 2), (100, 100)])
@pytest.mark.parametrize("n_cells", [1, 2])
def test_waves_are_legal_in_any_order_and_lead_to_the_same_end(caps: tuple[int, int], n_cells: int) -> None:
    longest = 0
    for seed in range(8):
        start = random_cluster(seed, n_pms=8, n_vms=40, n_cells=n_cells)
        steps = random_moves(start, seed, 14)
        found = waves(start, steps, wave_cap=caps[0], host_cap=caps[1])
        end = start
        for step in steps:
            end = slow_move(end, *step)
        rng = np.random.default_rng(seed)
        now = start
        for wave in range(1, max(found) + 1):
            mine = [i for i, w in enumerate(found) if w == wave]
            longest = max(longest, len(mine))
            assert 1 <= len(mine) <= caps[0]
            hosts = [pm for i in mine for pm in {int(now.bin_of[steps[i][0]]), steps[i][1]}]
            assert max(hosts.count(pm) for pm in hosts) <= caps[1]
            assert len({steps[i][0] for i in mine}) == len(mine)
            held = now.used.copy()
            for i in mine:
                vm, pm, variant = steps[i]
                held[:, pm] += now.demand[now.shape_of[vm], variant]
            assert len(mine) == 1 or (held <= now.capacity).all()  # both places held, all at once
            for i in rng.permutation(mine):
                assert slow_is_legal(now, *steps[i])
                now = slow_move(now, *steps[i])
        assert np.array_equal(now.bin_of, end.bin_of)
        assert np.array_equal(now.variant_of, end.variant_of)
    assert longest > 1 or caps[0] == 1


def test_caps_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        waves(three_hosts(), [(0, 1, 0)], wave_cap=0)
