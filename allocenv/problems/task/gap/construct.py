"""Which job goes to which agent next? A generalised assignment as decisions, for a policy to learn.

Every decision gives one unassigned job to an agent with room for it. Where a job fits no agent any more, jobs make
room for it (ejection); where that fails it goes where the excess is least, and local search repairs the end.

Features of a pair (job, agent), costs in units of the mean cost spread of a job, all about -1 to 1:

| # | feature |
|---|---|
| 0 | cost above the job's cheapest agent with room |
| 1 | cost regret: cheapest other agent with room less this one |
| 2 | weight as a share of the agent's room |
| 3 | reduced cost at the prices of capacity |
| 4 | its regret: least reduced cost of another agent with room less this one |
| 5 | room as a share of capacity |
| 6 | slack: all room less the least weights of the jobs left, as a share of all capacity |
| 7 | pressure: weights of the jobs left whose least reduced cost is here, as a share of room, over 2 |
| 8 | agents with room for the job, as a share |
| 9 | jobs left that fit only here: their weight as a share of room |
| 10 | weight relative to the job's mean weight, less 1 |
| 11 | share of jobs left |
| 12 | room that would be left, in mean weights of a job, at most 1 |
| 13 | whether the job has no other agent |
"""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, IntArray, LongArray
from allocenv.core.kernel import kernel
from allocenv.problems.task.gap.instance import GAP, UNASSIGNED
from allocenv.problems.task.gap.lagrangian import Prices, capacity_prices, reduced_costs
from allocenv.problems.task.gap.search import Found, search
from allocenv.problems.task.scorer import checked_weights, noise, score

FEATURES = 14
REPAIR_TRIES = 300  # of local search a job, for the best trajectories
LONGER = (10, 100)  # times as many while nothing is feasible


class Task(NamedTuple):
    """What a trajectory needs to know of the problem. Rows are jobs."""

    cost: LongArray  # [n, m]  minimised
    weight: LongArray  # [n, m]
    capacity: LongArray  # [m]
    reduced: Array  # [n, m] float64  reduced cost in units of `spread`
    mean_weight: Array  # [n] float64
    least_weight: LongArray  # [n]
    spread: float  # mean over the jobs of the standard deviation of cost over agents


class State(NamedTuple):
    """Where B trajectories are."""

    agent_of: LongArray  # [B, n]  or UNASSIGNED
    room: LongArray  # [B, m]  negative where an agent is above its capacity
    n_left: LongArray  # [B]  jobs without agent
    random: Array  # [B, 1] uint64
    # scratch, renewed by every look
    best: Array  # [B, n, 4] float64  least and second least cost, least and second least reduced cost, with room
    fits: LongArray  # [B, n, 2]  agents with room; agent of the least reduced cost
    agent: Array  # [B, m, 2] float64  pressure, and weight of jobs that fit only here
    features: Array  # [B, FEATURES] float64


def task_of(problem: GAP, prices: Prices | None = None) -> Task:
    """The problem for trajectories. Raises ValueError where a job fits no agent."""
    if len(problem.impossible_jobs):
        raise ValueError(f"Expected jobs that fit an agent; jobs {problem.impossible_jobs.tolist()} fit none.")
    spread = max(float(problem.cost.std(0).mean()), 1e-9)
    reduced = reduced_costs(problem, prices or capacity_prices(problem)) / spread
    weight = np.ascontiguousarray(problem.weight.T)
    return Task(
        np.ascontiguousarray(problem.minimised.T),
        weight,
        problem.capacity.copy(),
        np.ascontiguousarray(reduced),
        np.maximum(weight.mean(1), 1e-9),
        weight.min(1),
        spread,
    )


def begin(task: Task, n: int, seed: int) -> State:
    """n trajectories with nothing assigned; the first n of any number are the same."""
    n_jobs, m = task.cost.shape
    random = np.array([np.random.SeedSequence([seed, b]).generate_state(1, np.uint64) for b in range(n)])
    return State(
        agent_of=np.full((n, n_jobs), UNASSIGNED, np.int64),
        room=np.tile(task.capacity, (n, 1)),
        n_left=np.full(n, n_jobs, np.int64),
        random=random.reshape(n, 1) | np.uint64(1),
        best=np.zeros((n, n_jobs, 4)),
        fits=np.zeros((n, n_jobs, 2), np.int64),
        agent=np.zeros((n, m, 2)),
        features=np.zeros((n, FEATURES)),
    )


def legal(task: Task, state: State) -> Array:
    """Which pairs may be chosen: [B, n, m] bool. A row without any needs `step` with `UNASSIGNED` (ejection)."""
    waiting = (state.agent_of == UNASSIGNED)[:, :, None]
    fits: Array = waiting & (task.weight[None] <= state.room[:, None, :])
    return fits


def score_features(task: Task, state: State, b: int = 0) -> tuple[IntArray, Array]:
    """The legal pairs (job, agent) of trajectory b, [P, 2], and their features, [P, FEATURES] float64."""
    look(task, state, b)
    pairs = np.argwhere(legal(task, state)[b]).astype(np.int32)
    out = np.zeros((len(pairs), FEATURES))
    for k, (j, i) in enumerate(pairs):
        describe(task, state, b, j, i, out[k])
    return pairs, out


def step(task: Task, state: State, actions: Array) -> None:
    """Give a job to an agent in each trajectory; where the job fits nowhere, others make room for it.

    Args:
        actions: (job, agent) [B, 2]. Agent UNASSIGNED: wherever the job finds room, by ejection where there is none.

    Raises:
        ValueError: a job that has an agent, an agent without room, or numbers out of range.
    """
    actions = np.asarray(actions, np.int64)
    n_jobs, m = task.cost.shape
    if actions.shape != (len(state.room), 2):
        raise ValueError(f"Expected actions of shape {(len(state.room), 2)}, got {actions.shape}.")
    for b, (j, i) in enumerate(actions):
        if not (0 <= j < n_jobs and UNASSIGNED <= i < m) or state.agent_of[b, j] != UNASSIGNED:
            raise ValueError(f"Expected an unassigned job and an agent, got ({j}, {i}) in row {b}.")
        if i != UNASSIGNED and task.weight[j, i] > state.room[b, i]:
            raise ValueError(f"Expected an agent with room for job {j}, got agent {i} in row {b}.")
    for b, (j, i) in enumerate(actions):
        if i == UNASSIGNED:
            make_room(task, state, b, j)
        else:
            give(task, state, b, j, i)


def rollout(
    problem: GAP,
    weights: Array,
    n_hidden: int = 0,
    samples: int = 1,
    temperature: float = 0.0,
    seed: int = 0,
    repaired: int = 8,
    prices: Prices | None = None,
) -> Found:
    """The best of `samples` assignments a scorer of pairs builds, after local search on the best few.

    Args:
        weights: of the scorer, see `scorer.py`; `reduced_cost_weights()` are a start.
        temperature: of the softmax over pairs; 0: the best pair. The first sample always takes the best pair.
        repaired: how many of the best trajectories local search goes on with; 0: none, unless nothing is feasible.
    """
    weights = checked_weights(weights, FEATURES, n_hidden)
    if samples < 1 or temperature < 0:
        raise ValueError(f"Expected samples >= 1 and temperature >= 0, got {samples} and {temperature}.")
    prices = prices or capacity_prices(problem)
    task = task_of(problem, prices)
    state = begin(task, samples, seed)
    build(task, state, weights, n_hidden, temperature, 0, samples)
    excess = np.maximum(-state.room, 0).sum(1)
    cost = np.take_along_axis(task.cost[None], state.agent_of[:, :, None], 2)[:, :, 0].sum(1)
    order = np.lexsort((cost, excess))
    best = _found(problem, state.agent_of[order[0]], samples)
    n_repaired = repaired if best.feasible else max(repaired, 1)
    distinct = list(dict.fromkeys(state.agent_of[b].tobytes() for b in order))[:n_repaired]
    tries = REPAIR_TRIES * problem.n_jobs
    for k, row in enumerate(distinct):
        found = search(problem, 60.0, seed + k, np.frombuffer(row, np.int64), tries, prices)
        best = _better(problem, best, found)
    for longer in () if best.feasible else LONGER:
        best = search(problem, 60.0, seed + longer, best.agent_of, longer * tries, prices)
        if best.feasible:
            break
    return best


def reduced_cost_weights() -> Array:
    """A linear scorer without training: large regret of reduced cost first, its least agent, heavy before light."""
    weights = np.zeros(FEATURES)
    weights[3], weights[4], weights[13] = -4.0, 1.0, 5.0
    return weights


def _better(problem: GAP, one: Found, two: Found) -> Found:
    """The feasible one, or the one of better value; the first where they are even."""
    sign = 1 if problem.sense == "min" else -1
    return min(one, two, key=lambda found: (not found.feasible, sign * found.value))


def _found(problem: GAP, agent_of: LongArray, tries: int) -> Found:
    return Found(agent_of.copy(), problem.is_feasible(agent_of), problem.value(agent_of), tries)


@kernel
def give(x, s, b, j, i):
    """Give job j to agent i."""
    s.agent_of[b, j] = i
    s.room[b, i] -= x.weight[j, i]
    s.n_left[b] -= 1


@kernel
def make_room(x, s, b, j):
    """Give job j an agent: one with room, else one whose job moves on, at the least cost; else the least excess."""
    n, m = x.cost.shape
    pick, push, to, least = -1, -1, -1, np.inf
    for i in range(m):
        lacks = x.weight[j, i] - s.room[b, i]
        if lacks <= 0 and x.reduced[j, i] < least:
            pick, push, least = i, -1, x.reduced[j, i]
    if pick < 0:
        for k in range(n):
            i = s.agent_of[b, k]
            if i >= 0 and x.weight[j, i] - s.room[b, i] <= x.weight[k, i]:
                for other in range(m):
                    if other != i and x.weight[k, other] <= s.room[b, other]:
                        c = x.reduced[j, i] + x.reduced[k, other] - x.reduced[k, i]
                        if c < least:
                            pick, push, to, least = i, k, other, c
    if pick < 0:
        for i in range(m):
            c = float(x.weight[j, i] - max(s.room[b, i], 0))
            if c < least:
                pick, least = i, c
    if push >= 0:
        s.room[b, pick] += x.weight[push, pick]
        s.room[b, to] -= x.weight[push, to]
        s.agent_of[b, push] = to
    give(x, s, b, j, pick)


@kernel
def look(x, s, b):
    """Renew what the features need; returns a job that fits nowhere, or -1."""
    n, m = x.cost.shape
    stuck = -1
    for i in range(m):
        s.agent[b, i, 0] = 0.0
        s.agent[b, i, 1] = 0.0
    for j in range(n):
        if s.agent_of[b, j] >= 0:
            continue
        c1, c2, r1, r2, fits, at = np.inf, np.inf, np.inf, np.inf, 0, -1
        for i in range(m):
            if x.weight[j, i] <= s.room[b, i]:
                fits += 1
                c, r = float(x.cost[j, i]), x.reduced[j, i]
                if c < c1:
                    c1, c2 = c, c1
                elif c < c2:
                    c2 = c
                if r < r1:
                    r1, r2, at = r, r1, i
                elif r < r2:
                    r2 = r
        s.best[b, j, 0] = c1
        s.best[b, j, 1] = c2
        s.best[b, j, 2] = r1
        s.best[b, j, 3] = r2
        s.fits[b, j, 0] = fits
        s.fits[b, j, 1] = at
        if fits == 0:
            stuck = j
        else:
            s.agent[b, at, 0] += x.weight[j, at]
            if fits == 1:
                s.agent[b, at, 1] += x.weight[j, at]
    return stuck


@kernel
def slack_of(x, s, b):
    """All room less the least weights of the jobs left, as a share of all capacity."""
    room, total = 0, 0
    for i in range(x.capacity.size):
        room += s.room[b, i]
        total += x.capacity[i]
    for j in range(x.least_weight.size):
        if s.agent_of[b, j] < 0:
            room -= x.least_weight[j]
    return room / max(total, 1)


@kernel
def describe(x, s, b, j, i, out):
    """The features of a pair after `look`, without slack."""
    describe_with(x, s, b, j, i, slack_of(x, s, b), out)


@kernel
def describe_with(x, s, b, j, i, slack, out):
    """The features of a pair after `look`."""
    n, m = x.cost.shape
    c, r = float(x.cost[j, i]), x.reduced[j, i]
    other_c = s.best[b, j, 1] if c == s.best[b, j, 0] else s.best[b, j, 0]
    other_r = s.best[b, j, 3] if s.fits[b, j, 1] == i else s.best[b, j, 2]
    alone = s.fits[b, j, 0] == 1
    room = max(float(s.room[b, i]), 1.0)
    out[0] = (c - s.best[b, j, 0]) / x.spread
    out[1] = 3.0 if alone else min((other_c - c) / x.spread, 3.0)
    out[2] = x.weight[j, i] / room
    out[3] = r
    out[4] = 3.0 if alone else min(other_r - r, 3.0)
    out[5] = s.room[b, i] / max(x.capacity[i], 1)
    out[6] = slack
    out[7] = min(0.5 * s.agent[b, i, 0] / room, 3.0)
    out[8] = s.fits[b, j, 0] / m
    out[9] = min(s.agent[b, i, 1] / room, 3.0)
    out[10] = x.weight[j, i] / x.mean_weight[j] - 1.0
    out[11] = s.n_left[b] / n
    out[12] = min((s.room[b, i] - x.weight[j, i]) / x.mean_weight[j], 1.0)
    out[13] = 1.0 if alone else 0.0


@kernel
def build(x, s, weights, n_hidden, temperature, lo, hi):
    """Give every job of trajectories lo..hi an agent, by the scorer."""
    n, m = x.cost.shape
    for b in range(lo, hi):
        warmth = temperature if b > 0 else 0.0
        features = s.features[b]
        while s.n_left[b] > 0:
            stuck = look(x, s, b)
            if stuck >= 0:
                make_room(x, s, b, stuck)
                continue
            slack = slack_of(x, s, b)
            job, agent, best = -1, -1, -np.inf
            for j in range(n):
                if s.agent_of[b, j] >= 0:
                    continue
                for i in range(m):
                    if x.weight[j, i] <= s.room[b, i]:
                        describe_with(x, s, b, j, i, slack, features)
                        value = score(weights, n_hidden, features) + noise(s.random[b], warmth)
                        if value > best:
                            job, agent, best = j, i, value
            give(x, s, b, job, agent)
