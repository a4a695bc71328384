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
| 17 | how much later the candidate makes the skills end, each weighted by how critical it is, times 2 |
| 18 | how much later it makes the skill end that ends last, times 2 |
| 19 | end of the skill that ends last of those needed here, after that of all |
| 20 | how critical the skills needed here are together: 0..1 |
| 21 | when the team could be home, after the end of the skill that ends last |
| 22 | how much later the other open tasks can start, mean |
| 23 | earliest start of another open task afterwards, after the earliest start now |
| 24 | how much later the task can start once another one is served, mean over the others (by EARLIEST) |
| 25 | when all open tasks could be done and their teams home, after the end of the skill that ends last |

A skill ends, by estimate, when the robots that have it have done the open tasks that need it, each with part of its
mean way to other open tasks, and are home, if they share the work evenly and wait for nobody. How critical skills
are is a softmax of their ends.
"""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray, IntArray, LongArray
from allocenv.core.kernel import kernel
from allocenv.problems.task.routing.instance import Routing
from allocenv.problems.task.routing.schedule import (
    EARLIEST,
    LATEST,
    NEAREST,
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

FEATURES = 26
WAY_SHARE = 0.6  # of the mean way to the other open tasks that a robot goes to one, by estimate
CRITICAL = 0.25  # temperature of how critical skills are, in units of time
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
    reach: Array  # [B, T, R] float64  when each robot could be at an open task
    way: Array  # [B, T, 2] float64  from each open task to the nearest other one, and to all, mean
    open: Array  # [B, T, 3] float64  of open tasks: earliest start; duration and way home; delay by others
    skill: Array  # [B, K, 4] float64  robots that have it; its end, by estimate; how critical it is; work left
    bound: BoolArray  # [B, K]  whether a member of the team has the skill
    first: BoolArray  # [B, R]  the team by EARLIEST
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
        reach=np.zeros((n, n_tasks, r)),
        way=np.zeros((n, n_tasks, 2)),
        open=np.zeros((n, n_tasks, 3)),
        skill=np.zeros((n, n_skills, 4)),
        bound=np.zeros((n, n_skills), np.bool_),
        first=np.zeros((n, r), np.bool_),
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
    _look_around(x, s, b)
    final = _weigh_skills(x, s, b, unit)
    for k in range(n_skills):
        most = max(most, s.skill[b, k, 3])
    earliest, longest = np.inf, 0.0
    for task in range(n):
        if not s.done[b, task]:
            start, home = choose(x, f, task, EARLIEST), 0.0
            for r in range(n_robots):
                s.reach[b, task, r] = f.arrival[r]
                if f.member[r]:
                    home = max(home, x.travel[n + r, task])
            s.open[b, task, 0] = start
            s.open[b, task, 1] = x.duration[task] + home
            s.open[b, task, 2] = 0.0
            earliest = min(earliest, start)
            longest = max(longest, x.duration[task] + home)
    for task in range(n):
        if s.done[b, task]:
            continue
        here, end, critical = 0.0, 0.0, 0.0
        for k in range(n_skills):
            if x.need[task, k] > 0:
                here = max(here, s.skill[b, k, 3])
                end = max(end, s.skill[b, k, 1])
                critical += s.skill[b, k, 2]
        for rule in range(RULES):
            start = choose(x, f, task, rule)
            out = s.features[b, task * RULES + rule]
            if rule != EARLIEST and _same_team(s, b, f):
                for k in range(FEATURES):
                    out[k] = s.features[b, task * RULES + EARLIEST, k]
                out[15] = 1.0 if rule == LATEST else 0.0
                out[16] = 1.0 if rule == NEAREST else 0.0
                continue
            lost, way, first, home, members = 0.0, 0.0, start, 0.0, 0
            for r in range(n_robots):
                if f.member[r]:
                    lost += start - f.ready[r]
                    way += x.travel[f.place[r], task]
                    first = min(first, f.arrival[r])
                    home = max(home, x.travel[n + r, task])
                    members += 1
                if rule == EARLIEST:
                    s.first[b, r] = f.member[r]
            out[0] = (start - earliest) / unit
            out[1] = (start - mean_ready) / unit
            out[2] = lost / max(members, 1) / unit
            out[3] = way / max(members, 1) / unit
            out[4] = (start - first) / unit
            out[5] = x.duration[task] / unit
            out[6] = home / unit
            out[7] = (start + x.duration[task] + home - last) / unit
            out[8] = (x.duration[task] + home - longest) / unit
            out[9] = members / n_robots
            out[10] = s.way[b, task, 0] / unit
            out[11] = s.way[b, task, 1] / unit
            out[12] = 1.0 - s.n_done[b] / n
            out[13] = here / unit / 4.0
            out[14] = most / unit / 4.0
            out[15] = 1.0 if rule == LATEST else 0.0
            out[16] = 1.0 if rule == NEAREST else 0.0
            weighted, latest = _ends_later(x, s, b, f, task, start)
            out[17] = 2.0 * weighted / unit
            out[18] = 2.0 * (latest - final) / unit
            out[19] = (end - final) / unit
            out[20] = critical
            out[21] = (start + x.duration[task] + home - final) / unit
            later, following, done = _starts_later(x, s, b, f, task, start + x.duration[task], rule)
            out[22] = later / unit
            out[23] = (following - earliest) / unit
            out[25] = (max(done, start + x.duration[task] + home) - final) / unit
    for task in range(n):
        if not s.done[b, task]:
            for rule in range(RULES):
                out = s.features[b, task * RULES + rule]
                out[24] = s.open[b, task, 2] / max(n - s.n_done[b] - 1, 1) / unit


@kernel
def _look_around(x, s, b):
    """Fill in the ways between open tasks."""
    n = x.need.shape[0]
    for task in range(n):
        if s.done[b, task]:
            continue
        near, total, others = np.inf, 0.0, 0
        for other in range(n):
            if other != task and not s.done[b, other]:
                near = min(near, x.travel[other, task])
                total += x.travel[other, task]
                others += 1
        s.way[b, task, 0] = near if others > 0 else 0.0
        s.way[b, task, 1] = total / max(others, 1)


@kernel
def _weigh_skills(x, s, b, unit):
    """Fill in when each skill ends and how critical that is; returns when the last one ends."""
    final, total = 0.0, 0.0
    for k in range(x.ability.shape[1]):
        able, work, left, alone = 0.0, 0.0, 0, 0.0
        for r in range(x.ability.shape[0]):
            able += x.ability[r, k]
            work += x.ability[r, k] * s.ready[b, r]
        for task in range(x.need.shape[0]):
            if not s.done[b, task] and x.need[task, k] > 0:
                work += x.need[task, k] * (x.duration[task] + WAY_SHARE * s.way[b, task, 1])
                alone += x.need[task, k] * x.duration[task]
                left += 1
        for r in range(x.ability.shape[0]):
            work += x.ability[r, k] * _way_home(x, s, b, r, k, left)
        s.skill[b, k, 0] = able
        s.skill[b, k, 1] = work / max(able, 1.0)
        s.skill[b, k, 3] = alone / max(able, 1.0)
        final = max(final, s.skill[b, k, 1])
    for k in range(x.ability.shape[1]):
        s.skill[b, k, 2] = np.exp((s.skill[b, k, 1] - final) / (CRITICAL * unit)) if s.skill[b, k, 0] > 0.0 else 0.0
        total += s.skill[b, k, 2]
    for k in range(x.ability.shape[1]):
        s.skill[b, k, 2] /= max(total, 1e-9)
    return final


@kernel
def _way_home(x, s, b, robot, k, left):
    """Part of the mean way home from the `left` open tasks that need the skill; without any, from where it is."""
    n = x.need.shape[0]
    if left == 0:
        return x.travel[n + robot, s.place[b, robot]] if s.place[b, robot] < n else 0.0
    total = 0.0
    for task in range(n):
        if not s.done[b, task] and x.need[task, k] > 0:
            total += x.travel[n + robot, task]
    return WAY_SHARE * total / left


@kernel
def _ends_later(x, s, b, f, task, start):
    """How much later the skills end with this team, weighted by how critical they are; when the last one ends then."""
    weighted, latest = 0.0, 0.0
    for k in range(x.need.shape[1]):
        end = s.skill[b, k, 1]
        if x.need[task, k] > 0:
            spent = -x.need[task, k] * (x.duration[task] + WAY_SHARE * s.way[b, task, 1])
            for r in range(f.ready.size):
                if f.member[r]:
                    spent += x.ability[r, k] * (start + x.duration[task] - f.ready[r])
            weighted += s.skill[b, k, 2] * spent / s.skill[b, k, 0]
            end += spent / s.skill[b, k, 0]
        latest = max(latest, end)
    return weighted, latest


@kernel
def _same_team(s, b, f):
    """Whether the team is that by EARLIEST."""
    same = True
    for r in range(f.ready.size):
        same = same and f.member[r] == s.first[b, r]
    return same


@kernel
def _starts_later(x, s, b, f, task, end, rule):
    """What becomes of the other open tasks once the team of this one is bound until its end.

    Returns how much later they can start, mean; the earliest start among them; and when all could be done and home.
    A task starts when enough robots of each skill are there.
    """
    total, following, done, others = 0.0, np.inf, 0.0, 0
    for k in range(x.need.shape[1]):
        s.bound[b, k] = False
        for r in range(f.ready.size):
            s.bound[b, k] = s.bound[b, k] or (f.member[r] and x.ability[r, k] > 0)
    for other in range(x.need.shape[0]):
        if other == task or s.done[b, other]:
            continue
        start = s.open[b, other, 0]
        missed = False  # whether one of the team would have been there by the earliest start
        for r in range(f.ready.size):
            missed = missed or (f.member[r] and s.reach[b, other, r] <= start)
        for k in range(x.need.shape[1]):
            if missed and x.need[other, k] > 0 and s.bound[b, k]:
                start = max(start, _covered(x, s, b, f, task, other, k, end))
        later = start - s.open[b, other, 0]
        if rule == EARLIEST:
            s.open[b, other, 2] += later
        total += later
        following = min(following, start)
        done = max(done, start + s.open[b, other, 1])
        others += 1
    return total / max(others, 1), following if others > 0 else end, done


@kernel
def _covered(x, s, b, f, task, other, k, end):
    """When enough robots with the skill are at the other task, those of the team after the end of theirs."""
    left, now, then = x.need[other, k], -np.inf, end + x.travel[task, other]
    while left > 0:
        nearest, there = np.inf, 0
        for r in range(f.ready.size):
            if x.ability[r, k] > 0:
                arrival = then if f.member[r] else s.reach[b, other, r]
                if arrival > now and arrival < nearest:
                    nearest, there = arrival, x.ability[r, k]
                elif arrival == nearest:
                    there += x.ability[r, k]
        if there == 0:
            return now
        now = nearest
        left -= there
    return now


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
