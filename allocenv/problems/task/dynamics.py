"""The model of multi-entity task allocation: state, legality, what an action does. Start reading here.

Entities with abilities form teams for open tasks; a task is done once a team whose abilities add up to its need
has travelled there and worked (arXiv 2407.00496; DCMRTA, ICRA 2024). On the core's ResourceState an entity is an
item, a task slot a bin, an ability a resource, with the inequality turned: `capacity` is what the task in the
slot needs, `used` what the entities committed to it bring, and a team is complete when `used >= capacity`.

Choosing takes no time; waiting lets it pass to the next event. A slot is EMPTY, OPEN (its team forms) or CLOSED
(its team is complete: it travels and works, and cannot be recalled). A team that is complete closes at once, so
that no team that does not cover its task ever travels or is paid. Value less cost is earned when the task is done.
"""

from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray, IntArray, LongArray
from allocenv.core.kernel import inlined, kernel
from allocenv.core.resource_state import (
    NOBODY,
    UNPLACED,
    ResourceState,
    clear,
    empty_resource_state,
    place,
    remove,
)
from allocenv.problems.task.cover import Workspace, cover_cost
from allocenv.problems.task.mission import Mission
from allocenv.problems.task.rules import CHEBYSHEV, MANHATTAN, NONE, Rules

EMPTY, OPEN, CLOSED = 0, 1, 2  # phases of a slot
ILLEGAL_REWARD = -1.0  # as much as losing a task of mean value
NEVER = np.inf
STALE = -1.0  # of a cover cost: to be computed when somebody asks
_EPSILON = 1e-9


class Shape(NamedTuple):
    """How large the arrays of a state are."""

    entities: int  # M
    slots: int  # T
    tasks: int  # Q
    abilities: int  # K


class State(NamedTuple):
    """B missions in mid-episode. Kernels of this folder are the only writers. Times are float64."""

    alloc: ResourceState  # items: entities; bins: slots; resources: abilities; a shape an entity
    # entities
    cost: Array  # [B, M]
    rate: Array  # [B, M]
    xy: Array  # [B, M, 2]  where the entity is, or was when it left
    home: Array  # [B, M, 2]
    arrives: Array  # [B, M]  at its task; 0 while it has none or its team forms
    left: Array  # [B, M]  when it was last released from a task
    blocked: IntArray  # [B, M]  open tasks of its own that keep it from serving
    # the list of tasks
    q_value: Array  # [B, Q]
    q_need: IntArray  # [B, Q, K]
    q_xy: Array  # [B, Q, 2]
    q_work: Array  # [B, Q]
    q_arrival: Array  # [B, Q]
    q_rate: Array  # [B, Q]
    q_owner: LongArray  # [B, Q]
    done_at: Array  # [B, Q]  when the task was done; NEVER before
    # slots
    phase: LongArray  # [B, T]  EMPTY, OPEN or CLOSED
    task: LongArray  # [B, T]  index in the list, or -1
    slot_xy: Array  # [B, T, 2]
    slot_rate: Array  # [B, T]
    slot_need: Array  # [B, T, K]  before rounding up
    worth: Array  # [B, T]  value if the task were done now
    fading: Array  # [B, T]  when the value begins to decay
    opened: Array  # [B, T]
    ready: Array  # [B, T]  when a closed team will be done
    team_cost: Array  # [B, T]  of the entities committed
    full_cover: Array  # [B, T]  least cost of covering with the whole fleet, or STALE
    free_cover: Array  # [B, T]  with all who are not in a closed team, or STALE
    # the row
    n_entities: LongArray  # [B]  as in `alloc`, in the type of indices: so kernels compile once
    n_slots: LongArray  # [B]
    n_tasks: LongArray  # [B]
    n_abilities: LongArray  # [B]
    next_task: LongArray  # [B]  the first that has not been opened
    n_done: LongArray  # [B]
    now: Array  # [B]
    elapsed: Array  # [B]  time that the last action took
    net: Array  # [B]  value less cost earned
    collected: Array  # [B]  value earned
    scale: Array  # [B]  reward 1 in the units of value (or time): the mean value (or mean work and travel) of a task
    makespan: Array  # [B]  when the last entity is home; NEVER before
    over: BoolArray  # [B]
    steps_left: IntArray  # [B]
    n_illegal: IntArray  # [B]


def empty_state(n: int, shape: Shape) -> State:
    """Arrays for `n` missions."""
    floats = lambda *dims: np.zeros((n, *dims))  # noqa: E731
    ints = lambda *dims: np.zeros((n, *dims), np.int32)  # noqa: E731
    longs = lambda *dims: np.zeros((n, *dims), np.int64)  # noqa: E731
    m, t, q, k = shape.entities, shape.slots, shape.tasks, shape.abilities
    counts = ("n_entities", "n_slots", "n_tasks", "n_abilities", "next_task", "n_done")
    return State(
        alloc=empty_resource_state(n, m, t, k, m, 1),
        **{name: floats(m) for name in ("cost", "rate", "arrives", "left")},
        **{name: floats(m, 2) for name in ("xy", "home")},
        blocked=ints(m),
        **{name: floats(q) for name in ("q_value", "q_work", "q_arrival", "q_rate", "done_at")},
        q_xy=floats(q, 2),
        q_need=ints(q, k),
        q_owner=longs(q),
        phase=longs(t),
        task=longs(t) - 1,
        slot_xy=floats(t, 2),
        slot_need=floats(t, k),
        **{name: floats(t) for name in ("slot_rate", "worth", "fading", "opened", "ready")},
        **{name: floats(t) for name in ("team_cost", "full_cover", "free_cover")},
        **{name: longs() for name in counts},
        **{name: ints() for name in ("steps_left", "n_illegal")},
        **{name: floats() for name in ("now", "elapsed", "net", "collected", "scale", "makespan")},
        over=np.zeros(n, np.bool_),
    )


def fill(state: State, rules: Rules, b: int, mission: Mission, max_steps: int) -> None:
    """Begin an episode on the mission in row b."""
    m, q, k = mission.n_entities, mission.n_tasks, mission.n_abilities
    alloc = state.alloc
    alloc.n_items[b], alloc.n_bins[b] = m, mission.slots
    alloc.demand[b] = 0
    alloc.demand[b, :m, 0, :k] = mission.ability
    alloc.n_variants[b] = 0
    alloc.n_variants[b, :m] = 1
    alloc.shape_of[b, :m] = np.arange(m)
    state.cost[b, :m], state.rate[b, :m] = mission.cost, mission.rate
    state.home[b, :m] = mission.xy
    state.q_value[b, :q], state.q_work[b, :q] = mission.value, mission.work
    state.q_arrival[b, :q], state.q_rate[b, :q] = mission.arrival, mission.task_rate
    state.q_owner[b, :q] = mission.owner
    state.q_xy[b, :q] = mission.task_xy
    state.q_need[b] = 0
    state.q_need[b, :q, :k] = mission.need
    state.n_entities[b], state.n_slots[b], state.n_tasks[b], state.n_abilities[b] = m, mission.slots, q, k
    _begin(rules, state, b, max_steps)


@kernel
def _begin(rules, s, b, max_steps):
    """Nobody is committed, time is 0, the first tasks are open."""
    clear(s.alloc, b)
    s.alloc.capacity[b] = 0
    for i in range(s.n_entities[b]):
        s.xy[b, i, 0], s.xy[b, i, 1] = s.home[b, i, 0], s.home[b, i, 1]
        s.arrives[b, i] = s.left[b, i] = 0.0
        s.blocked[b, i] = 0
    for t in range(s.phase.shape[1]):
        s.phase[b, t] = EMPTY
        s.task[b, t] = -1
        s.worth[b, t] = s.team_cost[b, t] = 0.0
        s.full_cover[b, t] = s.free_cover[b, t] = STALE
    for task in range(s.n_tasks[b]):
        s.done_at[b, task] = NEVER
    s.next_task[b] = s.n_done[b] = s.n_illegal[b] = 0
    s.now[b] = s.elapsed[b] = s.net[b] = s.collected[b] = 0.0
    s.makespan[b] = NEVER
    s.over[b] = False
    s.steps_left[b] = max_steps
    s.scale[b] = _scale(rules, s, b)
    refill(rules, s, b)


@kernel
def _scale(rules, s, b):
    """The mean value of a task; where the makespan counts its mean work and travel from the first entity's home."""
    total = 0.0
    for task in range(s.n_tasks[b]):
        if rules.makespan:
            dx, dy = s.q_xy[b, task, 0] - s.home[b, 0, 0], s.q_xy[b, task, 1] - s.home[b, 0, 1]
            total += s.q_work[b, task] + length(rules.metric, dx, dy) / rules.speed
        else:
            total += s.q_value[b, task]
    return total / s.n_tasks[b] if total > 0.0 else 1.0


@inlined
def length(metric, dx, dy):
    """How far it is, by the metric."""
    if metric == NONE:
        return 0.0
    if metric == MANHATTAN:
        return abs(dx) + abs(dy)
    if metric == CHEBYSHEV:
        return max(abs(dx), abs(dy))
    return np.sqrt(dx * dx + dy * dy)


@inlined
def travel(rules, s, b, i, t):
    """How long entity i travels to the task in slot t."""
    return length(rules.metric, s.slot_xy[b, t, 0] - s.xy[b, i, 0], s.slot_xy[b, t, 1] - s.xy[b, i, 1]) / rules.speed


@inlined
def cost_of(s, b, i, t):
    """What entity i costs when it serves the task in slot t."""
    rate = s.rate[b, i] + s.slot_rate[b, t]
    if rate == 0.0:
        return s.cost[b, i]
    dx, dy = s.slot_xy[b, t, 0] - s.xy[b, i, 0], s.slot_xy[b, t, 1] - s.xy[b, i, 1]
    return s.cost[b, i] + 0.5 * rate * np.sqrt(dx * dx + dy * dy)


@inlined
def value_at(rules, s, b, t, when):
    """What the task in slot t is worth when it is done then."""
    fades = max(0.0, when - s.fading[b, t]) - max(0.0, s.now[b] - s.fading[b, t])
    return s.worth[b, t] * rules.decay**fades if fades > 0.0 else s.worth[b, t]


@inlined
def is_free(s, b, i):
    """Whether the entity exists, is committed to nothing, and no open task of its own keeps it."""
    return i >= 0 and i < s.n_entities[b] and s.alloc.bin_of[b, i] == UNPLACED and s.blocked[b, i] == 0


@inlined
def contributes(s, b, i, t):
    """Whether the entity brings anything that the open task in slot t still lacks."""
    if s.phase[b, t] != OPEN:
        return False
    for r in range(s.n_abilities[b]):
        if s.alloc.demand[b, i, 0, r] > 0 and s.alloc.used[b, r, t] < s.alloc.capacity[b, r, t]:
            return True
    return False


@inlined
def is_covered(s, b, t):
    """Whether the entities committed to slot t bring all that its task needs."""
    for r in range(s.n_abilities[b]):  # noqa: SIM110  kernels know no generators
        if s.alloc.used[b, r, t] < s.alloc.capacity[b, r, t]:
            return False
    return True


@kernel
def is_legal(rules, s, b, slot, placement):
    """Whether the pair may be carried out: commit a free entity, give up a forming team, or wait."""
    m, t = s.cost.shape[1], s.phase.shape[1]
    if slot == m:
        if placement == t:
            return True
        if rules.single or placement < 0 or placement > t:
            return False
        return s.phase[b, placement] == OPEN and s.alloc.n_held[b, placement] > 0
    if not is_free(s, b, slot) or placement < 0 or placement >= t:
        return False
    return contributes(s, b, slot, placement)


@kernel
def stale_covers(s, b):
    """Forget what the free entities could cover: who is free has changed."""
    for t in range(s.n_slots[b]):
        s.free_cover[b, t] = STALE


@kernel
def commit(rules, s, b, i, t):
    """Add the entity to the team that forms for slot t; the team closes when it is complete."""
    s.team_cost[b, t] += cost_of(s, b, i, t)
    place(s.alloc, b, i, t, 0)
    s.arrives[b, i] = s.now[b] + travel(rules, s, b, i, t) if rules.single else 0.0
    if is_covered(s, b, t):
        close(rules, s, b, t)


@kernel
def close(rules, s, b, t):
    """The team of slot t is complete: all who have not left do, and it is known when the task will be done."""
    last = s.now[b]
    i = np.int64(s.alloc.first_held[b, t])
    while i != NOBODY:
        if not rules.single:
            s.arrives[b, i] = s.now[b] + travel(rules, s, b, i, t)
        last = max(last, s.arrives[b, i])
        i = np.int64(s.alloc.next_held[b, i])
    s.phase[b, t] = CLOSED
    s.ready[b, t] = last + s.q_work[b, s.task[b, t]]
    stale_covers(s, b)


@kernel
def give_up(s, b, t):
    """Release the entities of a team that forms; they stay where they are."""
    while s.alloc.first_held[b, t] != NOBODY:
        remove(s.alloc, b, np.int64(s.alloc.first_held[b, t]))
    s.team_cost[b, t] = 0.0


@kernel
def release(rules, s, b, i, t):
    """Let the entity go, at the place of slot t where entities travel."""
    remove(s.alloc, b, i)
    if rules.metric != NONE:
        s.xy[b, i, 0], s.xy[b, i, 1] = s.slot_xy[b, t, 0], s.slot_xy[b, t, 1]
        for other in range(s.n_slots[b]):
            if s.rate[b, i] + s.slot_rate[b, other] > 0.0:
                s.full_cover[b, other] = STALE  # its cost depends on where it is
    s.left[b, i] = s.now[b]
    s.arrives[b, i] = 0.0


@kernel
def complete(rules, s, b, t):
    """The task in slot t is done: its team is free where it worked, the slot is empty. Pays nothing."""
    while s.alloc.first_held[b, t] != NOBODY:
        release(rules, s, b, np.int64(s.alloc.first_held[b, t]), t)
    task = s.task[b, t]
    if s.q_owner[b, task] >= 0:
        s.blocked[b, s.q_owner[b, task]] -= 1
    s.done_at[b, task] = s.now[b]
    s.n_done[b] += 1
    empty_slot(s, b, t)
    stale_covers(s, b)


@kernel
def empty_slot(s, b, t):
    s.phase[b, t] = EMPTY
    s.task[b, t] = -1
    s.worth[b, t] = s.team_cost[b, t] = 0.0
    for r in range(s.alloc.capacity.shape[1]):
        s.alloc.capacity[b, r, t] = 0


@kernel
def open_task(s, b, t, task, x, y, rate, fading):
    """Put a task of the list into slot t, at its full value and need."""
    s.phase[b, t] = OPEN
    s.task[b, t] = task
    s.slot_xy[b, t, 0], s.slot_xy[b, t, 1], s.slot_rate[b, t] = x, y, rate
    s.worth[b, t] = s.q_value[b, task]
    s.fading[b, t] = fading
    s.opened[b, t] = s.now[b]
    for r in range(s.n_abilities[b]):
        s.slot_need[b, t, r] = s.q_need[b, task, r]
        s.alloc.capacity[b, r, t] = s.q_need[b, task, r]
    s.full_cover[b, t] = s.free_cover[b, t] = STALE


@kernel
def refill(rules, s, b):
    """Put the next tasks that have arrived into the empty slots."""
    for t in range(s.n_slots[b]):
        task = s.next_task[b]
        if task >= s.n_tasks[b] or s.q_arrival[b, task] > s.now[b] + _EPSILON:
            return
        if s.phase[b, t] == EMPTY:
            open_task(s, b, t, task, s.q_xy[b, task, 0], s.q_xy[b, task, 1], s.q_rate[b, task], s.now[b] + rules.grace)
            s.next_task[b] += 1
            if s.q_owner[b, task] >= 0:
                s.blocked[b, s.q_owner[b, task]] += 1
                stale_covers(s, b)


@inlined
def after(now, every):
    """The first multiple of `every` after now."""
    return (np.floor(now / every + _EPSILON) + 1.0) * every


@kernel
def next_event(rules, s, b):
    """When something happens next: a team is done, patience ends, tasks fill slots, a period or the episode ends."""
    when = rules.horizon
    now = s.now[b]
    if rules.period > 0.0:
        when = min(when, after(now, rules.period))
    has_room = False
    for t in range(s.n_slots[b]):
        if s.phase[b, t] == CLOSED:
            when = min(when, s.ready[b, t])
        elif s.phase[b, t] == EMPTY:
            has_room = True
        elif rules.single:
            i = np.int64(s.alloc.first_held[b, t])
            while i != NOBODY:
                when = min(when, s.arrives[b, i] + rules.wait_limit)
                i = np.int64(s.alloc.next_held[b, i])
    if has_room and s.next_task[b] < s.n_tasks[b]:
        comes = max(now, s.q_arrival[b, s.next_task[b]])
        if rules.refill_every > 0.0:
            comes = after(comes - 2.0 * _EPSILON if comes > now else now, rules.refill_every)
        when = min(when, comes)
    return max(when, now)


@kernel
def advance(rules, s, b):
    """Let time pass to the next event and carry out all that happens then."""
    before = s.now[b]
    s.now[b] = next_event(rules, s, b)
    s.elapsed[b] = s.now[b] - before
    now = s.now[b] + _EPSILON
    for t in range(s.n_slots[b]):
        if s.phase[b, t] == EMPTY:
            continue
        value = s.worth[b, t]
        fades = max(0.0, s.now[b] - s.fading[b, t]) - max(0.0, before - s.fading[b, t])
        if fades > 0.0 and rules.decay < 1.0:
            value *= rules.decay**fades
            if rules.decay_needs and s.phase[b, t] == OPEN:
                shrink(s, b, t, rules.decay**fades)
        s.worth[b, t] = value
        if s.phase[b, t] == CLOSED and s.ready[b, t] <= now:
            if not rules.makespan:
                s.net[b] += value - s.team_cost[b, t]
            s.collected[b] += value
            complete(rules, s, b, t)
        elif s.phase[b, t] == OPEN:
            if rules.single:
                lose_patience(rules, s, b, t, now)
            if is_covered(s, b, t):
                close(rules, s, b, t)
    if rules.refill_every == 0.0 or s.now[b] - np.floor(now / rules.refill_every) * rules.refill_every <= _EPSILON:
        refill(rules, s, b)
    finish(rules, s, b)


@kernel
def shrink(s, b, t, factor):
    """Let the need of slot t shrink; whole abilities cover it once they reach it rounded up."""
    for r in range(s.n_abilities[b]):
        s.slot_need[b, t, r] *= factor
        s.alloc.capacity[b, r, t] = np.int32(np.ceil(s.slot_need[b, t, r] - _EPSILON))
    s.full_cover[b, t] = s.free_cover[b, t] = STALE


@kernel
def lose_patience(rules, s, b, t, now):
    """Release those who have waited at slot t for as long as they may."""
    i = np.int64(s.alloc.first_held[b, t])
    while i != NOBODY:
        following = np.int64(s.alloc.next_held[b, i])
        if s.arrives[b, i] + rules.wait_limit <= now:
            s.team_cost[b, t] -= cost_of(s, b, i, t)
            release(rules, s, b, i, t)
        i = following


@kernel
def finish(rules, s, b):
    """See whether the episode is over, and when everybody is home."""
    if s.n_done[b] == s.n_tasks[b]:
        s.over[b] = True
        s.makespan[b] = 0.0
        for i in range(s.n_entities[b]):
            home = length(rules.metric, s.home[b, i, 0] - s.xy[b, i, 0], s.home[b, i, 1] - s.xy[b, i, 1]) / rules.speed
            s.makespan[b] = max(s.makespan[b], s.left[b, i] + home)
    if s.now[b] >= rules.horizon - _EPSILON:
        s.over[b] = True


@kernel
def objective(rules, s, b):
    """What is minimised: minus value less cost; or the makespan, where unfinished tasks count as horizons."""
    if not rules.makespan:
        return -s.net[b]
    if s.n_done[b] == s.n_tasks[b]:
        return s.makespan[b]
    return rules.horizon * (2.0 - s.n_done[b] / s.n_tasks[b])


@kernel
def step_row(rules, s, b, slot, placement, out):
    """Carry out one action in row b, but for waiting, which is the caller's: returns whether to wait."""
    s.steps_left[b] -= 1
    s.elapsed[b] = 0.0
    out.rewards[b] = 0.0
    out.terminated[b] = s.over[b]
    out.truncated[b] = s.steps_left[b] <= 0
    out.illegal[b] = not is_legal(rules, s, b, slot, placement)
    if out.illegal[b]:
        s.n_illegal[b] += 1
        out.rewards[b] = ILLEGAL_REWARD
        return False
    if slot < s.cost.shape[1]:
        commit(rules, s, b, slot, placement)
        return False
    if placement < s.phase.shape[1]:
        give_up(s, b, placement)
        return False
    return not s.over[b]


@kernel
def settle(rules, s, b, net_before, out):
    """Write the reward of the time that has passed, and whether the episode is over."""
    reward = s.net[b] - net_before
    if rules.makespan:
        reward = -s.elapsed[b]
        if s.over[b]:
            reward -= objective(rules, s, b) - s.now[b]
    if rules.gamma < 1.0:
        reward *= rules.gamma ** s.now[b]
    out.rewards[b] = reward / s.scale[b]
    out.terminated[b] = s.over[b]


@kernel
def step(rules, s, actions, out, lo, hi):
    """Carry out one action [B, 2] in each row."""
    for b in range(lo, hi):
        if step_row(rules, s, b, np.int64(actions[b, 0]), np.int64(actions[b, 1]), out):
            net = s.net[b]
            advance(rules, s, b)
            settle(rules, s, b, net, out)


@kernel
def full_cover(s, w, b, t):
    """The least cost of covering the need of slot t with parts of the whole fleet; inf: impossible."""
    if s.full_cover[b, t] == STALE:
        s.full_cover[b, t] = _cover(s, w, b, t, False)
    return s.full_cover[b, t]


@kernel
def free_cover(s, w, b, t):
    """The same with those only who are in no closed team and not kept by a task of their own."""
    if s.free_cover[b, t] == STALE:
        s.free_cover[b, t] = _cover(s, w, b, t, True)
    return s.free_cover[b, t]


@kernel
def _cover(s, w, b, t, only_free):
    m: Any = np.int64(0)
    k: Any = np.int64(0)
    for i in range(s.n_entities[b]):
        if s.q_owner[b, s.task[b, t]] == i:
            continue
        held = np.int64(s.alloc.bin_of[b, i])
        if only_free and (s.blocked[b, i] > 0 or (held != UNPLACED and s.phase[b, held] == CLOSED)):
            continue
        w.cost[b, m] = cost_of(s, b, i, t)
        k = 0
        for r in range(s.n_abilities[b]):
            if s.alloc.capacity[b, r, t] > 0:
                w.ability[b, m, k] = s.alloc.demand[b, i, 0, r] / s.alloc.capacity[b, r, t]
                k += 1
        m += 1
    return cover_cost(w, b, m, k) if m > 0 else NEVER


def check(rules: Rules, state: State, work: Workspace, b: int) -> None:
    """Raise ValueError where row b breaks an invariant: closed teams cover their need, open ones do not yet."""
    for t in range(int(state.alloc.n_bins[b])):
        phase, held = state.phase[b, t], int(state.alloc.n_held[b, t])
        covered = bool((state.alloc.used[b, :, t] >= state.alloc.capacity[b, :, t]).all())
        expect(phase != EMPTY or held == 0, b, f"the empty slot {t} holds nobody")
        expect(phase != OPEN or not covered, b, f"a complete team of slot {t} has left")
        expect(phase != CLOSED or covered, b, f"the team of slot {t} covers its task")
        members = np.flatnonzero(state.alloc.bin_of[b, : state.alloc.n_items[b]] == t)
        if phase == OPEN:
            cost = sum(cost_of(state, b, int(i), t) for i in members)
            expect(abs(cost - state.team_cost[b, t]) < 1e-6, b, f"`team_cost` of slot {t} is the sum of its team's")
            fresh = deepcopy(state)
            fresh.full_cover[b], fresh.free_cover[b] = STALE, STALE
            for kept, new in ((state.full_cover, full_cover), (state.free_cover, free_cover)):
                same = kept[b, t] == STALE or bool(np.isclose(kept[b, t], new(fresh, work, b, t)))
                expect(same, b, f"the cover costs of slot {t} equal a fresh computation")
    done = int(np.isfinite(state.done_at[b, : state.n_tasks[b]]).sum())
    expect(done == state.n_done[b], b, "`n_done` counts the tasks done")


def expect(holds: object, b: int, what: str) -> None:
    """Raise ValueError unless it holds."""
    if not holds:
        raise ValueError(f"Row {b} is inconsistent: expected that {what}.")
