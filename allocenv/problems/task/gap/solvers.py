"""The best assignment within a time limit: greedy, search and the exact solver one after the other.

Each starts from the best so far; a proof ends the run. The bound holds for any assignment.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from allocenv.core.arrays import LongArray
from allocenv.core.clock import perf_counter
from allocenv.core.solver import never
from allocenv.problems.task.gap.exact import solve_exact
from allocenv.problems.task.gap.greedy import greedy
from allocenv.problems.task.gap.instance import GAP
from allocenv.problems.task.gap.lagrangian import Prices, capacity_prices, rounded_up
from allocenv.problems.task.gap.search import search

WARM_SHARE, WARM_MOST = 0.15, 0.4  # search before the exact solver: share of the limit, seconds
WARM_PER_JOB = 0.002  # seconds of it a job
EXACT_SHARE = 0.5  # of what is left then; the rest is search again
EXACT_FROM = 0.2  # seconds: with less, only search
MOST_PAIRS = 20_000  # for the exact solver; larger problems leave the time to search


@dataclass
class Plan:
    """An assignment and how it came about."""

    agent_of: LongArray  # [n]
    value: int  # cost or profit
    feasible: bool
    bound: float  # no assignment has less cost (more profit)
    found_by: str
    seconds: float = 0.0
    history: list[tuple[float, str, int]] = field(default_factory=list)  # (seconds, solver, value)

    @property
    def proven(self) -> bool:
        """Whether no assignment is better."""
        return self.feasible and self.value == self.bound


def plan_gap(
    problem: GAP,
    seconds: float = 5.0,
    seed: int = 0,
    stop: Callable[[], bool] = never,
) -> Plan:
    """The best assignment found within `seconds` of wall time.

    Where none was found that keeps all capacities, the plan says `feasible=False` and holds the one with the least
    excess.

    Raises:
        ValueError: a time limit that is not positive, or jobs that fit no agent (named).
    """
    if not seconds > 0:
        raise ValueError(f"Expected a positive time limit, got {seconds} s.")
    if len(problem.impossible_jobs):
        raise ValueError(f"Expected jobs that fit an agent; jobs {problem.impossible_jobs.tolist()} fit none.")
    began = perf_counter()
    prices = capacity_prices(problem)
    first = greedy(problem, prices=prices)
    sign = 1 if problem.sense == "min" else -1
    bound = sign * rounded_up(prices.bound)
    plan = Plan(first.agent_of, first.value, first.feasible, bound, "greedy")
    plan.history.append((perf_counter() - began, "greedy", first.value))
    run = _Run(problem, plan, prices, began, seconds, seed, stop)
    run.search(min(WARM_SHARE * seconds, WARM_MOST, WARM_PER_JOB * problem.n_jobs), 1)
    if run.left > EXACT_FROM and problem.cost.size <= MOST_PAIRS:
        run.exact(EXACT_SHARE * run.left, plan.agent_of)
    if run.left > 0.01 and not plan.proven:
        run.search(run.left, 2)
    plan.seconds = perf_counter() - began
    return plan


@dataclass
class _Run:
    """One planning run; the plan is renewed in place."""

    problem: GAP
    plan: Plan
    prices: Prices
    began: float
    limit: float
    seed: int
    stop: Callable[[], bool]

    @property
    def left(self) -> float:
        return self.limit - (perf_counter() - self.began)

    def search(self, seconds: float, stream: int) -> None:
        seed = int(np.random.default_rng([self.seed, stream]).integers(2**31))
        found = search(self.problem, seconds, seed, self.plan.agent_of, prices=self.prices, stop=self.stop)
        self.keep("search", found.agent_of)

    def exact(self, seconds: float, start: LongArray) -> None:
        known = start if self.problem.is_feasible(start) else None
        found = solve_exact(self.problem, seconds, known, self.prices, self.stop)
        tighter = max if self.problem.sense == "min" else min
        self.plan.bound = tighter(self.plan.bound, found.bound)
        if found.agent_of is not None:
            self.keep("exact", found.agent_of)

    def keep(self, name: str, agent_of: LongArray) -> None:
        if self._rank(agent_of) < self._rank(self.plan.agent_of):
            value = self.problem.value(agent_of)
            self.plan.agent_of, self.plan.value, self.plan.found_by = agent_of, value, name
            self.plan.feasible = self.problem.is_feasible(agent_of)
            self.plan.history.append((perf_counter() - self.began, name, value))

    def _rank(self, agent_of: LongArray) -> tuple[int, int]:
        """Less excess first, then less cost."""
        excess = np.maximum(self.problem.load(agent_of) - self.problem.capacity, 0).sum()
        value = self.problem.value(agent_of)
        return int(excess), value if self.problem.sense == "min" else -value
