"""Who plans placements: simple rules played to the end of the window, as solvers of the portfolio.

A plan knows the window's future, so the best of the rules is chosen in hindsight; none of them looks ahead.
"""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from allocenv.core.arrays import FloatArray, IntArray
from allocenv.core.batch import Batch
from allocenv.core.clock import perf_counter
from allocenv.core.problem import Observation
from allocenv.core.replay import better, replay
from allocenv.core.solver import Entry, Solution, never
from allocenv.problems.storage.instances import Window

if TYPE_CHECKING:
    from allocenv.problems.storage.problem import Storage

Rule = Callable[[Batch, Observation, np.random.Generator], tuple[int, int]]  # the next action of row 0
HITS = 4
ADMITTED = 0.05  # facts/hybrid_storage.md 8: the strongest fixed probability


def in_place(batch: Batch, seen: Observation, rng: np.random.Generator) -> tuple[int, int]:
    """Every request is served where its first page is; nothing is migrated."""
    here = int(seen.slot_bin[0, 0])
    return (0, here) if here >= 0 and _legal(batch, 0)[here] else batch.problem.stop


def lru(batch: Batch, seen: Observation, rng: np.random.Generator) -> tuple[int, int]:
    """Every request to the fastest device that may take it."""
    return 0, int(_legal(batch, 0).argmax())


def lru_p05(batch: Batch, seen: Observation, rng: np.random.Generator) -> tuple[int, int]:
    """LRU for 5 % of the requests at random, the others in place."""
    return (lru if rng.random() < ADMITTED else in_place)(batch, seen, rng)


def lru_4hit(batch: Batch, seen: Observation, rng: np.random.Generator) -> tuple[int, int]:
    """LRU for requests whose first page was accessed four times before, the others in place (n-hit admission)."""
    problem, state = cast("Storage", batch.problem), batch.state
    page = problem.stages[int(state.trace[0])].requests.first[int(state.model.at[0])]
    return (lru if state.model.accesses[0, page] >= HITS else in_place)(batch, seen, rng)


def promote(batch: Batch, seen: Observation, rng: np.random.Generator) -> tuple[int, int]:
    """Every candidate of a slower device to the fastest one; requests in place."""
    for slot in np.flatnonzero(seen.slot_mask[0, 1:] & (seen.slot_bin[0, 1:] > 0)) + 1:
        if _legal(batch, int(slot))[0]:
            return int(slot), 0
    return in_place(batch, seen, rng)


def _legal(batch: Batch, slot: int) -> Any:
    return batch.placement_mask(np.array([slot], np.int32))[0]


RULES: dict[str, Rule] = {
    "in_place": in_place,
    "lru": lru,
    "lru_p05": lru_p05,
    "lru_4hit": lru_4hit,
    "promote": promote,
}


def play(
    problem: "Storage",
    window: Window,
    rule: Rule,
    rng: np.random.Generator,
    most: int | None = None,
    stop: Callable[[], bool] = never,
) -> IntArray:
    """The actions [n, 2] of a rule over the window, at most so many."""
    batch = Batch(problem, 1)
    batch.load([window])
    actions: list[tuple[int, int]] = []
    limit = problem.max_steps if most is None else most
    while len(actions) < limit and problem.steps_left(batch.state, 0) > 0 and not stop():
        actions.append(rule(batch, batch.observe(), rng))
        batch.step(np.array([actions[-1]], np.int32))
    return np.array(actions, np.int32).reshape(-1, 2)


def _solver(name: str, rule: Rule) -> Any:
    def solve(
        problem: "Storage",
        instance: Window,
        seconds: float,
        rng: np.random.Generator,
        start: Solution | None = None,
        stop: Callable[[], bool] = never,
    ) -> Solution:
        began = perf_counter()
        actions = play(problem, instance, rule, rng, stop=lambda: stop() or perf_counter() - began > seconds)
        return better(problem, instance, actions, name, began, start)

    return solve


def oracle_reuse(
    problem: Any,
    instance: Window,
    seconds: float,
    rng: np.random.Generator,
    start: Solution | None = None,
    stop: Callable[[], bool] = never,
) -> Solution:
    """The best of LRUs that admit what will be used often enough in the rest of the window."""
    began = perf_counter()
    best = start
    for uses in REUSES:
        plan = play(problem, instance, _used_again(instance, uses), rng, stop=stop)
        best = better(problem, instance, plan, f"oracle_reuse, {uses} uses", began, best)
        if stop() or perf_counter() - began > seconds:
            break
    assert best is not None
    return best


def _used_again(window: Window, uses: int) -> Rule:
    """LRU for requests whose first page is the first one of so many requests still to come."""
    first = window.trace.requests.first[window.begin : window.end]
    to_come = np.zeros(len(first), np.int64)
    seen: dict[int, int] = {}
    for i in range(len(first) - 1, -1, -1):
        to_come[i] = seen.get(int(first[i]), 0)
        seen[int(first[i])] = int(to_come[i]) + 1

    def rule(batch: Batch, seen: Observation, rng: np.random.Generator) -> tuple[int, int]:
        again = to_come[int(batch.state.model.at[0]) - window.begin]
        return (lru if again >= uses else in_place)(batch, seen, rng)

    return rule


REUSES = (1, 2, 4, 8, 16, 32)
SOLVERS: dict[str, Entry] = {
    **{name: Entry(_solver(name, rule), "quick") for name, rule in RULES.items()},
    "oracle_reuse": Entry(oracle_reuse, "none"),
}


def expert(problem: "Storage", window: Window, steps: int) -> tuple[IntArray, FloatArray]:
    """The best of the rules over the next `steps` steps, as actions [n, 2] and rewards [n]."""
    plans = [play(problem, window, rule, np.random.default_rng(0), steps) for rule in RULES.values()]
    played = [replay(problem, window, plan) for plan in plans]
    best = min(range(len(plans)), key=lambda i: float(played[i].costs[-1]))
    return plans[best], played[best].rewards


@cache
def warm_up() -> None:
    """Run every kernel that planning needs once; the first time on a machine it compiles."""
    from allocenv.problems.storage.problem import Storage

    problem = Storage(mode="joint", episode=3, warm=3)
    window = problem.draw(np.random.default_rng(0))
    expert(problem, window, 3)
