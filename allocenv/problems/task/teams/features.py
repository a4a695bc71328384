"""What the learnt policy knows of a round and of a team: shares, ratios and logarithms, whatever the sizes.

Times are in tenths of the horizon; a team's cost is told by the cheapest cover of its task by the whole fleet, as
the patience rule does (facts/task_allocation.md section 7).
"""

import numpy as np

from allocenv.core.kernel import inlined, kernel
from allocenv.problems.task.dynamics import CLOSED, OPEN, cost_of, travel, value_at

ROUND_FEATURES = (
    "1",
    "time left as a share of the horizon",
    "pressure: tasks left of a slot by tenths left, log2 (-4 to 4), / 2",
    "load: cover cost of the tasks left by the fleet's cost and tenths left, log2 (-3 to 5), / 2",
    "tasks not yet opened of a slot (up to 12), / 6",
    "cost of the free as a share of the fleet's",
    "open slots as a share",
    "time until the next team is done (up to 2)",
)
TEAM_FEATURES = (
    "excess: cost over the cover cost, as a share of that (up to 3)",
    "margin: value less cost, as a share of the value",
    "value in mean values, log2 (-3 to 3), / 2",
    "busy: time until the task is done (up to 3)",
    "mean time that members wait for the last of them (up to 3)",
    "time left when done as a share of the horizon",
    "age of the task (up to 3)",
    "time until its value decays (-1 to 1)",
    "largest share of what the free bring that the task needs (up to 2)",
    "what other open tasks would save by the members, by cost (up to 3)",
    "net in mean values, log2 (-4 to 4), / 2",
    "excess x time left",
    "excess x pressure",
    "excess x load",
    "excess x margin",
    "margin x load",
    "busy x load",
    "net x load",
)
N_ROUND = len(ROUND_FEATURES)
N_FEATURES = N_ROUND + len(TEAM_FEATURES)
TIME_LEFT, PRESSURE, LOAD, QUEUE, EXCESS = 1, 2, 3, 4, N_ROUND
TENTH = 0.1


@inlined
def clip(x, low, high):
    return min(max(x, low), high)


@kernel
def describe_round(rules, s, d, b):
    """Write the features of the round."""
    x = d.x
    slots = s.n_slots[b]
    fleet = free = 0.0
    for i in range(s.n_entities[b]):
        fleet += s.cost[b, i]
        if d.free[b, i]:
            free += s.cost[b, i]
    n_open = 0
    covers = 0.0
    done = np.inf
    for t in range(slots):
        if s.phase[b, t] == OPEN:
            n_open += 1
            if d.cover[b, t] < np.inf:
                covers += d.cover[b, t]
        elif s.phase[b, t] == CLOSED:
            done = min(done, s.ready[b, t])
    left = max(rules.horizon - s.now[b], 0.0)
    tenth = TENTH * rules.horizon
    queue = s.n_tasks[b] - s.next_task[b]
    tenths = left / tenth + 0.2
    x[b, 0] = 1.0
    x[b, TIME_LEFT] = left / rules.horizon
    x[b, PRESSURE] = clip(np.log2(((queue + n_open) / slots + 0.05) / tenths), -4.0, 4.0) / 2.0
    x[b, LOAD] = 0.0
    if n_open > 0 and fleet > 0.0:
        load = (queue + n_open) * covers / n_open / fleet / tenths
        x[b, LOAD] = clip(np.log2(load + 1e-3) + 1.0, -4.0, 4.0) / 2.0
    x[b, QUEUE] = min(queue / slots, 12.0) / 6.0
    x[b, 5] = free / fleet if fleet > 0.0 else 1.0
    x[b, 6] = n_open / slots
    x[b, 7] = min((done - s.now[b]) / tenth, 2.0)


@kernel
def describe_team(rules, s, d, b, t):
    """Write the features of the team of slot t; False where it may not leave: a loss, or too late."""
    x = d.x
    cost = s.team_cost[b, t]
    way = 0.0
    ways = 0.0
    wish = 0.0
    n = 0
    for r in range(s.n_abilities[b]):
        d.spare[b, r] = 0
    for i in range(s.n_entities[b]):
        if d.free[b, i]:
            for r in range(s.n_abilities[b]):
                d.spare[b, r] += s.alloc.demand[b, i, 0, r]
        if d.team[b, t, i] or s.alloc.bin_of[b, i] == t:
            mine = travel(rules, s, b, i, t)
            way = max(way, mine)
            ways += mine
            n += 1
            if d.team[b, t, i]:
                cost += cost_of(s, b, i, t)
                wish += d.wish[b, i] - d.gain[b, t, i]
    when = s.now[b] + way + s.q_work[b, s.task[b, t]]
    value = value_at(rules, s, b, t, when)
    if value <= cost or when > rules.horizon + 1e-9:
        return False
    tenth = TENTH * rules.horizon
    takes = 0.0
    for r in range(s.n_abilities[b]):
        if d.spare[b, r] > 0:
            takes = max(takes, s.alloc.capacity[b, r, t] / d.spare[b, r])
    e = EXCESS
    x[b, e] = clip(cost / max(d.cover[b, t], 1e-9) - 1.0, 0.0, 3.0)
    x[b, e + 1] = (value - cost) / value
    x[b, e + 2] = clip(np.log2(value / s.scale[b]), -3.0, 3.0) / 2.0
    x[b, e + 3] = min((when - s.now[b]) / tenth, 3.0)
    x[b, e + 4] = min((way - ways / max(n, 1)) / tenth, 3.0)
    x[b, e + 5] = (rules.horizon - when) / rules.horizon
    x[b, e + 6] = min((s.now[b] - s.opened[b, t]) / tenth, 3.0)
    x[b, e + 7] = clip((s.fading[b, t] - s.now[b]) / tenth, -1.0, 1.0) if rules.decay < 1.0 else 1.0
    x[b, e + 8] = min(takes, 2.0)
    x[b, e + 9] = min(wish / cost, 3.0) if cost > 0.0 else 0.0
    x[b, e + 10] = clip(np.log2((value - cost) / s.scale[b]), -4.0, 4.0) / 2.0
    x[b, e + 11] = x[b, e] * x[b, TIME_LEFT]
    x[b, e + 12] = x[b, e] * x[b, PRESSURE]
    x[b, e + 13] = x[b, e] * x[b, LOAD]
    x[b, e + 14] = x[b, e] * x[b, e + 1]
    x[b, e + 15] = x[b, e + 1] * x[b, LOAD]
    x[b, e + 16] = x[b, e + 3] * x[b, LOAD]
    x[b, e + 17] = x[b, e + 10] * x[b, LOAD]
    return True
