"""The best plan within a time limit: a portfolio of heuristics, search, exact solver and learnt policies.

Quick solvers run first, then search on every core; what it finds warm-starts the exact solver, which runs
beside it and ends everything once it has proven the optimum. The best so far is always kept.
"""

import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field

import numpy as np

from allocenv.core.arrays import IntArray
from allocenv.core.clock import is_counted, perf_counter
from allocenv.core.problem import Instance, Problem
from allocenv.core.replay import replay
from allocenv.core.solver import Entry, Solution, Solver, never

EXACT_FROM = 0.5  # seconds: with less, an exact solver does not come to anything
WARM_SHARE, WARM_MOST = 0.15, 1.0  # search alone before the exact solver starts: share of the limit, seconds


@dataclass
class Found:
    """A plan, and how it came about."""

    solution: Solution
    start: float  # objective before any action
    bound: float = -np.inf
    history: list[tuple[float, str, float]] = field(default_factory=list)  # (seconds, solver, objective)
    seconds: float = 0.0

    @property
    def proven(self) -> bool:
        """Whether nothing better exists."""
        return self.solution.optimal or self.solution.objective <= self.bound + 1e-9


Listener = Callable[[float, str, float], None]  # told of every improvement: seconds, solver, objective


def plan(
    problem: Problem,
    instance: Instance,
    seconds: float = 5.0,
    seed: int = 0,
    workers: int | None = None,
    solvers: Mapping[str, Entry] | None = None,
    listener: Listener | None = None,
) -> Found:
    """The best plan that the solvers find within `seconds` of wall time.

    Args:
        problem: what is planned; its `solvers` are the portfolio unless others are given.
        instance: the situation.
        seconds: wall time; an exact proof ends the search early.
        seed: of all randomness; with a time limit, results depend on the machine's speed all the same.
        workers: threads; default: the machine's cores; one where looks at the clock are counted (`core/clock.py`).
        solvers: name -> entry, in the order in which quick ones run.
        listener: told of every improvement.

    Raises:
        ValueError: `seconds` is not positive, or a solver returned a plan that the environment refuses.
    """
    if not seconds > 0:
        raise ValueError(f"Expected a positive time limit, got {seconds} s.")
    threads = 1 if is_counted() else workers or os.cpu_count() or 1
    portfolio = _Portfolio(problem, instance, seconds, seed, threads, listener)
    return portfolio.run(problem.solvers if solvers is None else solvers)


class _Portfolio:
    """One planning run; the threads share its best solution under a lock."""

    def __init__(
        self,
        problem: Problem,
        instance: Instance,
        seconds: float,
        seed: int,
        workers: int,
        listener: Listener | None,
    ) -> None:
        self.problem, self.instance, self.seed, self.workers = problem, instance, seed, workers
        self.began = perf_counter()
        self.limit = seconds
        self.listener = listener
        self.lock = threading.Lock()
        self.proven = threading.Event()
        nothing = np.zeros((0, 2), np.int32)
        idle = replay(problem, instance, nothing)
        cost = float(idle.costs[0])
        self.rank = problem.rank(idle.costs, idle.rewards)
        self.found = Found(Solution(nothing, cost, found_by="nothing to do"), start=cost)

    @property
    def left(self) -> float:
        return self.limit - (perf_counter() - self.began)

    def run(self, solvers: Mapping[str, Entry]) -> Found:
        parts: dict[str, list[str]] = {"quick": [], "anytime": [], "exact": [], "none": []}
        for name, entry in solvers.items():
            parts[entry.part].append(name)
        for name in parts["quick"]:
            self._solve(name, solvers[name], 0, self.left)
        exact = parts["exact"] if self.limit >= EXACT_FROM else []
        if exact:
            warm = min(WARM_SHARE * self.limit, WARM_MOST, self.left)
            self._together([(name, solvers[name]) for name in parts["anytime"]], 1, warm)
            self._beside(exact[0], solvers, parts["anytime"])
        else:
            self._together([(name, solvers[name]) for name in parts["anytime"]], 1, self.left)
        self.found.seconds = perf_counter() - self.began
        return self.found

    def _together(self, entries: list[tuple[str, Entry]], stream: int, seconds: float) -> None:
        """Run anytime solvers on all workers, in turns where there are fewer solvers than workers."""
        if not entries or seconds <= 0:
            return
        with ThreadPoolExecutor(self.workers) as pool:
            turns = (entries[i % len(entries)] for i in range(max(self.workers, len(entries))))
            _wait([self._submit(pool, *turn, stream * 1000 + i, seconds) for i, turn in enumerate(turns)])

    def _beside(self, exact: str, solvers: Mapping[str, Entry], anytime: list[str]) -> None:
        """Run the exact solver, and search on one worker beside it, until the limit or a proof."""
        with ThreadPoolExecutor(2) as pool:
            jobs = [self._submit(pool, exact, solvers[exact], 0, self.left)]
            if anytime and self.workers > 1:
                jobs.append(self._submit(pool, anytime[0], solvers[anytime[0]], 2000, self.left))
            _wait(jobs)

    def _submit(self, pool: ThreadPoolExecutor, name: str, entry: Entry, stream: int, seconds: float) -> "Future[None]":
        """Solve in another thread, by the same clock."""
        context = copy_context()
        return pool.submit(lambda: context.run(self._solve, name, entry, stream, seconds))

    def _solve(self, name: str, entry: Entry, stream: int, seconds: float) -> None:
        if seconds <= 0 or self.proven.is_set():
            return
        rng = np.random.default_rng([self.seed, stream])
        start = self.found.solution if len(self.found.solution.actions) else None
        solution = entry.solver(self.problem, self.instance, seconds, rng, start, self.proven.is_set)
        self._keep(name, solution)

    def _keep(self, name: str, solution: Solution) -> None:
        """Keep a better solution or bound; the environment has the last word on both cost and legality."""
        if solution.actions is self.found.solution.actions and not solution.optimal:  # it has been checked
            with self.lock:
                self.found.bound = max(self.found.bound, solution.bound)
                if self.found.proven:
                    self.proven.set()
            return
        checked = replay(self.problem, self.instance, solution.actions)
        if checked.illegal.any():
            at = int(np.argmax(checked.illegal))
            raise ValueError(f"Solver {name} returned a plan whose action {at} is illegal; this is a bug.")
        cost, rank = float(checked.costs[-1]), self.problem.rank(checked.costs, checked.rewards)
        now = perf_counter() - self.began
        with self.lock:
            self.found.bound = max(self.found.bound, solution.bound)
            better = rank < self.rank and not np.allclose(rank, self.rank, rtol=0.0, atol=1e-12)
            if better or (solution.optimal and rank <= self.rank):
                self.rank = rank
                optimal = solution.optimal
                self.found.solution = Solution(solution.actions, cost, solution.bound, name, now, optimal)
            if better:
                self.found.history.append((now, name, cost))
                if self.listener is not None:
                    self.listener(now, name, cost)
            if self.found.proven:
                self.proven.set()


def _wait(jobs: list["Future[None]"]) -> None:
    for job in jobs:
        job.result()


def as_solver(solvers: Mapping[str, Entry], workers: int | None = None) -> Solver:
    """The whole portfolio as one solver, to be compared with its members."""

    def solve(
        problem: Problem,
        instance: Instance,
        seconds: float,
        rng: np.random.Generator,
        start: Solution | None = None,
        stop: Callable[[], bool] = never,
    ) -> Solution:
        found = plan(problem, instance, seconds, int(rng.integers(2**31)), workers, solvers)
        best = found.solution
        return Solution(best.actions, best.objective, found.bound, f"planner: {best.found_by}", found.seconds)

    return solve


def pruned(problem: Problem, instance: Instance, actions: IntArray) -> IntArray:
    """The actions less those without which the rest is as legal and ends no worse: [m, 2]."""
    kept = np.asarray(actions, np.int32)
    whole = replay(problem, instance, kept)
    for i in reversed(range(len(kept))):
        fewer = np.delete(kept, i, axis=0)
        found = replay(problem, instance, fewer)
        if not found.illegal.any() and found.costs[-1] <= whole.costs[-1] + 1e-12:
            kept = fewer
    return kept
