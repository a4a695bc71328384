"""What is the best assignment, with a proof?

The knapsack relaxation settles most pairs against the best assignment known; the rest is a small mixed-integer
program for SciPy's HiGHS (imported on first use; CP-SAT found nothing better on these in the same time). Where the
rest is still large, a smaller one is solved first: the pairs that lift the bound least, which gives assignments but
no proof.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray, LongArray
from allocenv.core.clock import perf_counter
from allocenv.core.milp import run_milp
from allocenv.core.solver import never
from allocenv.problems.task.gap.instance import GAP
from allocenv.problems.task.gap.lagrangian import Prices, Settled, capacity_prices, rounded_up, settle

SMALL = 300  # open pairs for which the smaller model is left out
NEAR = 3  # pairs a job in the smaller model
OPTIMAL, INFEASIBLE = 0, 2  # of scipy.optimize.milp


class Exact(NamedTuple):
    """The best assignment, and what no assignment can get past."""

    agent_of: LongArray | None  # [n], or None: none found
    value: int | None  # cost or profit
    bound: float  # lower bound of the cost, upper bound of the profit
    status: str  # "optimal", "feasible", "infeasible" or "unknown"


def solve_exact(
    problem: GAP,
    seconds: float,
    start: Array | None = None,
    prices: Prices | None = None,
    stop: Callable[[], bool] = never,
) -> Exact:
    """The best assignment within `seconds` of wall time, at least as good as a feasible start [n].

    Raises:
        ValueError: a start that is not feasible.
    """
    end = perf_counter() + seconds
    if len(problem.impossible_jobs):
        return Exact(None, None, np.inf if problem.sense == "min" else -np.inf, "infeasible")
    if start is not None and not problem.is_feasible(start):
        raise ValueError("Expected a start that gives every job an agent within its capacity.")
    best = None if start is None else np.asarray(start, np.int64).copy()
    prices = prices or capacity_prices(problem)
    settled = settle(problem, prices, _cost(problem, best))
    closed = False
    if best is not None and settled.open.sum() > SMALL:
        best = _near(problem, settled, best, end, stop)
        settled = _again(problem, prices, settled, _cost(problem, best))
    bound = settled.bound
    if bound > _cost(problem, best) - 1 or not settled.open.any(0).all():
        closed = best is not None
    elif perf_counter() < end and not stop():
        found, low, closed = _model(problem, settled.open, bound, _cost(problem, best), end - perf_counter())
        best, bound = (best if found is None else found), max(bound, low)
    if best is None:
        return Exact(None, None, _in_sense(problem, bound), "infeasible" if closed else "unknown")
    cost = _cost(problem, best)
    bound = cost if closed else min(bound, cost)
    status = "optimal" if cost <= bound else "feasible"
    return Exact(best, problem.value(best), _in_sense(problem, bound), status)


def _near(
    problem: GAP,
    settled: Settled,
    best: LongArray,
    end: float,
    stop: Callable[[], bool],
) -> LongArray:
    """The best assignment among few pairs a job: the cheapest at the prices of jobs and the known one."""
    left = end - perf_counter()
    if left <= 0.05 or stop():
        return best
    lift = np.where(settled.open, settled.lift, np.inf)
    rank = lift.argsort(0, kind="stable").argsort(0, kind="stable")
    near = settled.open & (rank < NEAR)
    near[best, np.arange(problem.n_jobs)] = True
    found, _, _ = _model(problem, near, settled.bound, _cost(problem, best), 0.5 * left)
    return best if found is None else found


def _again(problem: GAP, prices: Prices, settled: Settled, known: float) -> Settled:
    """Settle once more, against a better assignment; a bound stands."""
    fresh = settle(problem, prices, known)
    return fresh._replace(bound=max(fresh.bound, settled.bound), open=fresh.open & settled.open)


def _model(
    problem: GAP, open_: BoolArray, bound: float, known: float, seconds: float
) -> tuple[LongArray | None, float, bool]:
    """The best assignment of open pairs if it costs less than the known one; the bound; whether that is proven."""
    from scipy.optimize import Bounds, LinearConstraint
    from scipy.sparse import csr_matrix

    agent, job = np.nonzero(open_)
    n, every = len(agent), np.arange(len(agent))
    cost = problem.minimised[agent, job].astype(np.float64)
    once = csr_matrix((np.ones(n), (job, every)), (problem.n_jobs, n))
    load = csr_matrix((problem.weight[agent, job].astype(np.float64), (agent, every)), (problem.n_agents, n))
    found = run_milp(
        cost,
        seconds,
        constraints=[LinearConstraint(once, 1, 1), LinearConstraint(load, -np.inf, problem.capacity)],
        integrality=np.ones(n),
        bounds=Bounds(0, 1),
    )
    if found.status == INFEASIBLE:
        return None, bound, True
    low = found.mip_dual_bound
    if low is not None and np.isfinite(low):
        bound = max(bound, rounded_up(float(low)))
    complete = found.status == OPTIMAL
    if found.x is None:
        return None, bound, False
    agent_of = np.zeros(problem.n_jobs, np.int64)
    taken = found.x > 0.5
    agent_of[job[taken]] = agent[taken]
    better = problem.is_feasible(agent_of) and _cost(problem, agent_of) < known
    return (agent_of if better else None), bound, complete


def _cost(problem: GAP, agent_of: LongArray | None) -> float:
    """The minimised cost of an assignment; inf for none."""
    if agent_of is None:
        return np.inf
    value = problem.value(agent_of)
    return float(value if problem.sense == "min" else -value)


def _in_sense(problem: GAP, bound: float) -> float:
    """A bound of the minimised cost as one of the value."""
    return bound if problem.sense == "min" else -bound
