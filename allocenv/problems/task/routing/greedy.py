"""What does the earliest-start greedy find?

Again and again the task with the least score is served next: when it can start, less a weight times its duration
and a weight times its distance from the depot, and a weight times the time its team waits and travels. The four
settings are ours; the first is the plain earliest start.
"""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import LongArray
from allocenv.core.kernel import kernel
from allocenv.problems.task.routing.instance import Routing
from allocenv.problems.task.routing.schedule import (
    EARLIEST,
    LATEST,
    NEAREST,
    choose,
    fleet_of,
    go,
    last_home,
    layout_of,
)


class Weights(NamedTuple):
    """How much each part counts in a task's score, in time units."""

    duration: float = 0.0  # long tasks first where positive
    home: float = 0.0  # far ones first where positive
    wait: float = 0.0  # of the team's total time between being free and the start
    rule: int = EARLIEST  # how teams are chosen


EARLIEST_START = Weights()
SETTINGS = (
    EARLIEST_START,
    Weights(duration=0.5, home=0.5, rule=LATEST),
    Weights(duration=0.6, home=1.0, rule=LATEST),
    Weights(home=0.6, wait=0.1, rule=NEAREST),
)


class Found(NamedTuple):
    """The order of a greedy."""

    order: LongArray  # [T]
    rules: LongArray  # [T]
    makespan: float


def greedy(problem: Routing, settings: tuple[Weights, ...] = SETTINGS) -> Found:
    """The best of the greedies with these weights.

    Raises:
        ValueError: no setting, or a task nobody can cover.
    """
    if not settings:
        raise ValueError("Expected at least one setting.")
    layout = layout_of(problem)
    best: Found | None = None
    for weights in settings:
        order, fleet = np.zeros(problem.n_tasks, np.int64), fleet_of(layout)
        done = np.zeros(problem.n_tasks, np.bool_)
        makespan = float(_greedy(layout, fleet, order, done, *weights))
        if best is None or makespan < best.makespan:
            best = Found(order, np.full(problem.n_tasks, weights.rule), makespan)
    assert best is not None
    return best


@kernel
def _greedy(x, f, order, done, duration, home, wait, rule):
    """Fill in the order; returns the makespan."""
    n, n_robots = x.need.shape[0], f.ready.size
    end = 0.0
    for p in range(n):
        pick, least = -1, np.inf
        for task in range(n):
            if done[task]:
                continue
            start = choose(x, f, task, rule)
            away, lost = 0.0, 0.0
            for r in range(n_robots):
                if f.member[r]:
                    away = max(away, x.travel[n + r, task])
                    lost += start - f.ready[r]
            value = start - duration * x.duration[task] - home * away + wait * lost
            if value < least:
                pick, least = task, value
        start = choose(x, f, pick, rule)
        go(x, f, pick, start)
        order[p] = pick
        done[pick] = True
        end = max(end, start + x.duration[pick])
    return max(end, last_home(x, f))
