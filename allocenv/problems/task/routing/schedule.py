"""When does each task start, and when is the last robot home?

Either routes are given and timed, or tasks in an order are served one after the other by teams chosen on the way.
A team has no member that it could do without. DCMRTA's waiting limit (10 time units) is not enforced: a plan is
made beforehand, and a robot that would wait too long at a task leaves for it later instead. `longest_wait` tells.
"""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray, LongArray
from allocenv.core.kernel import kernel
from allocenv.problems.task.routing.instance import Routing

EARLIEST, LATEST, NEAREST = (
    0,
    1,
    2,
)  # of the robots that make the earliest start possible: how a team is chosen
RULES = 3


class Layout(NamedTuple):
    """The problem as kernels read it."""

    travel: Array  # [T + R, T] float64  from each place; T + r is the depot of robot r
    ability: LongArray  # [R, K]
    need: LongArray  # [T, K]
    duration: Array  # [T] float64


class Fleet(NamedTuple):
    """Where the robots are, after any number of tasks."""

    ready: Array  # [R] float64  when each robot is free
    place: LongArray  # [R]  where it is then
    # scratch of `choose`
    arrival: Array  # [R] float64
    member: BoolArray  # [R]
    lacks: LongArray  # [K]


class Timing(NamedTuple):
    """A schedule."""

    start: Array  # [T] float64  inf: never
    team: BoolArray  # [T, R]  who works on it
    makespan: float  # inf where a task never starts
    longest_wait: float  # of a robot for its team
    routes: list[list[int]]  # [R]  tasks of each robot in order


def layout_of(problem: Routing) -> Layout:
    """The problem for kernels. Raises ValueError where a task cannot be covered."""
    if len(problem.impossible_tasks):
        raise ValueError(
            f"Expected tasks that all robots together can cover; tasks {problem.impossible_tasks.tolist()} cannot be."
        )
    return Layout(problem.travel(), problem.ability.copy(), problem.need.copy(), problem.duration.copy())


def fleet_of(layout: Layout) -> Fleet:
    """All robots at their depots."""
    r, k = layout.ability.shape
    n = len(layout.need)
    return Fleet(np.zeros(r), n + np.arange(r), np.zeros(r), np.zeros(r, np.bool_), np.zeros(k, np.int64))


def serve(problem: Routing, order: Array, rules: Array | int = EARLIEST) -> Timing:
    """Serve the tasks in this order, each as early as its team can be there.

    Args:
        order: all tasks [T].
        rules: how teams are chosen, for each task [T] or for all: EARLIEST, LATEST or NEAREST.

    Raises:
        ValueError: not each task once, an unknown rule, or a task nobody can cover.
    """
    layout = layout_of(problem)
    order = np.asarray(order, np.int64)
    rules = np.broadcast_to(np.asarray(rules, np.int64), (problem.n_tasks,))
    if not np.array_equal(np.sort(order), np.arange(problem.n_tasks)):
        raise ValueError(f"Expected each of {problem.n_tasks} tasks once in the order.")
    if ((rules < 0) | (rules >= RULES)).any():
        raise ValueError(f"Expected rules 0..{RULES - 1}, got {rules.min()}..{rules.max()}.")
    fleet = fleet_of(layout)
    start, team = np.zeros(problem.n_tasks), np.zeros((problem.n_tasks, problem.n_robots), np.bool_)
    routes: list[list[int]] = [[] for _ in range(problem.n_robots)]
    longest = 0.0
    for task in order:
        start[task] = choose(layout, fleet, task, rules[task])
        team[task] = fleet.member
        longest = max(longest, start[task] - fleet.arrival[fleet.member].min(initial=start[task]))
        go(layout, fleet, task, start[task])
        for r in np.flatnonzero(team[task]):
            routes[r].append(int(task))
    makespan = max(float(last_home(layout, fleet)), float((start + problem.duration).max()))
    return Timing(start, team, makespan, float(longest), routes)


def time_routes(problem: Routing, routes: list[list[int]]) -> Timing:
    """When do given routes end? A task starts once the robots there cover its need; who comes later goes on at once.

    Tasks that never start (teams that wait for each other, or lack a skill) have start inf.

    Raises:
        ValueError: not a route for each robot, or an unknown task.
    """
    if len(routes) != problem.n_robots:
        raise ValueError(f"Expected {problem.n_robots} routes, got {len(routes)}.")
    width = max([len(route) for route in routes], default=0)
    table = np.full((problem.n_robots, width + 1), -1, np.int64)
    for r, route in enumerate(routes):
        if any(not 0 <= task < problem.n_tasks for task in route):
            raise ValueError(f"Expected tasks 0..{problem.n_tasks - 1} in route {r}, got {route}.")
        table[r, : len(route)] = route
    layout = Layout(problem.travel(), problem.ability.copy(), problem.need.copy(), problem.duration.copy())
    fleet = fleet_of(layout)
    start = np.full(problem.n_tasks, np.inf)
    team = np.zeros((problem.n_tasks, problem.n_robots), np.bool_)
    start[(problem.need == 0).all(1)] = 0.0
    at = np.zeros(problem.n_robots, np.int64)
    waiting = np.zeros(problem.n_robots, np.bool_)
    longest = run_routes(layout, fleet, table, at, waiting, start, team)
    done = bool(np.isfinite(start).all() and not waiting.any())
    makespan = max(float(last_home(layout, fleet)), float((start + problem.duration).max())) if done else np.inf
    return Timing(start, team, makespan, float(longest), [list(route) for route in routes])


@kernel
def choose(x, f, task, rule):
    """Choose the team that lets the task start earliest; returns the start. Members are in `f.member`."""
    n_robots, n_skills = x.ability.shape
    left = 0
    for k in range(n_skills):
        f.lacks[k] = x.need[task, k]
        left += x.need[task, k]
    for r in range(n_robots):
        f.arrival[r] = f.ready[r] + x.travel[f.place[r], task]
        f.member[r] = False
    start = 0.0
    while left > 0:
        best, key = -1, np.inf
        for r in range(n_robots):
            if not f.member[r] and f.arrival[r] < key and _helps(x, f, r):
                best, key = r, f.arrival[r]
        left -= _join(x, f, best)
        start = f.arrival[best]
    if rule != EARLIEST:
        left = 0
        for k in range(n_skills):
            f.lacks[k] = x.need[task, k]
            left += x.need[task, k]
        for r in range(n_robots):
            f.member[r] = False
        while left > 0:
            best, key = -1, np.inf
            for r in range(n_robots):
                if not f.member[r] and f.arrival[r] <= start and _helps(x, f, r):
                    value = -f.arrival[r] if rule == LATEST else x.travel[f.place[r], task]
                    if value < key:
                        best, key = r, value
            left -= _join(x, f, best)
    return _without_idlers(x, f, task)


@kernel
def _helps(x, f, r):
    """Whether the robot has a skill that is still lacking."""
    helps = False
    for k in range(x.ability.shape[1]):
        helps = helps or (x.ability[r, k] > 0 and f.lacks[k] > 0)
    return helps


@kernel
def _join(x, f, r):
    """Make the robot a member; returns how much of what is lacking it covers."""
    f.member[r] = True
    covered = 0
    for k in range(x.ability.shape[1]):
        part = min(x.ability[r, k], max(f.lacks[k], 0))
        f.lacks[k] -= x.ability[r, k]
        covered += part
    return covered


@kernel
def _without_idlers(x, f, task):
    """Dismiss members the team can do without; returns when the last one is there."""
    n_robots, n_skills = x.ability.shape
    start = 0.0
    for r in range(n_robots):
        if not f.member[r]:
            continue
        idle = True
        for k in range(n_skills):
            if x.ability[r, k] > 0 and f.lacks[k] + x.ability[r, k] > 0:
                idle = False
        if idle:
            f.member[r] = False
            for k in range(n_skills):
                f.lacks[k] += x.ability[r, k]
        else:
            start = max(start, f.arrival[r])
    return start


@kernel
def go(x, f, task, start):
    """Send the team to the task."""
    for r in range(f.ready.size):
        if f.member[r]:
            f.ready[r] = start + x.duration[task]
            f.place[r] = task


@kernel
def last_home(x, f):
    """When the last robot that has worked is back at its depot."""
    n = x.need.shape[0]
    last = 0.0
    for r in range(f.ready.size):
        if f.place[r] < n:
            last = max(last, f.ready[r] + x.travel[n + r, f.place[r]])
    return last


@kernel
def run_routes(x, f, table, at, waiting, start, team):
    """Follow the routes, always the next arrival; returns the longest wait."""
    n_robots, n_skills = x.ability.shape
    longest = 0.0
    while True:
        best, key = -1, np.inf
        for r in range(n_robots):
            if not waiting[r] and table[r, at[r]] >= 0:
                arrival = f.ready[r] + x.travel[f.place[r], table[r, at[r]]]
                if arrival < key:
                    best, key = r, arrival
        if best < 0:
            return longest
        task = table[best, at[best]]
        f.ready[best] = key
        f.place[best] = task
        if start[task] < np.inf:
            at[best] += 1
            continue
        waiting[best] = True
        covered = True
        for k in range(n_skills):
            there = 0
            for r in range(n_robots):
                if waiting[r] and f.place[r] == task:
                    there += x.ability[r, k]
            covered = covered and there >= x.need[task, k]
        if covered:
            start[task] = key
            for r in range(n_robots):
                if waiting[r] and f.place[r] == task:
                    longest = max(longest, key - f.ready[r])
                    waiting[r] = False
                    team[task, r] = True
                    f.ready[r] = key + x.duration[task]
                    at[r] += 1
