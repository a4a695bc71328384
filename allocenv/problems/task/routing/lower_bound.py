"""Below which makespan can no schedule get?

Two cheap bounds: the farthest, longest task (its team must come and return), and the work of each skill spread
evenly over the robots that have it, with the shortest way to every task.
"""

import numpy as np

from allocenv.core.arrays import Array
from allocenv.problems.task.routing.instance import Routing


def lower_bound(problem: Routing) -> float:
    """No schedule has a smaller makespan; inf where a task cannot be covered."""
    if len(problem.impossible_tasks):
        return np.inf
    travel = problem.travel()
    depot = travel[problem.n_tasks :]  # [R, T]
    return max(_farthest(problem, depot), *(_work(problem, travel, depot, k) for k in range(problem.need.shape[1])))


def _farthest(problem: Routing, depot: Array) -> float:
    """The longest of any task alone: enough robots with its skills come, work and return."""
    longest = 0.0
    for task in range(problem.n_tasks):
        order = np.argsort(depot[:, task], kind="stable")
        there = problem.ability[order].cumsum(0) >= problem.need[task]
        reach = max(
            (depot[order[there[:, k].argmax()], task] for k in np.flatnonzero(problem.need[task])),
            default=0.0,
        )
        longest = max(longest, 2.0 * float(reach) + float(problem.duration[task]))
    return longest


def _work(problem: Routing, travel: Array, depot: Array, k: int) -> float:
    """All work that needs skill k, with the ways to it, shared evenly by those who have it."""
    tasks = np.flatnonzero(problem.need[:, k])
    robots = np.flatnonzero(problem.ability[:, k])
    if len(tasks) == 0:
        return 0.0
    between = travel[: problem.n_tasks].copy()
    np.fill_diagonal(between, np.inf)
    way = np.minimum(between.min(0), depot[robots].min(0))[tasks]
    need, ability = problem.need[tasks, k], problem.ability[robots, k]
    work = float(need @ (problem.duration[tasks] + way))
    back = int(need.max()) * float(depot[np.ix_(robots, tasks)].min())
    return (work + back) / float(ability.sum())
