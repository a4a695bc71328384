"""Electric: one published step, given which areas serve which slot.

Quirks kept: a request's position is doubled and decays with its value; the conveying cost takes the rate of the
area whose number is the slot's; the area that a completion frees is found by the request's position and hence is
the wrong one; the refill ends at the first empty slot if that is slot 2.
"""

import numpy as np

from allocenv.core.kernel import kernel
from allocenv.problems.task.paper.grid import REFILL_EVERY, clear_slot, take_next

STOPS_AT = 2  # an empty slot of this number ends the refill


@kernel
def step_row(x, p, target, b):
    """One published step of row b; target [B, M]: the slot that each area serves, or -1."""
    p.epoch[b] += 1
    p.reward[b] = p.value[b] = 0.0
    for t in range(p.task.shape[1]):
        p.total[b, t, 0] = p.total[b, t, 1] = 0.0
    for i in range(x.start.shape[0]):
        t = target[b, i]
        if t >= 0:
            p.total[b, t, 0] += convey_cost(x, p, b, i, t)
            p.total[b, t, 1] += x.agents[i, 1]
    for t in range(p.task.shape[1]):
        p.paid[b, t] = p.task[b, t] >= 0 and p.total[b, t, 1] >= p.rows[b, t, 1]
        if p.paid[b, t]:
            p.reward[b] += p.rows[b, t, 0] - p.total[b, t, 0]
            p.value[b] += p.rows[b, t, 0]
            p.idle[b, freed(x, p, b, t)] = True
            clear_slot(p, b, t)
    open_slots = 0
    for t in range(p.age.shape[1]):
        if p.age[b, t] <= x.decay_age:
            for c in range(p.rows.shape[2]):
                p.rows[b, t, c] *= x.decay
        if p.task[b, t] >= 0:
            open_slots += 1
        p.age[b, t] -= 1
    p.done[b] = (p.next_task[b] >= x.tasks.shape[0] and open_slots == 0) or p.epoch[b] >= x.horizon
    if p.epoch[b] % REFILL_EVERY == 0:
        for t in range(p.age.shape[1]):
            if p.task[b, t] < 0:
                if t == STOPS_AT:
                    break
                if p.next_task[b] < x.tasks.shape[0]:
                    take_next(x, p, b, t)


@kernel
def convey_cost(x, p, b, i, t):
    """What area i costs at slot t: the mean of two rates times the distance."""
    dx, dy = x.agents[i, 2] - p.rows[b, t, 2], x.agents[i, 3] - p.rows[b, t, 3]
    return 0.5 * (x.rate[i] + x.rate[t]) * np.sqrt(dx * dx + dy * dy)


@kernel
def freed(x, p, b, t):
    """The area with most coordinates equal to the slot's; the first of equals."""
    best, most = 0, -1
    for i in range(x.start.shape[0]):
        same = int(x.agents[i, 2] == p.rows[b, t, 2]) + int(x.agents[i, 3] == p.rows[b, t, 3])
        if same > most:
            best, most = i, same
    return best
