"""RBF and Material: one published step, given where every entity is sent.

The controller walks each entity towards its slot's cell (RBF: second coordinate first; Material: 8 directions)
and lets it work there; a cell with no positive coordinate is walked to by nobody. Then the step, in the published
order: moves; payment; decay; end; ages; refill. Quirks kept: two slots on one cell share a team and charge it
twice (RBF), needs decay with the value, ages are not reset by a refill.
"""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray, IntArray
from allocenv.core.kernel import kernel

REFILL_EVERY = 5


class Paper(NamedTuple):
    """B published environments. Axes: M entities, T slots."""

    pos: IntArray  # [B, M, 2]
    idle: BoolArray  # [B, M]  electric: may serve
    rows: Array  # [B, T, 1 + K]  value and needs; zeros: empty; electric: value, power, x, y
    cells: IntArray  # [B, T, 2]
    age: IntArray  # [B, T]
    task: IntArray  # [B, T]  index in the list, -1: empty
    paid: BoolArray  # [B, T]  by the last step
    total: Array  # [B, T, 1 + K]  sums of those who work there
    next_task: IntArray  # [B]
    epoch: IntArray  # [B]
    reward: Array  # [B]  of the last step
    value: Array  # [B]  of the last step
    done: BoolArray  # [B]


def empty_paper(n: int, entities: int, slots: int, columns: int) -> Paper:
    """Arrays for `n` environments."""
    ints = lambda *dims: np.zeros((n, *dims), np.int32)  # noqa: E731
    return Paper(
        pos=ints(entities, 2),
        idle=np.zeros((n, entities), np.bool_),
        rows=np.zeros((n, slots, columns)),
        cells=ints(slots, 2),
        age=ints(slots),
        task=ints(slots) - 1,
        paid=np.zeros((n, slots), np.bool_),
        total=np.zeros((n, slots, columns)),
        next_task=ints(),
        epoch=ints(),
        reward=np.zeros(n),
        value=np.zeros(n),
        done=np.zeros(n, np.bool_),
    )


@kernel
def reset_row(x, p, b):
    """Everybody at the start, the first tasks in the slots."""
    for i in range(x.start.shape[0]):
        p.pos[b, i, 0], p.pos[b, i, 1] = x.start[i, 0], x.start[i, 1]
        p.idle[b, i] = True
    p.next_task[b] = 0
    p.epoch[b] = 0
    p.reward[b] = p.value[b] = 0.0
    p.done[b] = False
    for t in range(p.age.shape[1]):
        p.age[b, t] = -1
        p.paid[b, t] = False
        take_next(x, p, b, t)


@kernel
def take_next(x, p, b, t):
    """The next task of the list moves into slot t."""
    task = p.next_task[b]
    p.next_task[b] += 1
    p.task[b, t] = task
    for c in range(p.rows.shape[2]):
        p.rows[b, t, c] = x.tasks[task, c]
    p.cells[b, t, 0], p.cells[b, t, 1] = x.cells[task, 0], x.cells[task, 1]
    if x.asks[task] >= 0:
        p.idle[b, x.asks[task]] = False


@kernel
def step_row(x, p, target, b):
    """One published step of row b; target [B, M]: the slot that each entity is sent to, or -1."""
    p.epoch[b] += 1
    p.reward[b] = p.value[b] = 0.0
    if move_and_work(x, p, target, b):
        pay(p, b)
    else:
        for t in range(p.paid.shape[1]):
            p.paid[b, t] = False
    open_slots = 0
    for t in range(p.age.shape[1]):
        if p.age[b, t] <= x.decay_age and x.decay < 1.0:
            for c in range(p.rows.shape[2]):
                p.rows[b, t, c] *= x.decay
        if p.task[b, t] >= 0:
            open_slots += 1
        p.age[b, t] -= 1
    p.done[b] = (p.next_task[b] >= x.tasks.shape[0] and open_slots == 0) or p.epoch[b] >= x.horizon
    if p.epoch[b] % REFILL_EVERY == 0 and open_slots < p.age.shape[1]:
        for t in range(p.age.shape[1]):
            if p.task[b, t] < 0 and p.next_task[b] < x.tasks.shape[0]:
                take_next(x, p, b, t)


@kernel
def move_and_work(x, p, target, b):
    """Walk everybody one cell, add up those who work; returns whether anybody works."""
    works = False
    for i in range(x.start.shape[0]):
        t = target[b, i]
        if t < 0:
            continue
        cx, cy = p.cells[b, t, 0], p.cells[b, t, 1]
        if cx <= 0 and cy <= 0:
            continue
        dx, dy = cx - p.pos[b, i, 0], cy - p.pos[b, i, 1]
        if dx == 0 and dy == 0:
            if not works:
                works = True
                for slot in range(p.total.shape[1]):
                    for c in range(p.total.shape[2]):
                        p.total[b, slot, c] = 0.0
            work(x, p, b, i)
            continue
        if dy != 0:
            p.pos[b, i, 1] += 1 if dy > 0 else -1
        if dx != 0 and (dy == 0 or x.diagonal):
            p.pos[b, i, 0] += 1 if dx > 0 else -1
    return works


@kernel
def work(x, p, b, i):
    """Entity i works where it stands: for every slot on its cell, or the first (Material; slot 0 if there is none)."""
    for t in range(p.cells.shape[1]):
        if p.cells[b, t, 0] == p.pos[b, i, 0] and p.cells[b, t, 1] == p.pos[b, i, 1]:
            for c in range(p.total.shape[2]):
                p.total[b, t, c] += x.agents[i, c]
            if not x.shared:
                return


@kernel
def pay(p, b):
    """Value less cost of every slot whose needs are covered; it is empty then."""
    for t in range(p.task.shape[1]):
        p.paid[b, t] = p.task[b, t] >= 0
        for c in range(1, p.rows.shape[2]):
            if p.total[b, t, c] < p.rows[b, t, c]:
                p.paid[b, t] = False
        if p.paid[b, t]:
            p.reward[b] += p.rows[b, t, 0] - p.total[b, t, 0]
            p.value[b] += p.rows[b, t, 0]
            clear_slot(p, b, t)


@kernel
def clear_slot(p, b, t):
    """The published state of a completed slot: zeros, its cell out of reach (negated, or zero), age 1."""
    for c in range(p.rows.shape[2]):
        p.rows[b, t, c] = 0.0
    p.cells[b, t, 0] *= -1
    p.cells[b, t, 1] *= -1
    p.age[b, t] = 1
    p.task[b, t] = -1


@kernel
def steps(x, p, target, lo, hi):
    """One published step in each of the rows lo..hi; a finished row begins anew. target: [B, M]."""
    for b in range(lo, hi):
        if p.done[b]:
            reset_row(x, p, b)
        step_row(x, p, target, b)
