"""Who plans a mission: the heuristics played to the end, as solvers of the portfolio."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from allocenv.core.arrays import FloatArray, IntArray
from allocenv.core.batch import Batch
from allocenv.core.policy import Policy
from allocenv.core.replay import replay
from allocenv.core.solver import Entry, Solution, never
from allocenv.problems.task.heuristics import PATIENCES, ROUTING_RULES, RULES, Rule, TeamPolicy
from allocenv.problems.task.mission import Mission
from allocenv.problems.task.teams.numbers import patience, shipped
from allocenv.problems.task.teams.policy import LearntPolicy

if TYPE_CHECKING:
    from allocenv.problems.task.problem import Task


def actions_of(
    problem: "Task",
    mission: Mission,
    rule: Rule,
    rng: np.random.Generator,
    most: int | None = None,
    stop: Callable[[], bool] = never,
) -> IntArray:
    """The actions [n, 2] of a rule until the end of the mission, at most so many."""
    return actions_by(TeamPolicy(rule, rng), problem, mission, most, stop)


def actions_by(
    act: Policy, problem: "Task", mission: Mission, most: int | None = None, stop: Callable[[], bool] = never
) -> IntArray:
    """The same of a policy."""
    batch = Batch(problem, 1)
    batch.load([mission])
    actions: list[IntArray] = []
    limit = problem.max_steps if most is None else most
    while len(actions) < limit and problem.steps_left(batch.state, 0) > 0 and not stop():
        actions.append(act(batch)[0])
        batch.step(actions[-1][None])
    return np.array(actions, np.int32).reshape(-1, 2)


def rules_for(problem: "Task") -> dict[str, Rule]:
    """The rules that fit the problem: those of teams, or those of routes."""
    return ROUTING_RULES if problem.rules.single else RULES


def _rule(rule: Rule, single: bool) -> Callable[["Task", np.random.Generator], Policy]:
    """The rule, or the first of those that fit the problem."""
    return lambda problem, rng: TeamPolicy(
        rule if problem.rules.single == single else next(iter(rules_for(problem).values())), rng
    )


def learnt(problem: "Task", rng: np.random.Generator) -> Policy:
    """The learnt policy with the numbers shipped for the preset; earliest start for routing."""
    if problem.rules.single:
        return TeamPolicy(ROUTING_RULES["earliest_start"], rng)
    return LearntPolicy(shipped(problem.preset))


def _solver(name: str, policy: Callable[["Task", np.random.Generator], Policy]) -> Any:
    def solve(
        problem: "Task",
        instance: Mission,
        seconds: float,
        rng: np.random.Generator,
        start: Solution | None = None,
        stop: Callable[[], bool] = never,
    ) -> Solution:
        began = perf_counter()
        act = policy(problem, rng)
        actions = actions_by(act, problem, instance, stop=lambda: stop() or perf_counter() - began > seconds)
        cost = float(replay(problem, instance, actions).costs[-1])
        if start is not None and start.objective <= cost:
            return start
        return Solution(actions, cost, found_by=name, seconds=perf_counter() - began)

    return solve


SOLVERS: dict[str, Entry] = {
    **{name: Entry(_solver(name, _rule(rule, False)), "quick") for name, rule in RULES.items()},
    **{name: Entry(_solver(name, _rule(rule, True)), "quick") for name, rule in ROUTING_RULES.items()},
    "learnt": Entry(_solver("learnt", learnt), "quick"),
}


def expert(problem: "Task", mission: Mission, steps: int) -> tuple[IntArray, FloatArray]:
    """The first `steps` actions [n, 2] of the patience rule (routing: of earliest start) that ends the mission best
    among several parameters, and their rewards [n]."""
    rules = list(ROUTING_RULES.values())
    if not problem.rules.single:
        rules = [replace(RULES["patience"], amount=d) for d in PATIENCES]
    plans = [actions_of(problem, mission, rule, np.random.default_rng(0)) for rule in rules]
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
            actions_of(problem.holding([mission]), mission, rule, np.random.default_rng(0))
        if not problem.rules.single:
            actions_by(LearntPolicy(patience()), problem.holding([mission]), mission)
