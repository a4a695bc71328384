"""Who plans a mission: rules, allocators of rounds and search, as solvers.

The planner is given all tasks with their arrivals, so that solvers which know them may take part in it; in a
comparison with policies these are told by the `oracle_` in their names.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from allocenv.core.arrays import FloatArray, IntArray
from allocenv.core.batch import Batch
from allocenv.core.clock import perf_counter
from allocenv.core.policy import Policy
from allocenv.core.replay import replay
from allocenv.core.solver import Entry, Solution, never
from allocenv.problems.task.bound import upper_bound
from allocenv.problems.task.heuristics import ROUTING_RULES, RULES, Rule, TeamPolicy
from allocenv.problems.task.mission import Mission
from allocenv.problems.task.rounds.policy import ALLOCATORS, RoundPolicy
from allocenv.problems.task.search.exact import fits, solve_exactly
from allocenv.problems.task.search.lookahead import Lookahead
from allocenv.problems.task.search.settings import Setting
from allocenv.problems.task.search.whole_episode import VARIATIONS, search
from allocenv.problems.task.teams.numbers import patience, shipped
from allocenv.problems.task.teams.policy import LearntPolicy

if TYPE_CHECKING:
    from allocenv.problems.task.problem import Task


class Acted(NamedTuple):
    """What was done until the end of a mission, or as far as the time sufficed."""

    actions: IntArray  # [n, 2]
    objective: float  # so far


def acted(problem: "Task", mission: Mission, act: Policy, stop: Callable[[], bool] = never) -> Acted:
    """Let a policy act."""
    batch = Batch(problem, 1)
    batch.load([mission])
    actions: list[IntArray] = []
    while problem.steps_left(batch.state, 0) > 0 and not stop():
        actions.append(act(batch)[0])
        batch.step(actions[-1][None])
    return Acted(np.array(actions, np.int32).reshape(-1, 2), float(batch.costs()[0]))


def rules_for(problem: "Task") -> dict[str, Rule]:
    """The rules that fit the problem: those of teams, or those of routes."""
    return ROUTING_RULES if problem.rules.single else RULES


Plan = Callable[["Task", Mission, float, np.random.Generator, Callable[[], bool]], Acted]


def _solver(name: str, plan: Plan) -> Any:
    """What plans actions, as a `core.solver.Solver`; it starts from nothing."""

    def solve(
        problem: "Task",
        instance: Mission,
        seconds: float,
        rng: np.random.Generator,
        start: Solution | None = None,
        stop: Callable[[], bool] = never,
    ) -> Solution:
        began = perf_counter()
        actions, cost = plan(problem, instance, seconds, rng, lambda: stop() or perf_counter() - began > seconds)
        if start is not None and start.objective <= cost:
            return start
        return Solution(actions, cost, found_by=name, seconds=perf_counter() - began)

    return solve


def _rule(rule: Rule, single: bool) -> Plan:
    def plan(
        problem: "Task", mission: Mission, seconds: float, rng: np.random.Generator, stop: Callable[[], bool]
    ) -> Acted:
        fitting = rule if problem.rules.single == single else next(iter(rules_for(problem).values()))
        return acted(problem, mission, TeamPolicy(fitting, rng), stop)

    return plan


def _of_teams(act: Callable[["Task", np.random.Generator], Policy]) -> Plan:
    """A policy that forms teams, and greedy once its time is over; routes are planned by their own first rule."""

    def plan(
        problem: "Task", mission: Mission, seconds: float, rng: np.random.Generator, stop: Callable[[], bool]
    ) -> Acted:
        if problem.rules.single:
            return _rule(next(iter(ROUTING_RULES.values())), True)(problem, mission, seconds, rng, stop)
        policy, quick = act(problem, rng), TeamPolicy(RULES["greedy"], rng)
        return acted(problem, mission, lambda batch: (quick if stop() else policy)(batch))

    return plan


# Rules of thumb that `search.settings.tuned` chose on the first ten training missions of the preset.
BASES = {"material": Setting(0.6, 0.03, 20.0), "electric": Setting(3.0)}
EXACT = "oracle_exact"  # it knows the arrivals
BASE = Setting(0.2, 0.03, 5.0)  # of rbf, and of others


def base_of(problem: "Task") -> Setting:
    """The rule by which lookahead goes on."""
    return BASES.get(problem.preset, BASE)


def _lookahead(problem: "Task", rng: np.random.Generator) -> Policy:
    return Lookahead(base_of(problem), rng)


def _oracle_lookahead(problem: "Task", rng: np.random.Generator) -> Policy:
    return Lookahead(base_of(problem), rng, known=True)


def learnt(problem: "Task", rng: np.random.Generator) -> Policy:
    """The learnt policy with the numbers shipped for the preset."""
    return LearntPolicy(shipped(problem.preset))


def _searching(name: str) -> Any:
    """Whole-episode search; it knows the upper bound too."""

    def solve(
        problem: "Task",
        instance: Mission,
        seconds: float,
        rng: np.random.Generator,
        start: Solution | None = None,
        stop: Callable[[], bool] = never,
    ) -> Solution:
        if problem.rules.single:
            rule = next(iter(ROUTING_RULES.values()))
            found: Solution = _solver(name, _rule(rule, True))(problem, instance, seconds, rng, start, stop)
            return found
        began, bound = perf_counter(), -upper_bound(problem, instance)
        beat = np.inf if start is None else start.objective
        best = search(problem, instance, name, seconds, int(rng.integers(2**31)), stop, beat=beat)
        if start is not None and start.objective <= best.objective:
            return replace(start, bound=bound)
        return Solution(best.actions, best.objective, bound, name, perf_counter() - began)

    return solve


def _exact(
    problem: Any,
    instance: Mission,
    seconds: float,
    rng: np.random.Generator,
    start: Solution | None = None,
    stop: Callable[[], bool] = never,
) -> Solution:
    """The optimum of a small mission; of others the start."""
    known = start if start is not None else Solution(np.zeros((0, 2), np.int32), _idle(problem, instance))
    if not fits(problem, instance):
        return known
    began = perf_counter()
    found = solve_exactly(problem, instance, seconds, known.objective, stop)
    if len(found.actions) == 0:
        return replace(known, optimal=found.proven)
    return Solution(
        found.actions, found.objective, found_by=EXACT, seconds=perf_counter() - began, optimal=found.proven
    )


def _by_rounds(allocate: Any) -> Any:
    return lambda _, rng: RoundPolicy(allocate, rng)


def _idle(problem: "Task", mission: Mission) -> float:
    return float(replay(problem, mission, np.zeros((0, 2), np.int32)).costs[-1])


SOLVERS: dict[str, Entry] = {
    "learnt": Entry(
        _solver("learnt", _of_teams(learnt)), "quick", learnt=True
    ),  # the best of the quick ones first: time is short
    **{name: Entry(_solver(name, _rule(rule, False)), "quick") for name, rule in RULES.items()},
    **{name: Entry(_solver(name, _rule(rule, True)), "quick") for name, rule in ROUTING_RULES.items()},
    **{name: Entry(_solver(name, _of_teams(_by_rounds(allocate))), "none") for name, allocate in ALLOCATORS.items()},
    "lookahead": Entry(_solver("lookahead", _of_teams(_lookahead)), "none"),
    "oracle_lookahead": Entry(_solver("oracle_lookahead", _of_teams(_oracle_lookahead)), "none"),
    **{name: Entry(_searching(name), "anytime" if name == "oracle_search" else "none") for name in VARIATIONS},
    EXACT: Entry(_exact, "exact"),
}


def expert(problem: "Task", mission: Mission, steps: int) -> tuple[IntArray, FloatArray]:
    """The first `steps` actions [n, 2] of the learnt policy (routing: of the rule of earliest start that ends the
    mission best) and their rewards [n]."""
    policies: list[Policy] = [LearntPolicy(shipped(problem.preset))] if not problem.rules.single else [
        TeamPolicy(rule, np.random.default_rng(0)) for rule in ROUTING_RULES.values()
    ]  # fmt: skip
    plans = [acted(problem, mission, policy).actions for policy in policies]
    played = [replay(problem, mission, plan) for plan in plans]
    best = min(range(len(plans)), key=lambda i: float(played[i].costs[-1]))
    return plans[best][:steps], played[best].rewards[:steps]


@cache
def warm_up() -> None:
    """Run every kernel that planning needs once; the first time on a machine it compiles."""
    from allocenv.problems.task.problem import Task

    for problem in (Task(n_entities=4, n_tasks=2), Task("dcmrta", n_entities=5, n_tasks=2)):
        mission = problem.draw(np.random.default_rng(0))
        for rule in rules_for(problem).values():
            acted(problem.holding([mission]), mission, TeamPolicy(rule, np.random.default_rng(0)))
        if not problem.rules.single:
            acted(problem.holding([mission]), mission, LearntPolicy(patience()))
            search(problem.holding([mission]), mission, "oracle_search", 1.0, most=1)
