"""Who plans rescheduling: greedy, annealing, exact and the sourced baselines, as solvers of the portfolio."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from allocenv.core.arrays import FloatArray, IntArray
from allocenv.core.clock import perf_counter
from allocenv.core.replay import better, replay
from allocenv.core.solver import Entry, Solution, Solver, never
from allocenv.problems.vm.baselines.beam import beam
from allocenv.problems.vm.baselines.filter_score import filter_score
from allocenv.problems.vm.baselines.pop import pop
from allocenv.problems.vm.baselines.vector_packing import vector_packing
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.search.annealing import anneal
from allocenv.problems.vm.search.greedy import greedy
from allocenv.problems.vm.search.ordering import order_moves

if TYPE_CHECKING:
    from allocenv.problems.vm.problem import VM

Search = Callable[["VM", Cluster, float, int, Solution | None, Callable[[], bool]], IntArray]  # moves [n, 3]


def solver(name: str, search: Search) -> Any:
    """A search that returns moves (VM, PM, variant) as a `core.solver.Solver`."""

    def solve(
        problem: "VM",
        instance: Cluster,
        seconds: float,
        rng: np.random.Generator,
        start: Solution | None = None,
        stop: Callable[[], bool] = never,
    ) -> Solution:
        began = perf_counter()
        moves = search(problem, instance, seconds, int(rng.integers(2**31)), start, stop)
        return better(problem, instance, actions_of(problem, moves), name, began, start)

    return solve


def actions_of(problem: "VM", moves: IntArray) -> IntArray:
    """Moves (VM, PM, variant) [n, 3] as actions [n, 2]."""
    moves = np.asarray(moves, np.int32).reshape(-1, 3)
    return np.stack([moves[:, 0], moves[:, 1] * problem.sizes.variants + moves[:, 2]], axis=1)


def moves_of(problem: "VM", actions: IntArray) -> IntArray:
    """Actions [n, 2] as moves (VM, PM, variant) [m, 3]; stopping is no move."""
    actions = actions[actions[:, 0] != problem.stop[0]]
    variants = problem.sizes.variants
    return np.stack([actions[:, 0], actions[:, 1] // variants, actions[:, 1] % variants], axis=1)


def target_of(problem: "VM", instance: Cluster, start: Solution | None) -> tuple[IntArray, IntArray] | None:
    """Where the actions of a solution leave the VMs: bin_of and variant_of [M]."""
    if start is None:
        return None
    bin_of, variant_of = instance.bin_of.copy(), instance.variant_of.copy()
    for vm, pm, variant in moves_of(problem, start.actions):
        bin_of[vm], variant_of[vm] = pm, variant
    return bin_of, variant_of


def _greedy(
    problem: "VM", cluster: Cluster, seconds: float, seed: int, start: Solution | None, stop: Callable[[], bool]
) -> IntArray:
    return greedy(cluster, problem.rules, problem.max_moves).moves


def _annealing(
    problem: "VM", cluster: Cluster, seconds: float, seed: int, start: Solution | None, stop: Callable[[], bool]
) -> IntArray:
    known = target_of(problem, cluster, start)
    return anneal(cluster, problem.rules, problem.max_moves, seconds, seed, known, stop=stop).moves


def _exact(
    problem: "VM",
    instance: Cluster,
    seconds: float,
    rng: np.random.Generator,
    start: Solution | None = None,
    stop: Callable[[], bool] = never,
) -> Solution:
    """Column generation and CP-SAT; its bound holds for any plan of as many moves."""
    from allocenv.problems.vm.exact import solve_exact

    began = perf_counter()
    rules, limit = problem.rules, problem.max_moves
    found = solve_exact(instance, rules, limit, seconds, target_of(problem, instance, start))
    moves = order_moves(instance, rules, found.bin_of, found.variant_of)[:limit]
    solution = better(problem, instance, actions_of(problem, moves), "exact", began, start)
    if not np.isfinite(rules.goal) and rules.move_price == 0:
        return replace(solution, bound=found.bound)
    reached = replay(problem, instance, solution.actions).costs[-1] <= found.objective + 1e-9
    return replace(solution, optimal=bool(found.proven and reached and len(solution.actions) <= len(moves)))


def _baseline(name: str, search: Callable[..., IntArray]) -> Entry:
    """A sourced baseline: compared with, no part of the portfolio."""

    def run(
        problem: "VM", cluster: Cluster, seconds: float, seed: int, start: Solution | None, stop: Callable[[], bool]
    ) -> IntArray:
        return search(cluster, problem.rules, problem.max_moves, seconds, np.random.default_rng(seed))

    return Entry(solver(name, run), "none")


SOLVERS: dict[str, Entry] = {
    "greedy": Entry(solver("greedy", _greedy), "quick"),
    "annealing": Entry(solver("annealing", _annealing), "anytime"),
    "exact": Entry(cast(Solver, _exact), "exact"),
    "filter_score": _baseline("filter_score", filter_score),
    "vector_packing": _baseline("vector_packing", vector_packing),
    "pop": _baseline("pop", pop),
    "beam": _baseline("beam", beam),
}


EXPERT_SECONDS = 600.0  # never reached: a plan cut short would depend on the machine


def expert(problem: "VM", cluster: Cluster, steps: int) -> tuple[IntArray, FloatArray]:
    """An optimal plan of at most `steps` moves, as actions [n, 2] and rewards [n]."""
    from allocenv.problems.vm.exact import solve_exact

    found = solve_exact(cluster, problem.rules, steps, EXPERT_SECONDS, workers=1)
    moves = order_moves(cluster, problem.rules, found.bin_of, found.variant_of)[:steps]
    actions = actions_of(problem, moves)
    return actions, replay(problem, cluster, actions).rewards


@cache
def warm_up() -> None:
    """Run every solver once on a tiny cluster. Once in a process; the first time on a machine it compiles.

    No time limit may cut a run short, since compiling would use it up.
    """
    from allocenv.problems.vm.problem import VM

    problem = VM(n_pms=6, max_moves=3)
    cluster = problem.draw(np.random.default_rng(0))
    here = problem.holding([cluster])
    for entry in SOLVERS.values():
        if entry.part != "anytime":
            entry.solver(here, cluster, EXPERT_SECONDS, np.random.default_rng(0))
    anneal(cluster, here.rules, here.max_moves, EXPERT_SECONDS, 0, tries=2_000 * cluster.n_vms)
    elsewhere = cluster.bin_of.copy()
    some = np.flatnonzero(cluster.movable)[:2]
    elsewhere[some] = (elsewhere[some] + 1) % cluster.n_pms
    order_moves(cluster, here.rules, elsewhere, cluster.variant_of, 1)  # too many to make: by force
