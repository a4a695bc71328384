"""Which of the free entities serve a task cheapest? Greedy by dual prices, then exchanges.

The cheapest cover by the whole fleet (cover.py) says by its dual prices what a unit of each ability is worth to
the task. Entities join in the order of worth per price (Dobson, "Worst-case analysis of greedy heuristics for
integer programming", 1982); then again and again the one joins whose coming lets the dearest go.
"""

from typing import Any

import numpy as np

from allocenv.core.kernel import inlined, kernel
from allocenv.core.resource_state import NOBODY
from allocenv.problems.task.dynamics import STALE, cost_of, full_cover
from allocenv.problems.task.rules import NONE

EXCHANGES = 4  # more find nothing more
FLOOR = 0.1  # of the mean dual price: an ability without a price is worth something too
REFRESH = 0.95  # covers are computed anew once the need has shrunk to this share


@kernel
def value_abilities(rules, s, w, d, b, t):
    """Renew the cover cost of slot t, and what its dual prices say of abilities and entities where it is due.

    In between the cover cost shrinks with the need: the linear program is most of a decision's time.
    """
    need = 0.0
    for r in range(s.n_abilities[b]):
        need += s.slot_need[b, t, r]
    moving = False
    if rules.metric != NONE:
        for i in range(s.n_entities[b]):
            moving = moving or s.rate[b, i] + s.slot_rate[b, t] > 0.0
    if not moving and d.task[b, t] == s.task[b, t] and need >= REFRESH * d.need[b, t]:
        d.cover[b, t] = d.found[b, t] * need / d.need[b, t]
        return
    s.full_cover[b, t] = STALE  # the dual prices are to be had right after the computation only
    d.found[b, t] = d.cover[b, t] = full_cover(s, w, b, t)
    d.task[b, t] = s.task[b, t]
    d.need[b, t] = need
    if d.cover[b, t] < np.inf:
        read_prices(s, w, d, b, t)


@kernel
def read_prices(s, w, d, b, t):
    """Write what a unit of each ability, and having each entity, saves the cover just computed."""
    row = s.n_entities[b]  # of the first ability's surplus among the columns of the linear program
    if s.q_owner[b, s.task[b, t]] >= 0:
        row -= 1
    total = 0.0
    n = 0
    for r in range(s.n_abilities[b]):
        d.worth[b, t, r] = 0.0
        if s.alloc.capacity[b, r, t] > 0:
            d.worth[b, t, r] = max(w.reduced[b, row + n], 0.0)
            total += d.worth[b, t, r]
            n += 1
    for i in range(s.n_entities[b]):
        saves = -cost_of(s, b, i, t)
        for r in range(s.n_abilities[b]):
            if s.alloc.capacity[b, r, t] > 0:
                saves += d.worth[b, t, r] * min(s.alloc.demand[b, i, 0, r] / s.alloc.capacity[b, r, t], 1.0)
        d.gain[b, t, i] = max(saves, 0.0)
    for r in range(s.n_abilities[b]):
        if s.alloc.capacity[b, r, t] > 0:
            d.worth[b, t, r] = (d.worth[b, t, r] + FLOOR * total / n + 1e-9) / s.alloc.capacity[b, r, t]


@kernel
def build_team(s, d, b, t):
    """Write the cheapest team found for slot t besides whom it has, by `price`; whether there is one."""
    n = gather(s, d, b, t)
    if n < 0:
        return False
    exchange(s, d, b, t, n)
    return True


@kernel
def exchange(s, d, b, t, n):
    """Better the team of n that has just been gathered for slot t."""
    for _ in range(EXCHANGES):
        i = best_exchange(s, d, b, t, n)
        if i == NOBODY:
            break
        for r in range(s.n_abilities[b]):
            d.sums[b, r] += s.alloc.demand[b, i, 0, r]
        n = thin_out(s, d, b, t, n)
        for r in range(s.n_abilities[b]):
            d.sums[b, r] -= s.alloc.demand[b, i, 0, r]
        n = join(s, d, b, t, n, i)


@kernel
def gather(s, d, b, t):
    """Write the team of slot t without exchanges; how many join, or -1 where those who are free do not suffice."""
    for i in range(s.n_entities[b]):
        d.team[b, t, i] = False
    for r in range(s.n_abilities[b]):
        d.sums[b, r] = s.alloc.used[b, r, t]
    n: Any = np.int64(0)
    while not enough(s, d, b, t, np.int64(NOBODY)):
        i = most_useful(s, d, b, t)
        if i == NOBODY:
            return np.int64(-1)
        n = join(s, d, b, t, n, i)
    return thin_out(s, d, b, t, n)


@inlined
def enough(s, d, b, t, but):
    """Whether the sums cover the need of slot t without one member."""
    for r in range(s.n_abilities[b]):
        have = d.sums[b, r]
        if but != NOBODY:
            have -= s.alloc.demand[b, but, 0, r]
        if have < s.alloc.capacity[b, r, t]:
            return False
    return True


@kernel
def most_useful(s, d, b, t):
    """The free entity that brings most worth of what is lacking for its price, or NOBODY."""
    best: Any = np.int64(NOBODY)
    most = 0.0
    for i in range(s.n_entities[b]):
        if not d.free[b, i] or d.team[b, t, i]:
            continue
        brings = 0.0
        for r in range(s.n_abilities[b]):
            lacks = s.alloc.capacity[b, r, t] - d.sums[b, r]
            if lacks > 0:
                brings += d.worth[b, t, r] * min(lacks, s.alloc.demand[b, i, 0, r])
        if brings > most * d.price[b, i]:
            best, most = i, brings / d.price[b, i]
    return best


@kernel
def join(s, d, b, t, n, i):
    """Add entity i to the n members, dearest first; how many they are."""
    at = n
    while at > 0 and d.price[b, d.members[b, at - 1]] < d.price[b, i]:
        d.members[b, at] = d.members[b, at - 1]
        at -= 1
    d.members[b, at] = i
    d.team[b, t, i] = True
    for r in range(s.n_abilities[b]):
        d.sums[b, r] += s.alloc.demand[b, i, 0, r]
    return n + 1


@kernel
def thin_out(s, d, b, t, n):
    """Send home whom the team can spare, the dearest first; how many are left."""
    kept: Any = np.int64(0)
    for c in range(n):
        j = d.members[b, c]
        if enough(s, d, b, t, j):
            d.team[b, t, j] = False
            for r in range(s.n_abilities[b]):
                d.sums[b, r] -= s.alloc.demand[b, j, 0, r]
        else:
            d.members[b, kept] = j
            kept += 1
    return kept


@kernel
def best_exchange(s, d, b, t, n):
    """The free entity that saves most if it joins and all leave whom it makes superfluous, or NOBODY."""
    best: Any = np.int64(NOBODY)
    most = 1e-9
    for i in range(s.n_entities[b]):
        if not d.free[b, i] or d.team[b, t, i]:
            continue
        for r in range(s.n_abilities[b]):
            d.spare[b, r] = d.sums[b, r] + s.alloc.demand[b, i, 0, r] - s.alloc.capacity[b, r, t]
        saves = -d.price[b, i]
        for c in range(n):
            j = d.members[b, c]
            superfluous = True
            for r in range(s.n_abilities[b]):
                if s.alloc.demand[b, j, 0, r] > d.spare[b, r]:
                    superfluous = False
                    break
            if superfluous:
                saves += d.price[b, j]
                for r in range(s.n_abilities[b]):
                    d.spare[b, r] -= s.alloc.demand[b, j, 0, r]
        if saves > most:
            best, most = i, saves
    return best
