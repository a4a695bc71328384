"""Which job goes to which agent next? A generalised assignment as decisions, for a policy to learn.

Every decision gives one unassigned job to an agent with room for it. Where a job fits no agent any more, jobs make
room for it (ejection); where that fails it goes where the excess is least, and local search repairs the end.

The prices of capacity are renewed after every decision for the jobs and the room that are left: each job left is
shared out over the agents with room by a softmax of its costs at the prices, and a price rises where the shares weigh
more than the room (a smoothed Lagrangian of the linear program of the rest; two damped Newton steps a decision).

A policy chooses among the pairs with a share; the others cost far more than the job's cheapest agent.

Features of a pair (job, agent), costs in units of the mean cost spread of a job, all about -1 to 1:

| # | feature |
|---|---|
| 0 | cost above the job's cheapest agent with room |
| 1 | cost regret: cheapest other agent with room less this one |
| 2 | weight as a share of the agent's room |
| 3 | cost at the prices, above the job's cheapest agent with room at the prices |
| 4 | its regret: that of the cheapest other agent with room less this one |
| 5 | room as a share of capacity |
| 6 | slack: all room less the least weights of the jobs left, as a share of all capacity |
| 7 | pressure: what the shares of the jobs left weigh here, as a share of room, over 2 |
| 8 | agents with room for the job, as a share |
| 9 | jobs left that fit only here: their weight as a share of room |
| 10 | weight relative to the job's mean weight, less 1 |
| 11 | share of jobs left |
| 12 | room that would be left, in mean weights of a job, at most 1 |
| 13 | whether the job has no other agent |
| 14 | share of the job that is this agent's |
| 15 | price of the job's mean weight here |
| 16 | waste: room that would be left and is too small for every other job left, in mean weights of a job |
| 17 | overload: what the shares weigh above the room of all agents, as a share of all capacity |
| 18 | loss: regret of the other jobs that would find no room here any more, times their shares, at most 3 |
"""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, IntArray, LongArray
from allocenv.core.kernel import kernel
from allocenv.problems.task.gap.instance import GAP, UNASSIGNED
from allocenv.problems.task.gap.lagrangian import Prices, capacity_prices, reduced_costs
from allocenv.problems.task.gap.search import Found, search
from allocenv.problems.task.scorer import checked_weights, noise, score

FEATURES = 19
SOFTNESS = 0.15  # temperature of the shares, in spreads of cost
NEGLIGIBLE = 6.0  # temperatures above the cheapest agent from which on an agent has no share
FIRST_STEPS, STEPS = 40, 2  # of the prices, before the first decision and after each
DAMPING, LONGEST_STEP = 0.7, 0.5  # of a step of a price; the latter in spreads a mean weight
MOST_PRICE = 10.0  # in spreads a mean weight
REPAIR_TRIES = 2000  # of local search a job, for the best trajectories
ROOM_TRIES = (300, 3000, 30_000)  # of local search a job that is only to keep the capacities, one after the other


class Task(NamedTuple):
    """What a trajectory needs to know of the problem. Rows are jobs."""

    cost: LongArray  # [n, m]  minimised
    weight: LongArray  # [n, m]
    capacity: LongArray  # [m]
    reduced: Array  # [n, m] float64  reduced cost at the first prices, in units of `spread`
    price: Array  # [m] float64  the first prices, spreads a unit of capacity
    mean_weight: Array  # [n] float64
    least_weight: LongArray  # [n]
    spread: float  # mean over the jobs of the standard deviation of cost over agents


class State(NamedTuple):
    """Where B trajectories are."""

    agent_of: LongArray  # [B, n]  or UNASSIGNED
    room: LongArray  # [B, m]  negative where an agent is above its capacity
    n_left: LongArray  # [B]  jobs without agent
    random: Array  # [B, 1] uint64
    rise: Array  # [B, m] float64  of the prices since the first ones
    # scratch, renewed by every look
    share: Array  # [B, n, m] float64  of the jobs left
    best: Array  # [B, n, 4] float64  least and second least cost, the same at the prices, with room
    fits: LongArray  # [B, n, 2]  agents with room; the cheapest agent at the prices
    agent: Array  # [B, m, 4] float64  load and its slope by price (`share_out`); least weights: first, second
    alone: Array  # [B, m] float64  weight of jobs that fit only here
    features: Array  # [B, FEATURES] float64


def task_of(problem: GAP, prices: Prices | None = None) -> Task:
    """The problem for trajectories. Raises ValueError where a job fits no agent."""
    if len(problem.impossible_jobs):
        raise ValueError(f"Expected jobs that fit an agent; jobs {problem.impossible_jobs.tolist()} fit none.")
    spread = max(float(problem.cost.std(0).mean()), 1e-9)
    prices = prices or capacity_prices(problem)
    reduced = reduced_costs(problem, prices) / spread
    weight = np.ascontiguousarray(problem.weight.T)
    return Task(
        np.ascontiguousarray(problem.minimised.T),
        weight,
        problem.capacity.copy(),
        np.ascontiguousarray(reduced),
        prices.capacity / spread,
        np.maximum(weight.mean(1), 1e-9),
        weight.min(1),
        spread,
    )


def begin(task: Task, n: int, seed: int) -> State:
    """n trajectories with nothing assigned; the first n of any number are the same."""
    n_jobs, m = task.cost.shape
    random = np.array([np.random.SeedSequence([seed, b]).generate_state(1, np.uint64) for b in range(n)])
    state = State(
        agent_of=np.full((n, n_jobs), UNASSIGNED, np.int64),
        room=np.tile(task.capacity, (n, 1)),
        n_left=np.full(n, n_jobs, np.int64),
        random=random.reshape(n, 1) | np.uint64(1),
        rise=np.zeros((n, m)),
        share=np.zeros((n, n_jobs, m)),
        best=np.zeros((n, n_jobs, 4)),
        fits=np.zeros((n, n_jobs, 2), np.int64),
        agent=np.zeros((n, m, 4)),
        alone=np.zeros((n, m)),
        features=np.zeros((n, FEATURES)),
    )
    if n > 0:
        reprice(task, state, 0, FIRST_STEPS)
        state.rise[:] = state.rise[0]
    return state


def legal(task: Task, state: State) -> Array:
    """Which pairs may be chosen: [B, n, m] bool. A row without any needs `step` with `UNASSIGNED` (ejection)."""
    waiting = (state.agent_of == UNASSIGNED)[:, :, None]
    fits: Array = waiting & (task.weight[None] <= state.room[:, None, :])
    return fits


def score_features(task: Task, state: State, b: int = 0) -> tuple[IntArray, Array]:
    """The pairs (job, agent) of trajectory b with a share, [P, 2], and their features, [P, FEATURES] float64."""
    look(task, state, b)
    slack, overload = tightness(task, state, b)
    waiting = (state.agent_of[b] == UNASSIGNED)[:, None]
    pairs = np.argwhere(waiting & (state.share[b] > 0)).astype(np.int32)
    out = np.zeros((len(pairs), FEATURES))
    for k, (j, i) in enumerate(pairs):
        describe(task, state, b, j, i, slack, overload, out[k])
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
    tries = (REPAIR_TRIES if repaired else ROOM_TRIES[0]) * problem.n_jobs
    for k, row in enumerate(distinct):
        found = search(problem, 60.0, seed + k, np.frombuffer(row, np.int64), tries, prices)
        best = _better(problem, best, found)
    for longer in () if best.feasible else ROOM_TRIES[1:]:
        best = search(problem, 60.0, seed + longer, best.agent_of, longer * problem.n_jobs, prices)
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
    """Give job j to agent i, and renew the prices."""
    s.agent_of[b, j] = i
    s.room[b, i] -= x.weight[j, i]
    s.n_left[b] -= 1
    reprice(x, s, b, STEPS)


@kernel
def share_out(x, s, b):
    """Share the jobs left out over the agents with room, and sum what the shares weigh, with its slope by price."""
    n, m = x.cost.shape
    for i in range(m):
        s.agent[b, i, 0] = 0.0
        s.agent[b, i, 1] = 0.0
    for j in range(n):
        if s.agent_of[b, j] >= 0:
            continue
        least, total = np.inf, 0.0
        for i in range(m):
            if x.weight[j, i] <= s.room[b, i]:
                s.share[b, j, i] = x.reduced[j, i] + s.rise[b, i] * x.weight[j, i]
                least = min(least, s.share[b, j, i])
        for i in range(m):
            if x.weight[j, i] <= s.room[b, i]:
                above = (s.share[b, j, i] - least) / SOFTNESS
                s.share[b, j, i] = np.exp(-above) if above < NEGLIGIBLE else 0.0
                total += s.share[b, j, i]
            else:
                s.share[b, j, i] = 0.0
        for i in range(m):
            if s.share[b, j, i] > 0.0:
                p, w = s.share[b, j, i] / total, x.weight[j, i]
                s.share[b, j, i] = p
                s.agent[b, i, 0] += p * w
                s.agent[b, i, 1] += p * (1.0 - p) * w * w / SOFTNESS


@kernel
def reprice(x, s, b, steps):
    """Renew the prices for the jobs and the room that are left."""
    n, m = x.cost.shape
    mean = 0.0
    for j in range(n):
        mean += x.mean_weight[j] / n
    for _ in range(steps):
        share_out(x, s, b)
        for i in range(m):
            over = s.agent[b, i, 0] - s.room[b, i]
            step = DAMPING * over / max(s.agent[b, i, 1], 1e-6)
            step = min(max(step, -LONGEST_STEP / mean), LONGEST_STEP / mean)
            rise = min(s.rise[b, i] + step, MOST_PRICE / mean - x.price[i])
            s.rise[b, i] = max(rise, -x.price[i])


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
    share_out(x, s, b)
    for i in range(m):
        s.agent[b, i, 2] = np.inf
        s.agent[b, i, 3] = np.inf
        s.alone[b, i] = 0.0
    for j in range(n):
        if s.agent_of[b, j] >= 0:
            continue
        c1, c2, p1, p2, fits, at = np.inf, np.inf, np.inf, np.inf, 0, -1
        for i in range(m):
            w = x.weight[j, i]
            if w < s.agent[b, i, 2]:
                s.agent[b, i, 3] = s.agent[b, i, 2]
                s.agent[b, i, 2] = w
            elif w < s.agent[b, i, 3]:
                s.agent[b, i, 3] = w
            if w <= s.room[b, i]:
                fits += 1
                c, p = float(x.cost[j, i]), x.reduced[j, i] + s.rise[b, i] * w
                if c < c1:
                    c1, c2 = c, c1
                elif c < c2:
                    c2 = c
                if p < p1:
                    p1, p2, at = p, p1, i
                elif p < p2:
                    p2 = p
        s.best[b, j, 0] = c1
        s.best[b, j, 1] = c2
        s.best[b, j, 2] = p1
        s.best[b, j, 3] = p2
        s.fits[b, j, 0] = fits
        s.fits[b, j, 1] = at
        if fits == 0:
            stuck = j
        elif fits == 1:
            s.alone[b, at] += x.weight[j, at]
    return stuck


@kernel
def tightness(x, s, b):
    """Slack and overload of the rest, both as shares of all capacity; after `look`."""
    room, total, over = 0.0, 0.0, 0.0
    for i in range(x.capacity.size):
        room += s.room[b, i]
        total += x.capacity[i]
        over += max(s.agent[b, i, 0] - max(s.room[b, i], 0), 0.0)
    for j in range(x.least_weight.size):
        if s.agent_of[b, j] < 0:
            room -= x.least_weight[j]
    return room / max(total, 1.0), over / max(total, 1.0)


@kernel
def describe(x, s, b, j, i, slack, overload, out):
    """The features of a pair after `look`, given `tightness`."""
    n, m = x.cost.shape
    c, w = float(x.cost[j, i]), float(x.weight[j, i])
    p = x.reduced[j, i] + s.rise[b, i] * w
    other_c = s.best[b, j, 1] if c == s.best[b, j, 0] else s.best[b, j, 0]
    other_p = s.best[b, j, 3] if s.fits[b, j, 1] == i else s.best[b, j, 2]
    alone = s.fits[b, j, 0] == 1
    room = max(float(s.room[b, i]), 1.0)
    left = s.room[b, i] - w
    smallest = s.agent[b, i, 3] if w == s.agent[b, i, 2] else s.agent[b, i, 2]
    out[0] = (c - s.best[b, j, 0]) / x.spread
    out[1] = 3.0 if alone else min((other_c - c) / x.spread, 3.0)
    out[2] = w / room
    out[3] = p - s.best[b, j, 2]
    out[4] = 3.0 if alone else min(other_p - p, 3.0)
    out[5] = s.room[b, i] / max(x.capacity[i], 1)
    out[6] = slack
    out[7] = min(0.5 * s.agent[b, i, 0] / room, 3.0)
    out[8] = s.fits[b, j, 0] / m
    out[9] = min(s.alone[b, i] / room, 3.0)
    out[10] = w / x.mean_weight[j] - 1.0
    out[11] = s.n_left[b] / n
    out[12] = min(left / x.mean_weight[j], 1.0)
    out[13] = 1.0 if alone else 0.0
    out[14] = s.share[b, j, i]
    out[15] = (x.price[i] + s.rise[b, i]) * x.mean_weight[j]
    out[16] = min(left / x.mean_weight[j], 2.0) if left < smallest < np.inf else 0.0
    out[17] = overload
    loss = 0.0
    for k in range(n):
        if s.agent_of[b, k] < 0 and k != j and s.share[b, k, i] > 0.0 and x.weight[k, i] > left:
            loss += s.share[b, k, i] * min(s.best[b, k, 3] - s.best[b, k, 2], 3.0)
    out[18] = min(loss, 3.0)


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
            slack, overload = tightness(x, s, b)
            job, agent, best = -1, -1, -np.inf
            for j in range(n):
                if s.agent_of[b, j] >= 0:
                    continue
                for i in range(m):
                    if s.share[b, j, i] > 0.0:
                        describe(x, s, b, j, i, slack, overload, features)
                        value = score(weights, n_hidden, features) + noise(s.random[b], warmth)
                        if value > best:
                            job, agent, best = j, i, value
            give(x, s, b, job, agent)
