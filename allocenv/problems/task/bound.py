"""What can a mission earn at most? Every task at its value, covered at the least cost by a fleet that is all free.

The cover costs are those of the linear relaxation (`cover.py`; facts/task_allocation.md section 7: 83.7 on the
published RBF instance). Where needs shrink with the value, a fading task may pay more than a fresh one; the share
v f - cover(f need) is concave in the factor f, so that its slope at 1 tells.
"""

from typing import TYPE_CHECKING

import numpy as np

from allocenv.core.arrays import Array
from allocenv.problems.task.cover import Workspace, cover_cost, workspace
from allocenv.problems.task.mission import Mission
from allocenv.problems.task.rules import NONE, PAPER_ELECTRIC

if TYPE_CHECKING:
    from allocenv.problems.task.problem import Task

STEP = 1e-4  # by which the factor is lowered to tell the slope
FACTORS = np.linspace(0.0, 1.0, 201)  # between which the best one is looked for where the slope is negative


def upper_bound(problem: "Task", mission: Mission) -> float:
    """No way of serving the mission earns more than this, value less cost; inf: unknown (makespan, paper electric)."""
    if problem.rules.makespan or problem.rules.stepping == PAPER_ELECTRIC:
        return np.inf
    return float(task_bounds(problem, mission).sum())


def task_bounds(problem: "Task", mission: Mission) -> Array:
    """What each task can earn at most: [Q]."""
    work = workspace(1, mission.n_entities, mission.n_abilities)
    shrinks = problem.rules.decay_needs and problem.rules.decay < 1.0
    found = np.zeros(mission.n_tasks)
    for q in range(mission.n_tasks):
        cost = _least_costs(problem, mission, q)
        value = mission.value[q]
        found[q] = value - _cover(work, mission, q, cost, 1.0)
        if not shrinks:
            continue
        later = value * (1.0 - STEP) - _cover(work, mission, q, cost, 1.0 - STEP)
        if later > found[q] or not np.isfinite(found[q]):  # what nobody can cover now somebody may later
            found[q] = _faded(work, mission, q, cost)
    return np.maximum(found, 0.0)


def _faded(work: Workspace, mission: Mission, q: int, cost: Array) -> float:
    """At most this for any factor: between two factors value is that of the higher, cost that of the lower."""
    covers = np.array([_cover(work, mission, q, cost, f) for f in FACTORS])
    return float((FACTORS[1:] * mission.value[q] - covers[:-1]).max())


def _least_costs(problem: "Task", mission: Mission, q: int) -> Array:
    """What each entity costs at task q at least, wherever it is: [M]; inf: it cannot serve."""
    cost = mission.cost.copy()
    if problem.rules.metric == NONE:  # nobody moves
        straight = np.sqrt(((mission.task_xy[q] - mission.xy) ** 2).sum(axis=1))
        cost += 0.5 * (mission.rate + mission.task_rate[q]) * straight
    if mission.owner[q] >= 0:
        cost[mission.owner[q]] = np.inf
    return cost


def _cover(work: Workspace, mission: Mission, q: int, cost: Array, factor: float) -> float:
    """The least cost of covering that share of the need; inf: impossible."""
    needed, able = np.flatnonzero(mission.need[q]), np.flatnonzero(np.isfinite(cost))
    if factor == 0.0 or not len(able):
        return 0.0 if factor == 0.0 else np.inf
    work.cost[0, : len(able)] = cost[able]
    work.ability[0, : len(able), : len(needed)] = mission.ability[able][:, needed] / (factor * mission.need[q, needed])
    return float(cover_cost(work, 0, len(able), len(needed)))
