"""The best assignment within a limit of moves, and a bound that says how good it is."""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import IntArray, LongArray
from allocenv.core.clock import perf_counter
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.exact.full_model import solve_model
from allocenv.problems.vm.exact.generate import Generator
from allocenv.problems.vm.exact.kinds import FIXED, Kinds, assignment, counts_of, kinds_of, moves_between
from allocenv.problems.vm.exact.lattice import Lattice, lattice_of
from allocenv.problems.vm.exact.worth import Worth, objective_of, worth_of
from allocenv.problems.vm.objective import Rules

_SHARE = 0.6  # of the time for the bound
TOLERANCE = 1e-9  # values nearer than this count as equal


class Exact(NamedTuple):
    """An assignment and how good it can be shown to be.

    `value` is what was minimised: the objective plus the price of the moves; or, where a goal was given and
    reached, the number of moves. No assignment that displaces at most `max_moves` VMs, and so no sequence of
    as many moves, has a value below `bound`. The assignment itself may need helper moves to be reached in
    steps that are each legal: putting it in order is the caller's business.
    """

    bin_of: IntArray  # [M]
    variant_of: IntArray  # [M]
    objective: float
    value: float
    bound: float  # -inf: unknown
    proven: bool  # value and bound agree to 1e-9: nothing better exists
    seconds: float  # wall time


def solve_exact(
    cluster: Cluster,
    rules: Rules,
    max_moves: int,
    seconds: float,
    start: tuple[IntArray, IntArray] | None = None,
    workers: int = 2,
    seed: int = 0,
) -> Exact:
    """The best assignment that displaces at most `max_moves` VMs, found within `seconds` of wall time.

    First column generation over machines (`generate.py`), where the cluster has a lattice; then, if a gap is
    left, one CP-SAT model of everything with `workers` threads. `start` (bin_of, variant_of) is an assignment
    known already; the result is at least as good. With a goal in the rules the fewest moves that reach it are
    sought; if it is out of reach, the lowest objective.

    Raises:
        ValueError: `max_moves` or `seconds` is negative; `start` displaces more VMs than `max_moves`, moves a
            VM that may not move, or breaks a capacity.
    """
    began = perf_counter()
    task = _task(cluster, rules, max_moves, began + seconds, workers, seed)
    plan = _plan(task, task.kinds.before)
    if start is not None:
        plan = min(plan, _plan(task, _start_counts(task, *start)), key=lambda p: p.value)
    found = None
    if plan.objective > rules.goal > -np.inf:
        found = _reach_goal(task, plan, (task.worth.base - rules.goal) / task.worth.unit)
    elif rules.goal > -np.inf:
        found = Result(plan, plan.moves, 0.0 if plan.moves == 0 else -np.inf)
    if found is None:
        found = _lowest(task, plan)
    bin_of, variant_of = assignment(cluster, task.kinds, found.plan.after)
    proven = found.value <= found.bound + TOLERANCE
    return Exact(bin_of, variant_of, found.plan.objective, found.value, found.bound, proven, perf_counter() - began)


def bound_only(cluster: Cluster, rules: Rules, max_moves: int, seconds: float) -> float:
    """A lower bound of the objective plus the price of the moves, by column generation alone; -inf: none."""
    task = _task(cluster, rules, max_moves, perf_counter() + seconds, 1, 0)
    if len(task.kinds.shape) == 0:
        return objective_of(cluster, rules, cluster.bin_of, cluster.variant_of)
    if task.lattice is None:
        return -np.inf
    generator = Generator(cluster, rules, task.worth, task.kinds, task.lattice, max_moves)
    generator.run(task.deadline)
    return task.worth.base - task.worth.unit * generator.bound


class Task(NamedTuple):
    """What is to be solved, seen in several ways."""

    cluster: Cluster
    rules: Rules
    worth: Worth
    kinds: Kinds
    lattice: Lattice | None
    max_moves: int
    deadline: float
    workers: int
    seed: int


class Plan(NamedTuple):
    """A plan and its figures."""

    after: LongArray  # [Q, N, V]
    objective: float
    value: float  # objective plus price of the moves
    moves: int


class Result(NamedTuple):
    """A plan, what was minimised, and its lower bound."""

    plan: Plan
    value: float
    bound: float


def _task(cluster: Cluster, rules: Rules, max_moves: int, deadline: float, workers: int, seed: int) -> Task:
    if max_moves < 0:
        raise ValueError(f"Expected max_moves >= 0, got {max_moves}.")
    worth, kinds = worth_of(cluster, rules), kinds_of(cluster, rules)
    lattice = lattice_of(cluster, rules, worth, kinds)
    return Task(cluster, rules, worth, kinds, lattice, max_moves, deadline, workers, seed)


def _plan(task: Task, after: LongArray) -> Plan:
    moves = moves_between(task.kinds.before, after)
    objective = objective_of(task.cluster, task.rules, *assignment(task.cluster, task.kinds, after))
    price = task.worth.unit * task.worth.move * float(moves @ task.kinds.cost)
    return Plan(after, objective, objective + price, int(moves.sum()))


def _start_counts(task: Task, bin_of: IntArray, variant_of: IntArray) -> LongArray:
    """The counts of an assignment that was handed in."""
    cluster, kinds = task.cluster, task.kinds
    fixed = kinds.kind_of == FIXED
    if (bin_of[fixed] != cluster.bin_of[fixed]).any() or (variant_of[fixed] != cluster.variant_of[fixed]).any():
        raise ValueError("Expected `start` to leave VMs that may not move where they are.")
    if (cluster.moved(bin_of, variant_of).used > cluster.capacity).any():
        raise ValueError("Expected `start` to keep every machine within its capacity.")
    after = counts_of(cluster, kinds, bin_of, variant_of)
    moves = int(moves_between(kinds.before, after).sum())
    if moves > task.max_moves:
        raise ValueError(f"Expected `start` to displace at most {task.max_moves} VMs, it displaces {moves}.")
    return after


def _lowest(task: Task, plan: Plan) -> Result:
    """The lowest objective plus price."""
    bound = -np.inf
    if len(task.kinds.shape) == 0 or task.max_moves == 0:
        return Result(plan, plan.value, plan.value)
    worth, gain = task.worth, lambda value: (task.worth.base - value) / task.worth.unit
    if task.lattice is not None:
        generator = Generator(task.cluster, task.rules, worth, task.kinds, task.lattice, task.max_moves, seed=task.seed)
        generator.pool.add_plan(plan.after)
        generator.run(_part_of(task.deadline), gain(plan.value))
        bound = worth.base - worth.unit * generator.bound
        if plan.value > bound + TOLERANCE and perf_counter() < task.deadline:
            plan = _better(task, plan, generator.plan(task.deadline))
    if plan.value > bound + TOLERANCE and perf_counter() < task.deadline:
        found = solve_model(
            task.cluster, task.rules, worth, task.kinds, task.max_moves, task.deadline, plan.after,
            bound=gain(bound) if bound > -np.inf else None, workers=task.workers, seed=task.seed,
        )  # fmt: skip
        if found is not None:
            plan = _better(task, plan, found.after)
            bound = max(bound, worth.base - worth.unit * found.bound)
    return Result(plan, plan.value, min(bound, plan.value))


def _part_of(deadline: float) -> float:
    """When to stop generating columns, so that time is left to make a plan of them."""
    return perf_counter() + _SHARE * (deadline - perf_counter())


def _better(task: Task, plan: Plan, after: LongArray | None) -> Plan:
    """The plan in hand or the new one, whichever has the lower value."""
    return plan if after is None else min(plan, _plan(task, after), key=lambda p: p.value)


def _reach_goal(task: Task, start: Plan, goal: float) -> Result | None:
    """The fewest moves to the goal (a gain); None where no plan within the limit of moves was found."""
    plan, bound = None, 0.0
    if task.lattice is not None:
        generator = Generator(
            task.cluster, task.rules, task.worth, task.kinds, task.lattice, task.max_moves, goal, task.seed
        )
        generator.run(_part_of(task.deadline))
        bound = generator.bound
        if bound > task.max_moves:
            return None
        after = generator.plan(task.deadline) if perf_counter() < task.deadline else None
        plan = None if after is None else _plan(task, after)
    if (plan is None or plan.moves > bound) and perf_counter() < task.deadline:
        hint = start.after if plan is None else plan.after
        found = solve_model(
            task.cluster, task.rules, task.worth, task.kinds, task.max_moves, task.deadline, hint,
            goal=goal, bound=bound, workers=task.workers, seed=task.seed,
        )  # fmt: skip
        if found is not None:
            bound = max(bound, found.bound)
            if found.after is not None:
                plan = _plan(task, found.after)
    return None if plan is None else Result(plan, plan.moves, bound)
