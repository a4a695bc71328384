"""Which task is served next, and by whom? A coalition routing problem as decisions, for a policy to learn.

Every decision serves one open task with one of three teams, each of which makes its earliest start possible (see
`schedule.py`): the first to arrive, those who lose the least time waiting, or those with the shortest way. Every
decision is possible, and every trajectory ends after as many decisions as there are tasks.

Features of a candidate (task, rule), times in units of a mean way and a mean duration:

| # | feature |
|---|---|
| 0 | start after the earliest start of any candidate |
| 1 | start after the mean time at which robots are free |
| 2 | time a member loses between being free and the start, mean |
| 3 | way of a member, mean |
| 4 | wait of the first member to arrive |
| 5 | duration |
| 6 | longest way home of a member |
| 7 | when the team could be home, after the present last time home |
| 8 | duration and way home, less the largest of the open tasks |
| 9 | share of robots in the team |
| 10 | way to the nearest other open task |
| 11 | mean way to the other open tasks |
| 12 | share of tasks open |
| 13 | work left of the skill with most of it among those needed here, per robot that has it, over 4 |
| 14 | work left of the skill with most of it, likewise |
| 15, 16 | whether the team is chosen by LATEST, by NEAREST |
"""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray, IntArray, LongArray
from allocenv.core.kernel import kernel
from allocenv.problems.task.routing.instance import Routing
from allocenv.problems.task.routing.schedule import (
    RULES,
    Fleet,
    Layout,
    choose,
    go,
    last_home,
    layout_of,
)
from allocenv.problems.task.routing.search import Found, search
from allocenv.problems.task.scorer import checked_weights, noise, score

FEATURES = 17
REPAIR_TRIES = 40  # of local search a task, for the best trajectories


class State(NamedTuple):
    """Where B trajectories are."""

    ready: Array  # [B, R] float64  when each robot is free
    place: LongArray  # [B, R]
    order: LongArray  # [B, T]  the tasks served, the first `n_done` of them
    rules: LongArray  # [B, T]  by task
    done: BoolArray  # [B, T]
    n_done: LongArray  # [B]
    makespan: Array  # [B] float64  of what is served so far
    random: Array  # [B, 1] uint64
    # scratch, renewed by every look
    arrival: Array  # [B, R] float64
    member: BoolArray  # [B, R]
    lacks: LongArray  # [B, K]
    features: Array  # [B, T * RULES, FEATURES] float64


def begin(layout: Layout, n: int, seed: int) -> State:
    """n trajectories with nothing served; the first n of any number are the same."""
    n_tasks, n_skills = layout.need.shape
    r = len(layout.ability)
    random = np.array([np.random.SeedSequence([seed, b]).generate_state(1, np.uint64) for b in range(n)])
    return State(
        ready=np.zeros((n, r)),
        place=np.tile(n_tasks + np.arange(r), (n, 1)),
        order=np.zeros((n, n_tasks), np.int64),
        rules=np.zeros((n, n_tasks), np.int64),
        done=np.zeros((n, n_tasks), np.bool_),
        n_done=np.zeros(n, np.int64),
        makespan=np.zeros(n),
        random=random.reshape(n, 1) | np.uint64(1),
        arrival=np.zeros((n, r)),
        member=np.zeros((n, r), np.bool_),
        lacks=np.zeros((n, n_skills), np.int64),
        features=np.zeros((n, n_tasks * RULES, FEATURES)),
    )


def score_features(layout: Layout, state: State, b: int = 0) -> tuple[IntArray, Array]:
    """The candidates (task, rule) of trajectory b, [P, 2], and their features, [P, FEATURES] float64."""
    describe(layout, state, b, unit_of(layout))
    tasks = np.flatnonzero(~state.done[b])
    pairs = np.array([(task, rule) for task in tasks for rule in range(RULES)], np.int32).reshape(-1, 2)
    return pairs, state.features[b, pairs[:, 0] * RULES + pairs[:, 1]].copy()


def step(layout: Layout, state: State, actions: Array) -> None:
    """Serve a task in each trajectory.

    Args:
        actions: (task, rule) [B, 2].

    Raises:
        ValueError: a task that is served already, or numbers out of range.
    """
    actions = np.asarray(actions, np.int64)
    if actions.shape != (len(state.ready), 2):
        raise ValueError(f"Expected actions of shape {(len(state.ready), 2)}, got {actions.shape}.")
    for b, (task, rule) in enumerate(actions):
        if not (0 <= task < len(layout.need) and 0 <= rule < RULES) or state.done[b, task]:
            raise ValueError(f"Expected an open task and a rule 0..{RULES - 1}, got ({task}, {rule}) in row {b}.")
    for b, (task, rule) in enumerate(actions):
        take(layout, state, b, task, rule)


def rollout(
    problem: Routing,
    weights: Array,
    n_hidden: int = 0,
    samples: int = 1,
    temperature: float = 0.0,
    seed: int = 0,
    repaired: int = 4,
) -> Found:
    """The best of `samples` schedules a scorer of candidates builds, after local search on the best few.

    Args:
        weights: of the scorer, see `scorer.py`; `greedy_weights()` are a start.
        temperature: of the softmax over candidates; 0: the best one. The first sample always takes the best one.
        repaired: how many of the best trajectories local search goes on with.
    """
    weights = checked_weights(weights, FEATURES, n_hidden)
    if samples < 1 or temperature < 0:
        raise ValueError(f"Expected samples >= 1 and temperature >= 0, got {samples} and {temperature}.")
    layout = layout_of(problem)
    state = begin(layout, samples, seed)
    build(layout, state, weights, n_hidden, temperature, unit_of(layout), 0, samples)
    ranked = np.argsort(state.makespan, kind="stable")
    b = int(ranked[0])
    best = Found(state.order[b].copy(), state.rules[b].copy(), float(state.makespan[b]), samples)
    for k, b in enumerate(ranked[:repaired]):
        start = state.order[b], state.rules[b]
        found = search(problem, 60.0, seed + k, start, REPAIR_TRIES * problem.n_tasks)
        best = min(best, found, key=lambda f: f.makespan)
    return best


def greedy_weights() -> Array:
    """A linear scorer without training: early starts, and long and far tasks first, with teams that wait least."""
    weights = np.zeros(FEATURES)
    weights[0], weights[5], weights[6], weights[15] = -1.0, 0.5, 0.5, 0.02
    return weights


def unit_of(layout: Layout) -> float:
    """A mean way and a mean duration."""
    return max(float(layout.travel.mean() + layout.duration.mean()), 1e-9)


@kernel
def _fleet(s, b):
    """The robots of trajectory b."""
    return Fleet(s.ready[b], s.place[b], s.arrival[b], s.member[b], s.lacks[b])


@kernel
def take(x, s, b, task, rule):
    """Serve the task."""
    f = _fleet(s, b)
    start = choose(x, f, task, rule)
    go(x, f, task, start)
    s.order[b, s.n_done[b]] = task
    s.rules[b, task] = rule
    s.done[b, task] = True
    s.n_done[b] += 1
    s.makespan[b] = max(s.makespan[b], start + x.duration[task], last_home(x, f))


@kernel
def describe(x, s, b, unit):
    """Fill in the features of all candidates of trajectory b."""
    n, n_robots, n_skills = x.need.shape[0], x.ability.shape[0], x.ability.shape[1]
    f = _fleet(s, b)
    mean_ready, last, most = 0.0, last_home(x, f), 0.0
    for r in range(n_robots):
        mean_ready += f.ready[r] / n_robots
    for k in range(n_skills):
        most = max(most, _work_left(x, s, b, k))
    earliest, longest = np.inf, 0.0
    for task in range(n):
        if s.done[b, task]:
            continue
        near, total, others = np.inf, 0.0, 0
        for other in range(n):
            if other != task and not s.done[b, other]:
                near = min(near, x.travel[other, task])
                total += x.travel[other, task]
                others += 1
        here = 0.0
        for k in range(n_skills):
            if x.need[task, k] > 0:
                here = max(here, _work_left(x, s, b, k))
        for rule in range(RULES):
            start = choose(x, f, task, rule)
            lost, way, first, home, members = 0.0, 0.0, start, 0.0, 0
            for r in range(n_robots):
                if f.member[r]:
                    lost += start - f.ready[r]
                    way += x.travel[f.place[r], task]
                    first = min(first, f.arrival[r])
                    home = max(home, x.travel[n + r, task])
                    members += 1
            earliest = min(earliest, start)
            longest = max(longest, x.duration[task] + home)
            out = s.features[b, task * RULES + rule]
            out[0] = start
            out[1] = (start - mean_ready) / unit
            out[2] = lost / max(members, 1) / unit
            out[3] = way / max(members, 1) / unit
            out[4] = (start - first) / unit
            out[5] = x.duration[task] / unit
            out[6] = home / unit
            out[7] = (start + x.duration[task] + home - last) / unit
            out[8] = x.duration[task] + home
            out[9] = members / n_robots
            out[10] = near / unit if others > 0 else 0.0
            out[11] = total / max(others, 1) / unit
            out[12] = 1.0 - s.n_done[b] / n
            out[13] = here / unit / 4.0
            out[14] = most / unit / 4.0
            out[15] = 1.0 if rule == 1 else 0.0
            out[16] = 1.0 if rule == 2 else 0.0
    for task in range(n):
        if not s.done[b, task]:
            for rule in range(RULES):
                out = s.features[b, task * RULES + rule]
                out[0] = (out[0] - earliest) / unit
                out[8] = (out[8] - longest) / unit


@kernel
def _work_left(x, s, b, k):
    """Durations of the open tasks that need skill k, times the need, per robot that has it."""
    work, able = 0.0, 0
    for task in range(x.need.shape[0]):
        if not s.done[b, task]:
            work += x.need[task, k] * x.duration[task]
    for r in range(x.ability.shape[0]):
        able += x.ability[r, k]
    return work / max(able, 1)


@kernel
def build(x, s, weights, n_hidden, temperature, unit, lo, hi):
    """Serve every task in trajectories lo..hi, by the scorer."""
    n = x.need.shape[0]
    for b in range(lo, hi):
        warmth = temperature if b > 0 else 0.0
        while s.n_done[b] < n:
            describe(x, s, b, unit)
            pick, best = -1, -np.inf
            for task in range(n):
                if not s.done[b, task]:
                    for rule in range(RULES):
                        c = task * RULES + rule
                        value = score(weights, n_hidden, s.features[b, c]) + noise(s.random[b], warmth)
                        if value > best:
                            pick, best = c, value
            take(x, s, b, pick // RULES, pick % RULES)
