"""How do the actions of the model drive the published environments?

A complete team is sent to its slot and kept until the task is paid; all others stay where they are. After every
published step the model's slots, needs, values and positions are set to what the published state says.
"""

import numpy as np

from allocenv.core.kernel import kernel
from allocenv.core.resource_state import UNPLACED
from allocenv.problems.task import dynamics
from allocenv.problems.task.dynamics import CLOSED, EMPTY, OPEN, close, complete, is_covered, open_task, settle
from allocenv.problems.task.paper import electric, grid
from allocenv.problems.task.rules import PAPER_ELECTRIC

_EPSILON = 1e-9


@kernel
def begin(x, rules, s, p, b):
    """Begin the published episode in row b, which `dynamics.fill` has prepared."""
    grid.reset_row(x, p, b)
    for t in range(s.phase.shape[1]):
        s.phase[b, t] = EMPTY
        s.task[b, t] = -1
    s.next_task[b] = 0
    mirror(x, rules, s, p, b)


@kernel
def mirror(x, rules, s, p, b):
    """Set the model's row to the published one."""
    is_electric = rules.stepping == PAPER_ELECTRIC
    for i in range(s.n_entities[b]):
        s.blocked[b, i] = not p.idle[b, i]
        if not is_electric:
            s.xy[b, i, 0], s.xy[b, i, 1] = p.pos[b, i, 0], p.pos[b, i, 1]
    for t in range(s.phase.shape[1]):
        task = np.int64(p.task[b, t])
        if task < 0:
            continue
        if s.phase[b, t] == EMPTY:
            rate = x.rate[t] if is_electric else 0.0
            open_task(s, b, t, task, float(p.cells[b, t, 0]), float(p.cells[b, t, 1]), rate, s.now[b])
            s.next_task[b] += 1
            dynamics.stale_covers(s, b)
        s.fading[b, t] = s.now[b] + (p.age[b, t] - x.decay_age) + 1.0
        s.worth[b, t] = p.rows[b, t, 0]
        if is_electric:
            s.slot_xy[b, t, 0], s.slot_xy[b, t, 1] = p.rows[b, t, 2], p.rows[b, t, 3]
        if s.phase[b, t] == OPEN:
            refresh_need(s, p, b, t)
            if is_covered(s, b, t):
                close(rules, s, b, t)


@kernel
def refresh_need(s, p, b, t):
    """The need of slot t as it has decayed, rounded up: abilities are whole."""
    for r in range(s.n_abilities[b]):
        if s.slot_need[b, t, r] != p.rows[b, t, 1 + r]:
            s.slot_need[b, t, r] = p.rows[b, t, 1 + r]
            s.alloc.capacity[b, r, t] = np.int32(np.ceil(p.rows[b, t, 1 + r] - _EPSILON))
            s.full_cover[b, t] = s.free_cover[b, t] = dynamics.STALE


@kernel
def advance(x, rules, s, p, target, b):
    """Published steps until a slot is paid or filled, the period or the episode ends."""
    before = s.now[b]
    until = before + max(rules.period, 1.0)
    happened = False
    for i in range(s.n_entities[b]):
        slot = np.int64(s.alloc.bin_of[b, i])
        target[b, i] = slot if slot != UNPLACED and s.phase[b, slot] == CLOSED else -1
    while not happened and s.now[b] < until and not s.over[b]:
        came = p.next_task[b]
        if rules.stepping == PAPER_ELECTRIC:
            electric.step_row(x, p, target, b)
        else:
            grid.step_row(x, p, target, b)
        s.now[b] += 1.0
        s.net[b] += p.reward[b]
        s.collected[b] += p.value[b]
        happened = p.next_task[b] > came
        for t in range(s.phase.shape[1]):
            if p.paid[b, t]:
                complete(rules, s, b, t)
                happened = True
        s.over[b] = p.done[b]
    mirror(x, rules, s, p, b)
    s.elapsed[b] = s.now[b] - before


@kernel
def step(x, rules, s, p, target, actions, out, lo, hi):
    """Carry out one action [B, 2] in each row."""
    for b in range(lo, hi):
        if dynamics.step_row(rules, s, b, np.int64(actions[b, 0]), np.int64(actions[b, 1]), out):
            net = s.net[b]
            advance(x, rules, s, p, target, b)
            settle(rules, s, b, net, out)
