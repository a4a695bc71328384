"""What an agent sees: features of entities (slots), task slots (bins), the whole, and of placements.

Abilities are told by what they mean for the needs (shares of what is still lacking), costs and values in units
of the mission's mean value of a task, times in tenths of the horizon: nothing depends on how many entities, slots
or abilities there are. Everything is computed when asked for; only the cover costs are kept in the state.

What is called for every entity is inlined: a call that takes the state takes a microsecond, for its hundreds of
pointers and lengths go over the stack.
"""

import numpy as np

from allocenv.core.kernel import inlined, kernel
from allocenv.core.resource_state import UNPLACED
from allocenv.problems.task.dynamics import (
    CLOSED,
    EMPTY,
    OPEN,
    contributes,
    cost_of,
    free_cover,
    full_cover,
    is_free,
    is_legal,
    next_event,
    travel,
    value_at,
)

SLOT_FEATURES = (
    "can serve now",
    "in a team that forms",
    "in a team that has left",
    "kept by an open task of its own",
    "time until its task is done (up to 2), / 2",
    "cost by the fleet's mean cost (up to 4), / 4",
    "cost in mean values (up to 1)",
    "abilities by the fleet's mean (up to 4), / 4",
    "abilities per cost, log2 of the ratio to the fleet's (up to 3), / 3",
    "largest of its abilities as a share of their sum",
    "largest share of what an open task lacks that it brings",
    "mean share over open tasks",
    "best value brought per cost, log2 (up to 4), / 4",
    "shortest travel to a task it helps (up to 2), / 2",
    "travel to the task it helps most (up to 2), / 2",
    "is the slot of nobody",
)
BIN_FEATURES = (
    "open",
    "its team has left",
    "empty",
    "is the place of the idle",
    "value in mean values (up to 4), / 4",
    "value as a share of what it was",
    "time until the value decays (-1 to 1)",
    "share of the need that is lacking, mean of abilities",
    "share of the need that is lacking, largest",
    "lacking by what the free bring, largest (up to 2), / 2",
    "age (up to 2), / 2",
    "members / 16 (up to 1)",
    "team's cost by value (up to 2), / 2",
    "cover cost of the whole fleet by value (up to 2), / 2",
    "cover cost of the free by value (up to 2), / 2",
    "cover cost of the fleet as a share of that of the free",
    "value less cover cost of the free, in mean values (-4 to 4), / 4",
    "time until it is done (up to 2), / 2",
    "travel of the nearest free entity (up to 2), / 2",
    "mean travel of the free (up to 2), / 2",
    "work (up to 2), / 2",
)
CONTEXT = (
    "time left as a share of the horizon",
    "time that the last action took (up to 2), / 2",
    "time until the next event (up to 2), / 2",
    "share of the tasks not yet opened",
    "share of the tasks done",
    "free entities as a share",
    "their cost as a share",
    "open slots as a share",
    "slots whose team has left as a share",
    "log2 of the entities / 10",
    "log2 of the slots / 10",
    "log2 of the tasks / 10",
    "abilities / 8",
    "best cover cost of the fleet as a share of that of the free",
    "entities leave one by one",
    "the makespan counts",
    "steps left / 1000 (up to 1)",
)
PLACEMENT_FEATURES = (
    "is a task",
    "gives its team up",
    "is waiting",
    "travel (up to 2), / 2",
    "share of what is lacking that it brings, mean of abilities",
    "share of what is lacking that it brings, largest",
    "share of its abilities that is of use",
    "cost by value (up to 2), / 2",
    "share brought of the fleet's cover cost by cost, log2 (up to 4), / 4",
    "completes the team",
    "team's cost with it by value (up to 2), / 2",
    "value when done less team's cost, in mean values (-4 to 4), / 4",
    "cover cost of the whole fleet by value (up to 2), / 2",
    "cover cost of the free by value (up to 2), / 2",
    "cover cost of the fleet as a share of that of the free",
    "share of the need that is lacking",
    "time left when done as a share of the horizon (-1 to 1)",
    "members / 16 (up to 1)",
)
TENTH = 0.1


@inlined
def upto(x, most):
    """x between 0 and `most`, as a share of it."""
    return min(max(x, 0.0), most) / most


@inlined
def between(x, most):
    """x between -most and most, as a share of it."""
    return min(max(x, -most), most) / most


@inlined
def ratio(a, b):
    """a / b where that is a number from 0 to 1, else 0."""
    if not np.isfinite(a) or not np.isfinite(b) or b <= 0.0:
        return 0.0
    return min(max(a / b, 0.0), 1.0)


@inlined
def log_share(a, b, most):
    """log2(a / b) between -1 and 1, in units of `most`."""
    if a <= 0.0:
        return -1.0
    if b <= 0.0:
        return 1.0
    return between(np.log2(a / b), most)


@inlined
def help_of(s, b, i, t):
    """The mean share over abilities of what slot t lacks that the entity brings."""
    total = 0.0
    n = 0
    for r in range(s.n_abilities[b]):
        lacks = s.alloc.capacity[b, r, t] - s.alloc.used[b, r, t]
        if lacks > 0:
            total += min(s.alloc.demand[b, i, 0, r], lacks) / lacks
            n += 1
    return total / n if n > 0 else 0.0


@inlined
def lacking(s, b, t):
    """The mean share over abilities of its need that slot t lacks."""
    total = 0.0
    n = 0
    for r in range(s.n_abilities[b]):
        if s.alloc.capacity[b, r, t] > 0:
            total += max(s.alloc.capacity[b, r, t] - s.alloc.used[b, r, t], 0) / s.alloc.capacity[b, r, t]
            n += 1
    return total / n if n > 0 else 0.0


@inlined
def sum_of_abilities(s, b, i):
    total = 0.0
    for r in range(s.n_abilities[b]):
        total += s.alloc.demand[b, i, 0, r]
    return total


@kernel
def observe(rules, s, w, out, lo, hi):
    """Write everything that is seen of rows lo..hi; the arrays are zero (slot_bin: -1) before."""
    nobody = s.cost.shape[1]
    tenth = TENTH * rules.horizon
    for b in range(lo, hi):
        n = s.n_entities[b]
        mean_cost = 0.0
        mean_ability = 0.0
        for i in range(n):
            mean_cost += s.cost[b, i] / n
            mean_ability += sum_of_abilities(s, b, i) / n
        for i in range(n):
            out.slot_bin[b, i] = s.alloc.bin_of[b, i]
            observe_slot(rules, s, b, i, tenth, mean_cost, mean_ability, out.slots[b, i])
            out.slot_mask[b, i] = out.slots[b, i, 0] > 0.0 and out.slots[b, i, 10] > 0.0
        out.slots[b, nobody, 15] = 1.0
        out.slot_mask[b, nobody] = True
        best = 0.0
        for t in range(s.n_slots[b]):
            observe_bin(rules, s, w, b, t, tenth, out.bins[b, t])
            best = max(best, out.bins[b, t, 15])
        out.bins[b, s.phase.shape[1], 3] = 1.0
        observe_context(rules, s, b, tenth, best, out.context[b])


@inlined
def observe_slot(rules, s, b, i, tenth, mean_cost, mean_ability, row):
    held = np.int64(s.alloc.bin_of[b, i])
    row[0] = is_free(s, b, i)
    if held != UNPLACED:
        row[1] = s.phase[b, held] == OPEN
        row[2] = s.phase[b, held] == CLOSED
        if s.phase[b, held] == CLOSED:
            row[4] = upto((s.ready[b, held] - s.now[b]) / tenth, 2.0)
        elif rules.single:
            row[4] = upto((s.arrives[b, i] - s.now[b]) / tenth, 2.0)
    row[3] = s.blocked[b, i] > 0
    row[5] = upto(s.cost[b, i] / mean_cost, 4.0) if mean_cost > 0.0 else 0.0
    row[6] = upto(s.cost[b, i] / s.scale[b], 1.0) if not rules.makespan else 0.0
    mine = sum_of_abilities(s, b, i)
    row[7] = upto(mine / max(mean_ability, 1e-9), 4.0)
    row[8] = log_share(mine * mean_cost, mean_ability * s.cost[b, i], 3.0) if mean_cost > 0.0 else 0.0
    top = 0
    for r in range(s.n_abilities[b]):
        top = max(top, s.alloc.demand[b, i, 0, r])
    row[9] = top / mine if mine > 0.0 else 0.0
    row[12] = -1.0
    row[13] = row[14] = 1.0
    if row[0] == 0.0:
        return
    helped = 0
    total = 0.0
    for t in range(s.n_slots[b]):
        if not contributes(s, b, i, t):
            continue
        share = help_of(s, b, i, t)
        way = upto(travel(rules, s, b, i, t) / tenth, 2.0)
        if share > row[10]:
            row[10], row[14] = share, way
        row[12] = max(row[12], log_share(share * s.worth[b, t], cost_of(s, b, i, t), 4.0))
        row[13] = min(row[13], way)
        total += share
        helped += 1
    row[11] = total / helped if helped > 0 else 0.0


@inlined
def observe_bin(rules, s, w, b, t, tenth, row):
    row[2] = s.phase[b, t] == EMPTY
    if s.phase[b, t] == EMPTY:
        return
    task = s.task[b, t]
    worth = s.worth[b, t]
    row[0] = s.phase[b, t] == OPEN
    row[1] = s.phase[b, t] == CLOSED
    row[4] = upto(worth / s.scale[b], 4.0) if not rules.makespan else 0.0
    row[5] = ratio(worth, s.q_value[b, task])
    row[6] = between((s.fading[b, t] - s.now[b]) / tenth, 1.0) if rules.decay < 1.0 else 1.0
    row[10] = upto((s.now[b] - s.opened[b, t]) / tenth, 2.0)
    row[11] = min(s.alloc.n_held[b, t] / 16.0, 1.0)
    row[12] = upto(s.team_cost[b, t] / worth, 2.0) if worth > 0.0 else 0.0
    row[20] = upto(s.q_work[b, task] / tenth, 2.0)
    if s.phase[b, t] == CLOSED:
        row[17] = upto((s.ready[b, t] - s.now[b]) / tenth, 2.0)
        return
    row[7] = lacking(s, b, t)
    describe_covers(rules, s, w, b, t, row, 13)
    if not rules.makespan:
        free = free_cover(s, w, b, t)
        row[16] = between((worth - free) / s.scale[b], 4.0) if np.isfinite(free) else -1.0
    nearest = np.inf
    total = 0.0
    n = 0
    for i in range(s.n_entities[b]):
        if is_free(s, b, i):
            way = travel(rules, s, b, i, t)
            nearest = min(nearest, way)
            total += way
            n += 1
    row[18] = upto(nearest / tenth, 2.0)
    row[19] = upto(total / (n * tenth), 2.0) if n > 0 else 1.0
    for r in range(s.n_abilities[b]):
        need = s.alloc.capacity[b, r, t]
        lacks = need - s.alloc.used[b, r, t]
        if lacks > 0:
            row[8] = max(row[8], lacks / need)
            there = 0.0
            for i in range(s.n_entities[b]):
                if is_free(s, b, i):
                    there += s.alloc.demand[b, i, 0, r]
            row[9] = max(row[9], upto(lacks / there, 2.0) if there > 0.0 else 1.0)


@kernel
def describe_covers(rules, s, w, b, t, row, first):
    """Cover costs by value, and as shares of each other, into three features from `first` on."""
    if rules.makespan:
        return
    worth, full, free = s.worth[b, t], full_cover(s, w, b, t), free_cover(s, w, b, t)
    row[first] = upto(full / worth, 2.0) if worth > 0.0 else 1.0
    row[first + 1] = upto(free / worth, 2.0) if worth > 0.0 else 1.0
    row[first + 2] = ratio(full, free)


@kernel
def observe_context(rules, s, b, tenth, best, row):
    n, slots = s.n_entities[b], s.n_slots[b]
    free = cost = fleet = 0.0
    for i in range(n):
        fleet += s.cost[b, i]
        if is_free(s, b, i):
            free += 1.0
            cost += s.cost[b, i]
    n_open = n_closed = 0
    for t in range(slots):
        n_open += s.phase[b, t] == OPEN
        n_closed += s.phase[b, t] == CLOSED
    row[0] = max(rules.horizon - s.now[b], 0.0) / rules.horizon
    row[1] = upto(s.elapsed[b] / tenth, 2.0)
    row[2] = upto((next_event(rules, s, b) - s.now[b]) / tenth, 2.0)
    row[3] = (s.n_tasks[b] - s.next_task[b]) / s.n_tasks[b]
    row[4] = s.n_done[b] / s.n_tasks[b]
    row[5] = free / n
    row[6] = cost / fleet if fleet > 0.0 else 0.0
    row[7] = n_open / slots
    row[8] = n_closed / slots
    row[9] = np.log2(n) / 10.0
    row[10] = np.log2(slots) / 10.0
    row[11] = np.log2(s.n_tasks[b]) / 10.0
    row[12] = s.n_abilities[b] / 8.0
    row[13] = best
    row[14] = rules.single
    row[15] = rules.makespan
    row[16] = upto(s.steps_left[b] / 1000.0, 1.0)


@kernel
def placement_mask(rules, s, slots, out, lo, hi):
    """Write which placements are legal for the chosen slot: [B, T + 1]."""
    for b in range(lo, hi):
        for placement in range(s.phase.shape[1] + 1):
            out[b, placement] = is_legal(rules, s, b, np.int64(slots[b]), placement)


@kernel
def placement_features(rules, s, w, slots, out, lo, hi):
    """Write what each legal placement would mean for the chosen slot: [B, T + 1, P]; zero where illegal."""
    nobody, wait = s.cost.shape[1], s.phase.shape[1]
    tenth = TENTH * rules.horizon
    for b in range(lo, hi):
        for placement in range(wait + 1):
            if not is_legal(rules, s, b, np.int64(slots[b]), placement):
                continue
            row = out[b, placement]
            if placement == wait:
                row[2] = 1.0
                row[3] = upto((next_event(rules, s, b) - s.now[b]) / tenth, 2.0)
                continue
            row[1] = slots[b] == nobody
            row[15] = lacking(s, b, placement)
            row[17] = min(s.alloc.n_held[b, placement] / 16.0, 1.0)
            describe_covers(rules, s, w, b, placement, row, 12)
            if slots[b] == nobody:
                worth = s.worth[b, placement]
                row[10] = upto(s.team_cost[b, placement] / worth, 2.0) if worth > 0.0 else 0.0
            else:
                describe_member(rules, s, w, b, np.int64(slots[b]), placement, tenth, row)


@inlined
def describe_member(rules, s, w, b, i, t, tenth, row):
    """What it would mean if the entity joined the team of slot t."""
    row[0] = 1.0
    way = travel(rules, s, b, i, t)
    row[3] = upto(way / tenth, 2.0)
    row[4] = help_of(s, b, i, t)
    used = mine = 0.0
    completes = True
    for r in range(s.n_abilities[b]):
        lacks = max(s.alloc.capacity[b, r, t] - s.alloc.used[b, r, t], 0)
        brings = s.alloc.demand[b, i, 0, r]
        used += min(lacks, brings)
        mine += brings
        if lacks > 0:
            row[5] = max(row[5], min(brings / lacks, 1.0))
        if brings < lacks:
            completes = False
    row[6] = used / mine if mine > 0.0 else 0.0
    row[9] = completes
    last = s.now[b] + way
    held = np.int64(s.alloc.first_held[b, t])
    while held >= 0:
        there = s.arrives[b, held] if rules.single else s.now[b] + travel(rules, s, b, held, t)
        last = max(last, there)
        held = np.int64(s.alloc.next_held[b, held])
    done = last + s.q_work[b, s.task[b, t]]
    row[16] = between((rules.horizon - done) / rules.horizon, 1.0)
    if rules.makespan:
        return
    cost, worth = cost_of(s, b, i, t), s.worth[b, t]
    team = s.team_cost[b, t] + cost
    row[7] = upto(cost / worth, 2.0) if worth > 0.0 else 1.0
    full = full_cover(s, w, b, t)
    row[8] = log_share(row[4] * lacking(s, b, t) * full, cost, 4.0) if np.isfinite(full) else 1.0
    row[10] = upto(team / worth, 2.0) if worth > 0.0 else 1.0
    row[11] = between((value_at(rules, s, b, t, done) - team) / s.scale[b], 4.0)
