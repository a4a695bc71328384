"""A plan is checked on a newer snapshot, move by move, and repaired."""

from dataclasses import replace

import numpy as np
import pytest
from slow_replay import slow_move, slow_objective
from small_clusters import random_cluster, random_moves

from allocenv.core.files import InputError
from allocenv.problems.vm.check_plan import (
    HOST_GONE,
    VM_CHANGED,
    VM_ELSEWHERE,
    VM_GONE,
    check_plan,
    repaired,
    rules_for,
)
from allocenv.problems.vm.cluster import PM, VM, Cluster, Group, build_cluster
from allocenv.problems.vm.objective import Objective, compile_rules
from allocenv.problems.vm.plan_file import Plan, make_plan
from allocenv.problems.vm.replay import (
    ALREADY_THERE,
    ANTI_AFFINITY,
    HOST_DISABLED,
    LEGAL,
    NO_ROOM,
    NOT_MOVABLE,
    NOT_PERMITTED,
)


def plan_of(cluster: Cluster, moves: list[tuple[int, int, int]], text: str = "cpu:16") -> Plan:
    rules = compile_rules(Objective.parse(text), cluster.n_cells, cluster.cell_resources, cluster.host_resources)
    return make_plan(cluster, rules, text, moves)


PMS = [PM(name, ({"cpu": 32000},) * 2, rack="r") for name in "abc"]
V = VM("v", "a", (0,), {"cpu": 2000})
REST = [VM("w", "a", (0,), {"cpu": 4000}), VM("x", "b", (0, 1), {"cpu": 8000})]
VMS = [V, *REST]


def verdict_on(pms=PMS, vms=VMS, groups=()):
    """What becomes of moving v from a to b node 1, planned on PMS and VMS, on the given cluster."""
    plan = plan_of(build_cluster("old", PMS, VMS), [(0, 1, 1)])
    return check_plan(plan, build_cluster("new", pms, vms, groups))[0]


@pytest.mark.parametrize(
    ("changes", "status", "detail"),
    [
        ({}, LEGAL, ""),
        ({"vms": REST}, VM_GONE, "v is not in new"),
        ({"vms": [replace(V, pm="c"), *REST]}, VM_ELSEWHERE, "v is on c 0, the plan found it on a"),
        (
            {"vms": [replace(V, cells=(1,)), *REST]},
            VM_ELSEWHERE,
            "v is on a 1, the plan found it on a",
        ),
        ({"vms": [replace(V, pm="b", cells=(1,)), *REST]}, ALREADY_THERE, "v is on b already"),
        (
            {"vms": [replace(V, cells=(0, 1)), *REST]},
            VM_CHANGED,
            "v takes 2 cells, the plan gives it 1",
        ),
        ({"vms": [replace(V, movable=False), *REST]}, NOT_MOVABLE, "v may not be moved"),
        (
            {"vms": [replace(V, may_run_on=frozenset("a")), *REST]},
            NOT_PERMITTED,
            "v may not run on b",
        ),
        ({"pms": [PMS[0], replace(PMS[1], active=False), PMS[2]]}, HOST_DISABLED, "b is not active"),
        ({"pms": [PMS[0], PMS[2]], "vms": VMS[:2]}, HOST_GONE, "b is not in new"),
        (
            {"vms": [*VMS, VM("y", "b", (1,), {"cpu": 23000})]},  # 32 - 8 - 23 = 1 free
            NO_ROOM,
            "b lacks 1 core on node 1",
        ),
        ({"groups": [Group(("v", "x"))]}, ANTI_AFFINITY, "b holds 1 of its anti-affinity group, at most 1"),
        ({"groups": [Group(("v", "w", "x"), "rack", 2)]}, ANTI_AFFINITY, "the rack of b holds 2 of its"),
    ],
)
def test_each_change_of_the_cluster_has_its_verdict(changes: dict, status: str, detail: str) -> None:
    verdict = verdict_on(**changes)
    assert verdict.status == status
    assert verdict.detail.startswith(detail)
    assert (verdict.renewed is not None) == verdict.legal == (status == LEGAL)


def test_a_plan_holds_on_the_snapshot_it_was_made_on() -> None:
    for seed in range(4):
        cluster = random_cluster(seed)
        plan = plan_of(cluster, random_moves(cluster, seed, 10), "cpu:16 + 0.5*empty")
        verdicts = check_plan(plan, cluster)
        assert all(verdict.legal for verdict in verdicts)
        assert repaired(plan, verdicts) == plan


def test_what_depends_on_a_skipped_move_is_skipped_too_and_the_rest_goes_on() -> None:
    pms = [PM(name, ({"cpu": 8000},)) for name in "abcd"]
    vms = [
        VM("v", "a", (0,), {"cpu": 8000}),
        VM("w", "b", (0,), {"cpu": 8000}),
        VM("x", "d", (0,), {"cpu": 4000}),
        VM("y", "d", (0,), {"cpu": 2000}),
    ]
    # v to c makes room for w on a; then x to b, y to b.
    plan = plan_of(build_cluster("old", pms, vms), [(0, 2, 0), (1, 0, 0), (2, 1, 0), (3, 1, 0)], "cpu:4")
    # Now c is disabled, so v stays, w has no room on a, b stays full: x and y have no room either.
    off = [*pms[:2], PM("c", ({"cpu": 8000},), active=False), pms[3]]
    verdicts = check_plan(plan, build_cluster("new", off, vms))
    assert [verdict.status for verdict in verdicts] == [HOST_DISABLED, NO_ROOM, NO_ROOM, NO_ROOM]
    assert verdicts[1].detail == "a lacks 8 cores"
    # w is deleted instead: x and y still fit.
    verdicts = check_plan(plan, build_cluster("new", pms, [vms[0], *vms[2:]]))
    assert [verdict.status for verdict in verdicts] == [LEGAL, VM_GONE, LEGAL, LEGAL]
    after = repaired(plan, verdicts)
    assert [(move.order, move.vm) for move in after.moves] == [(1, "v"), (2, "x"), (3, "y")]


@pytest.mark.parametrize("seed", range(5))
def test_the_repaired_plan_is_legal_and_its_curve_right(seed: int) -> None:
    cluster = random_cluster(seed, n_vms=30)
    plan = plan_of(cluster, random_moves(cluster, seed, 12))
    newer = cluster
    for step in random_moves(cluster, seed + 100, 6):
        newer = slow_move(newer, *step)
    verdicts = check_plan(plan, newer)
    assert not all(verdict.legal for verdict in verdicts)
    fixed = repaired(plan, verdicts)
    again = check_plan(fixed, newer)
    assert all(verdict.legal for verdict in again)
    assert repaired(fixed, again) == fixed
    vm = {name: i for i, name in enumerate(newer.vm_ids)}
    pm = {name: i for i, name in enumerate(newer.pm_ids)}
    curve = [slow_objective(newer, rules_for(plan, newer))]
    for move in fixed.moves:
        index = vm[move.vm]
        choices = newer.variants[newer.shape_nodes[newer.shape_of[index]]]
        newer = slow_move(newer, index, pm[move.to_pm], choices.index(move.to_cells))
        curve.append(slow_objective(newer, rules_for(plan, newer)))
    assert fixed.curve == pytest.approx(curve, abs=1e-12)
    assert verdicts[-1].after == pytest.approx(curve[-1], abs=1e-12)
    assert fixed.bound == -np.inf


def test_an_empty_plan_stays_empty() -> None:
    plan = plan_of(build_cluster("old", PMS, VMS), [])
    assert check_plan(plan, build_cluster("new", PMS, VMS)) == []
    assert repaired(plan, []) == plan


@pytest.mark.parametrize("objective", ["gpu:1", "cpu:0.0001", "cpu:99999999999"])
def test_an_objective_without_meaning_here_is_bad_input(objective: str) -> None:
    cluster = build_cluster("old", PMS, VMS)
    plan = replace(plan_of(cluster, [(0, 1, 1)]), objective=objective)
    with pytest.raises(InputError, match="objective of the plan"):
        check_plan(plan, cluster)
