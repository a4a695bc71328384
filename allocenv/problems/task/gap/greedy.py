"""What does the regret greedy find?

Martello and Toth (Knapsack Problems, 1990, section 7.4, MTHG): again and again the job whose best agent is most
desirable compared with its second one goes to its best agent; then jobs shift to cheaper agents with room. The
measures of desirability are theirs and one more: the reduced cost at prices of capacity.
"""

import numpy as np

from allocenv.core.arrays import Array, LongArray
from allocenv.core.kernel import allocating_kernel
from allocenv.problems.task.gap.instance import GAP
from allocenv.problems.task.gap.lagrangian import Prices, capacity_prices, reduced_costs
from allocenv.problems.task.gap.search import Found

MEASURES = ("profit", "profit_per_weight", "weight", "weight_share", "reduced_cost")


def greedy(problem: GAP, measures: tuple[str, ...] = MEASURES, prices: Prices | None = None) -> Found:
    """The best of the regret greedies by these measures.

    A job that fits nowhere any more goes where the excess is least, so the result may be infeasible.

    Raises:
        ValueError: an unknown measure, or none.
    """
    if not measures:
        raise ValueError(f"Expected at least one measure of {MEASURES}.")
    cost, weight = np.ascontiguousarray(problem.minimised.T), np.ascontiguousarray(problem.weight.T)
    best: tuple[int, int, LongArray] | None = None
    for name in measures:
        agent_of, excess = _regret(desirability(problem, name, prices), weight, problem.capacity)
        _shift(cost, weight, problem.capacity, agent_of)
        total = int(cost[np.arange(problem.n_jobs), agent_of].sum())
        if best is None or (int(excess), total) < best[:2]:
            best = (int(excess), total, agent_of)
    assert best is not None
    return Found(best[2], best[0] == 0, problem.value(best[2]), len(measures))


def desirability(problem: GAP, measure: str, prices: Prices | None = None) -> Array:
    """How good each agent is for each job by a measure, larger is better: [n, m] float64."""
    cost, weight = problem.minimised.T.astype(np.float64), problem.weight.T.astype(np.float64)
    profit: Array = cost.max(1, keepdims=True) - cost + 1.0
    if measure == "profit":
        return profit
    if measure == "profit_per_weight":
        per_weight: Array = profit / np.maximum(weight, 1e-9)
        return per_weight
    if measure == "weight":
        return -weight
    if measure == "weight_share":
        share: Array = weight / np.maximum(problem.capacity, 1e-9)
        return -share
    if measure == "reduced_cost":
        return -reduced_costs(problem, prices or capacity_prices(problem))
    raise ValueError(f"Expected a measure of {MEASURES}, got {measure!r}.")


@allocating_kernel
def _regret(desire, weight, capacity):
    """Agents of the jobs [n], and the excess over capacities."""
    n, m = desire.shape
    room = capacity.copy()
    agent_of = np.full(n, -1)
    best, regret = np.full(n, -1), np.zeros(n)
    stale = np.full(n, True)
    excess = 0
    for _ in range(n):
        pick = -1
        for j in range(n):
            if agent_of[j] >= 0:
                continue
            if stale[j]:
                stale[j] = False
                first, second, at = -np.inf, -np.inf, -1
                for i in range(m):
                    if weight[j, i] <= room[i]:
                        d = desire[j, i]
                        if d > first:
                            first, second, at = d, first, i
                        elif d > second:
                            second = d
                best[j] = at
                regret[j] = -1.0 if at < 0 else first - second
            if pick < 0 or regret[j] > regret[pick]:
                pick = j
        i = best[pick]
        if i < 0:
            i = 0
            for other in range(m):
                more = weight[pick, other] - max(room[other], 0)
                if more < weight[pick, i] - max(room[i], 0):
                    i = other
            excess += weight[pick, i] - max(room[i], 0)
        agent_of[pick] = i
        room[i] -= weight[pick, i]
        for j in range(n):
            stale[j] = True if weight[j, i] > room[i] else stale[j]
    return agent_of, excess


@allocating_kernel
def _shift(cost, weight, capacity, agent_of):
    """Let jobs shift to the cheapest agents with room until none gains; in place."""
    n, m = cost.shape
    room = capacity.copy()
    for j in range(n):
        room[agent_of[j]] -= weight[j, agent_of[j]]
    moved = True
    while moved:
        moved = False
        for j in range(n):
            a, to = agent_of[j], agent_of[j]
            for i in range(m):
                if cost[j, i] < cost[j, to] and weight[j, i] <= room[i]:
                    to = i
            if to != a:
                room[a] += weight[j, a]
                room[to] -= weight[j, to]
                agent_of[j] = to
                moved = True
