"""Clusters out of the ordinary: refused with a reason, or planned for like any other."""

import numpy as np
import pytest

from allocenv.core.replay import replay
from allocenv.problems.vm.cluster import INT_MAX, PM, VM, ClusterError, Group, build_cluster
from allocenv.problems.vm.objective import Objective, compile_rules
from allocenv.problems.vm.planning import SOLVERS
from allocenv.problems.vm.problem import VM as Rescheduling
from allocenv.problems.vm.search.compact import compact
from allocenv.problems.vm.search.places import BUCKETS, places_of

CORES = {"cpu": 16_000}


@pytest.mark.parametrize(
    ("pms", "vms", "groups", "message"),
    [
        ([PM("a", ())], [], [], r"PMs: found 'no resource', expected machines that offer something"),
        ([PM("a", ({},))], [VM("v", "a", (0,), {})], [], r"PMs: found 'no resource'"),
        ([PM("a", (CORES,))], [VM("v", "a", (0,), CORES, cost=1e300)], [], r"VM v: cost: found 1e\+300"),
        ([PM("a", (CORES,))], [VM("v", "a", (0,), CORES, cost=float("nan"))], [], r"VM v: cost: found nan"),
        ([PM("a", (CORES,))], [VM("v", "a", (0,), CORES)], [Group(("v",), limit=INT_MAX + 1)], r"limit: found 21"),
    ],
)
def test_what_no_array_could_hold_is_refused(pms, vms, groups, message):
    with pytest.raises(ClusterError, match=message):
        build_cluster("odd", pms, vms, groups)


def test_who_takes_nothing_of_its_cells_takes_no_cell():
    # Else it would fit on the second cell of b, which has one.
    pms = [PM("a", (CORES, CORES), {"gpu": 1}), PM("b", (CORES,), {"gpu": 1})]
    cluster = build_cluster("odd", pms, [VM("v", "a", (1,), {"cpu": 0}, {"gpu": 1})])
    assert cluster.cells_of(0, int(cluster.variant_of[0])) == ()
    assert cluster.n_variants.tolist() == [1]


def test_places_are_sorted_by_the_largest_cell_where_cells_are_unequal():
    # A VM of 99 cores on the second cell; the first has 1 and would need no more than two buckets.
    pms = [PM("a", ({"cpu": 1}, {"cpu": 100})), PM("b", ({"cpu": 1}, {"cpu": 100}))]
    cluster = build_cluster("odd", pms, [VM("v", "a", (1,), {"cpu": 99})])
    rules = compile_rules(Objective.parse("cpu:0.001"), 2, ("cpu",), ())
    places = places_of(cluster, compact(cluster, rules))
    assert (places.need < BUCKETS).all()
    assert (places.bucket < BUCKETS).all()


ODD = {
    "no VM": build_cluster("odd", [PM("a", (CORES,)), PM("b", (CORES,))], []),
    "one machine": build_cluster("odd", [PM("a", (CORES,))], [VM("v", "a", (0,), {"cpu": 500})]),
    "nobody may move": build_cluster(
        "odd", [PM("a", (CORES,)), PM("b", (CORES,))], [VM("v", "a", (0,), {"cpu": 500}, movable=False)]
    ),
    "no machine is active": build_cluster("odd", [PM("a", (CORES,), active=False)], [VM("v", "a", (0,), CORES)]),
    "no cells": build_cluster("odd", [PM("a", (), CORES), PM("b", (), CORES)], [VM("v", "a", (), {}, {"cpu": 500})]),
    "a machine without cells": build_cluster(
        "odd", [PM("a", (CORES,)), PM("b", ())], [VM("v", "a", (0,), {"cpu": 500})]
    ),
    "twelve cells": build_cluster(
        "odd", [PM("a", (CORES,) * 12), PM("b", (CORES,) * 12)], [VM("v", "a", tuple(range(3)), {"cpu": 500})]
    ),
    "as much as there can be": build_cluster(
        "odd",
        [PM(n, ({"cpu": 2**31 - 2**27},) * 2) for n in "ab"],
        [VM("v", "a", (0, 1), {"cpu": 2**30}), VM("w", "b", (0,), {"cpu": 2**29})],
    ),
    "alone in a group": build_cluster(
        "odd", [PM("a", (CORES,)), PM("b", (CORES,))], [VM("v", "a", (0,), {"cpu": 500})], [Group(("v",))]
    ),
    "nowhere allowed": build_cluster(
        "odd",
        [PM("a", (CORES,)), PM("b", (CORES,))],
        [VM("v", "a", (0,), {"cpu": 500}, may_run_on=frozenset())],
    ),
}


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("odd", ODD)
def test_every_solver_comes_to_an_end_on_odd_clusters(odd, name):
    cluster = ODD[odd]
    chunk = "cpu:131072" if odd == "as much as there can be" else "cpu:16"
    problem = Rescheduling.on(cluster, objective=f"{chunk} + 0.1*empty", max_moves=3)
    solution = SOLVERS[name].solver(problem, cluster, 0.1, np.random.default_rng(0))
    checked = replay(problem, cluster, solution.actions)
    assert not checked.illegal.any()
    assert checked.costs[-1] <= checked.costs[0] + 1e-12


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        ("cpu:16x3", "1 or 2 nodes"),
        (f"cpu:{'9' * 400}", "0 < chunk <="),
        (f"{'9' * 400}*cpu:16", "weight of at most"),
        (f"{'9' * 400}*empty", "weight of at most"),
        ("x" * 9000, r"got 'xxx.*\.\.\..*xxx'"),
    ],
)
def test_an_objective_out_of_bounds_is_one_line(objective, message):
    with pytest.raises(ValueError, match=message) as caught:
        Objective.parse(objective)
    assert len(str(caught.value)) < 1000


def test_a_chunk_larger_than_any_amount_is_refused():
    with pytest.raises(ValueError, match="chunk of cpu from 1 to 2147483647 units, got 3000000000"):
        compile_rules(Objective.parse("cpu:3000000"), 2, ("cpu",), ())


@pytest.mark.parametrize(
    "params",
    [
        {"max_moves": 10**9},
        {"n_pms": 10**9},
        {"goal": float("nan")},
        {"move_price": float("inf")},
        {"move_price": 1e30},
    ],
)
def test_parameters_out_of_bounds_are_refused(params):
    with pytest.raises(ValueError, match="Expected"):
        Rescheduling(**params)
