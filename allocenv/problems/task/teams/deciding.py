"""Who leaves now? A round planned with learnt numbers, and whole missions played by many sets of numbers.

Every open task is offered its cheapest team; the one with the highest score leaves, the others are offered what is
left, until no score is above 0. Then the round waits. A set of numbers is a row of `numbers`:
first those of the score (N_FEATURES), then those of the prices that teams are built by (N_PRICES), then those of the
price of slot time (SLOT_TIME), by which a task is offered a dear team from nearby or a cheap one from afar.
"""

from typing import Any

import numpy as np

from allocenv.core.kernel import inlined, kernel
from allocenv.problems.task.dynamics import OPEN, advance, commit, cost_of, is_free, travel
from allocenv.problems.task.heuristics import carry_on
from allocenv.problems.task.teams.building import build_team, exchange, gather, value_abilities
from allocenv.problems.task.teams.features import (
    LOAD,
    N_FEATURES,
    PRESSURE,
    QUEUE,
    TENTH,
    describe_round,
    describe_team,
)

PRICES = (
    "a tenth of the horizon on the way, in mean costs of an entity",
    "the same x pressure",
    "the same x load",
    "what other open tasks would save by the entity, as a share of the mean over them",
    "the same x pressure",
    "the same x load",
)
SLOT_TIME = (
    "a tenth of the horizon that a slot is taken while tasks queue, in mean values of a task",
    "the same x pressure",
    "the same x load",
    "the same x tasks not yet opened of a slot",
)
STEP = 1.0 / 30.0  # of the horizon, by which reach shrinks where slots are refilled at once
HOPE = 1.1  # teams that are dearer than the best by more than this before exchanges are not better after them
N_PRICES = len(PRICES)
N_NUMBERS = N_FEATURES + N_PRICES + len(SLOT_TIME)


@kernel
def plan_round(rules, s, w, d, numbers, p, b):
    """Write the slot that each free entity joins now, by the numbers of row p."""
    n_open = begin_round(rules, s, w, d, b)
    if n_open == 0:
        return
    x, f = d.x, N_FEATURES
    haste = numbers[p, f] + numbers[p, f + 1] * x[b, PRESSURE] + numbers[p, f + 2] * x[b, LOAD]
    envy = numbers[p, f + 3] + numbers[p, f + 4] * x[b, PRESSURE] + numbers[p, f + 5] * x[b, LOAD]
    mean_cost = 0.0
    for i in range(s.n_entities[b]):
        mean_cost += s.cost[b, i] / s.n_entities[b]
    haste = max(haste, 0.0) * mean_cost / (TENTH * rules.horizon)
    envy = max(envy, 0.0) / n_open
    f += N_PRICES
    hurry = numbers[p, f] + numbers[p, f + 1] * x[b, PRESSURE] + numbers[p, f + 2] * x[b, LOAD]
    hurry = max(hurry + numbers[p, f + 3] * x[b, QUEUE], 0.0) * s.scale[b] / (TENTH * rules.horizon)
    nears = numbers[p, f] != 0.0
    if s.next_task[b] >= s.n_tasks[b]:
        hurry = 0.0
    while True:
        best: Any = np.int64(-1)
        for t in range(s.n_slots[b]):
            if d.tried[b, t]:
                continue
            d.tried[b, t] = not offer(rules, s, d, numbers, p, b, t, haste, envy, hurry, nears)
            if not d.tried[b, t] and (best < 0 or d.score[b, t] > d.score[b, best]):
                best = t
        if best < 0 or d.score[b, best] <= 0.0:
            return
        send(s, d, b, best)


@kernel
def begin_round(rules, s, w, d, b):
    """See who is free and what the open tasks are worth to whom; how many can be covered."""
    n_open = 0
    for i in range(s.n_entities[b]):
        d.planned[b, i] = -1
        d.free[b, i] = is_free(s, b, i)
        d.wish[b, i] = 0.0
    for t in range(s.n_slots[b]):
        d.tried[b, t] = True
        d.built[b, t] = False
        if s.phase[b, t] != OPEN:
            continue
        value_abilities(rules, s, w, d, b, t)
        if d.cover[b, t] == np.inf:
            continue
        d.tried[b, t] = False
        n_open += 1
        for i in range(s.n_entities[b]):
            d.wish[b, i] += d.gain[b, t, i]
    if n_open > 0:
        describe_round(rules, s, d, b)
    return n_open


@kernel
def offer(rules, s, d, numbers, p, b, t, haste, envy, hurry, nears):
    """Build the team of slot t where it is not up to date, and score it; False where no team may leave."""
    if not d.built[b, t]:
        for i in range(s.n_entities[b]):
            if d.free[b, i]:
                others = envy * (d.wish[b, i] - d.gain[b, t, i])
                d.price[b, i] = cost_of(s, b, i, t) + haste * travel(rules, s, b, i, t) + others + 1e-9
        if not (build_near_team(rules, s, d, b, t, hurry) if nears else build_team(s, d, b, t)):
            return False  # fewer entities make no better team
        d.built[b, t] = True
    if not describe_team(rules, s, d, b, t):
        return False
    score = 0.0
    for f in range(N_FEATURES):
        score += numbers[p, f] * d.x[b, f]
    d.score[b, t] = score
    return True


@kernel
def build_near_team(rules, s, d, b, t, hurry):
    """Write the team of slot t whose cost and slot time, at `hurry` a unit, are least; whether there is one.

    Candidates come from ever shorter reach: what counts is when the last member arrives, and that the slot stays
    taken until the next refill.
    """
    work = s.q_work[b, s.task[b, t]]
    reach = rules.horizon - s.now[b] - work + 1e-9
    nearest = after_refill(rules, s.now[b] + work) - s.now[b]
    step = rules.refill_every if rules.refill_every > 0.0 else STEP * rules.horizon
    least = np.inf
    for i in range(s.n_entities[b]):
        d.way[b, i] = travel(rules, s, b, i, t)
    while reach >= 0.0:
        for i in range(s.n_entities[b]):
            if d.way[b, i] > reach:
                d.price[b, i] = np.inf  # out of every team
        n = gather(s, d, b, t)
        if n < 0:
            break
        freed = freed_after(rules, s, d, b, t)
        if price_of(s, d, b, t) + hurry * freed < HOPE * least:
            exchange(s, d, b, t, n)
            freed = freed_after(rules, s, d, b, t)
            total = price_of(s, d, b, t) + hurry * freed
            if total < least:
                least = total
                for i in range(s.n_entities[b]):
                    d.best[b, i] = d.team[b, t, i]
            if total + hurry * (nearest - freed) >= least:
                break
        reach = min(freed - step - work, reach - 1e-6)
    for i in range(s.n_entities[b]):
        d.team[b, t, i] = least < np.inf and d.best[b, i]
    return least < np.inf


@kernel
def price_of(s, d, b, t):
    """What the members of the team of slot t count by `price`."""
    total = 0.0
    for i in range(s.n_entities[b]):
        if d.team[b, t, i]:
            total += d.price[b, i]
    return total


@kernel
def freed_after(rules, s, d, b, t):
    """How long slot t is taken if the team leaves now."""
    way = 0.0
    for i in range(s.n_entities[b]):
        if d.team[b, t, i]:
            way = max(way, d.way[b, i])
    return after_refill(rules, s.now[b] + way + s.q_work[b, s.task[b, t]]) - s.now[b]


@inlined
def after_refill(rules, when):
    """When a slot that is free then is filled again."""
    if rules.refill_every <= 0.0:
        return when
    return np.ceil((when - 1e-9) / rules.refill_every) * rules.refill_every


@kernel
def send(s, d, b, t):
    """Plan the team of slot t; teams that share a member are to be built anew."""
    d.tried[b, t] = True
    for i in range(s.n_entities[b]):
        if not d.team[b, t, i]:
            continue
        d.free[b, i] = False
        d.planned[b, i] = t
        for other in range(s.n_slots[b]):
            if d.team[b, other, i]:
                d.built[b, other] = False


@kernel
def choose(rules, s, w, d, numbers, actions, lo, hi):
    """Write the action of each row: go on with the round's plan, plan a new round, or wait."""
    for b in range(lo, hi):
        if d.expected[b] != s.steps_left[b]:
            if s.steps_left[b] >= d.seen[b]:
                forget(s, d, b)  # a new episode
            d.seen[b] = s.steps_left[b]
            plan_round(rules, s, w, d, numbers, np.int64(0), b)
        carry_on(rules, s, d, actions, b)


@kernel
def forget(s, d, b):
    """Keep no cover cost of an earlier episode."""
    for t in range(s.n_slots[b]):
        d.task[b, t] = -1


@kernel
def play(rules, s, w, d, numbers, which, nets, most, lo, hi):
    """Play rows that are at their beginning to the end, row b by numbers[which[b]]; write what each has earned."""
    for b in range(lo, hi):
        forget(s, d, b)
        for _ in range(most):
            if s.over[b]:
                break
            plan_round(rules, s, w, d, numbers, which[b], b)
            for i in range(s.n_entities[b]):
                t = d.planned[b, i]
                if t >= 0 and s.phase[b, t] == OPEN:
                    commit(rules, s, b, i, t)
            advance(rules, s, b)
        nets[b] = s.net[b]
