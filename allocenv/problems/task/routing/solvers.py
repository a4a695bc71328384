"""The best schedule within a time limit: greedy, then search; with a lower bound."""

from collections.abc import Callable
from dataclasses import dataclass

from allocenv.core.arrays import LongArray
from allocenv.core.clock import perf_counter
from allocenv.core.solver import never
from allocenv.problems.task.routing.greedy import greedy
from allocenv.problems.task.routing.instance import Routing
from allocenv.problems.task.routing.lower_bound import lower_bound
from allocenv.problems.task.routing.schedule import Timing
from allocenv.problems.task.routing.search import search


@dataclass
class Plan:
    """A schedule and how it came about."""

    order: LongArray  # [T]
    rules: LongArray  # [T]  by task: how its team is chosen
    timing: Timing
    bound: float  # no schedule has a smaller makespan
    found_by: str
    seconds: float

    @property
    def makespan(self) -> float:
        return self.timing.makespan


def plan_routing(problem: Routing, seconds: float = 1.0, seed: int = 0, stop: Callable[[], bool] = never) -> Plan:
    """The best schedule found within `seconds` of wall time.

    Raises:
        ValueError: a time limit that is not positive, or tasks nobody can cover (named).
    """
    if not seconds > 0:
        raise ValueError(f"Expected a positive time limit, got {seconds} s.")
    began = perf_counter()
    first = greedy(problem)
    left = seconds - (perf_counter() - began)
    found = search(problem, left, seed, (first.order, first.rules), stop=stop)
    by = "search" if found.makespan < first.makespan else "greedy"
    timing = found.timing(problem)
    return Plan(found.order, found.rules, timing, lower_bound(problem), by, perf_counter() - began)
