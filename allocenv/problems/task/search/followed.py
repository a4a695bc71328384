"""A rule with a number for each task and each entity, as a policy over a batch: each row follows its own.

Teams are built as by the other rules (greedy cover by price, then pruning), with a price of its own for each
entity; a task accepts a team that costs at most its limit. With prices 1 and limits of (1 + d) times the cover
cost of the whole fleet this is the patience rule; search varies the numbers (facts/task_allocation.md section 7).
"""

from typing import Any, NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray, IntArray, LongArray
from allocenv.core.batch import Batch
from allocenv.core.kernel import kernel
from allocenv.core.resource_state import NOBODY
from allocenv.problems.task.dynamics import OPEN, State, cost_of, is_free, travel, value_at

AWAY, FREE, MEMBER = 0, 1, 2


class Numbers(NamedTuple):
    """What B rows follow."""

    price: Array  # [B, M]  factor of an entity's cost where teams are built
    limit: Array  # [B, Q]  most that the team of a task may cost, travel included
    haste: Array  # [B]  what a unit of travel counts, in units of cost
    tau: Array  # [B]  time added to the travel: the less, the more near teams are preferred


class Scratch(NamedTuple):
    """What following remembers of B rows, and what it works in."""

    queue: IntArray  # [B, M, 2]  entity and slot, to commit in this order
    waiting: IntArray  # [B]  how many of them are still to be committed
    expected: IntArray  # [B]  steps left if nobody else has acted since
    status: IntArray  # [B, M]
    team: BoolArray  # [B, T, M]  the best team found for each slot
    score: Array  # [B, T]  of it; -inf: none that is accepted
    sums: IntArray  # [B, K]
    rounds: LongArray  # [B]  planned so far


class Followed:
    """Numbers that act on a batch; `rounds` counts."""

    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers
        self.scratch: Scratch | None = None

    def __call__(self, batch: Batch) -> IntArray:
        """One action a row: [B, 2]."""
        s: State = batch.state.model
        if self.scratch is None:
            self.scratch = scratch(s)
        actions = np.zeros((batch.n, 2), np.int32)
        follow(batch.problem.rules, s, self.numbers, self.scratch, actions, 0, batch.n)  # type: ignore[attr-defined]
        return actions


def scratch(s: State) -> Scratch:
    """For a state of B rows."""
    n, m = s.cost.shape
    t, k = s.slot_need.shape[1:]
    return Scratch(
        queue=np.zeros((n, m, 2), np.int32),
        waiting=np.zeros(n, np.int32),
        expected=np.full(n, -1, np.int32),
        status=np.zeros((n, m), np.int32),
        team=np.zeros((n, t, m), np.bool_),
        score=np.zeros((n, t)),
        sums=np.zeros((n, k), np.int32),
        rounds=np.zeros(n, np.int64),
    )


@kernel
def follow(rules, s, p, h, actions, lo, hi):
    """Write the action of each row: go on with the round's plan, plan a new round, or wait."""
    for b in range(lo, hi):
        actions[b, 0], actions[b, 1] = s.cost.shape[1], s.phase.shape[1]
        if s.over[b]:
            continue
        if h.expected[b] != s.steps_left[b]:
            plan(rules, s, p, h, b)
            h.rounds[b] += 1
        if h.waiting[b] > 0:
            h.waiting[b] -= 1
            actions[b, 0], actions[b, 1] = h.queue[b, h.waiting[b], 0], h.queue[b, h.waiting[b], 1]
            h.expected[b] = s.steps_left[b] - 1
        else:
            h.expected[b] = -1


@kernel
def plan(rules, s, p, h, b):
    """Queue the members of all teams accepted now, those of the best score first."""
    h.waiting[b] = 0
    for t in range(s.n_slots[b]):
        if s.phase[b, t] == OPEN and s.alloc.n_held[b, t] > 0:  # a team that another has begun
            h.queue[b, 0, 0], h.queue[b, 0, 1] = s.cost.shape[1], t
            h.waiting[b] = 1
            return
    for i in range(s.n_entities[b]):
        h.status[b, i] = FREE if is_free(s, b, i) else AWAY
    for t in range(s.n_slots[b]):
        h.score[b, t] = team_of(rules, s, p, h, b, t)
    while True:
        best: Any = np.int64(-1)
        for t in range(s.n_slots[b]):
            if h.score[b, t] > -np.inf and (best < 0 or h.score[b, t] > h.score[b, best]):
                best = t
        if best < 0:
            return
        h.score[b, best] = -np.inf
        for i in range(s.n_entities[b]):
            if h.team[b, best, i]:
                h.status[b, i] = AWAY
                h.queue[b, h.waiting[b], 0], h.queue[b, h.waiting[b], 1] = i, best
                h.waiting[b] += 1
        for t in range(s.n_slots[b]):
            if h.score[b, t] == -np.inf:
                continue
            for i in range(s.n_entities[b]):
                if h.team[b, t, i] and h.team[b, best, i]:
                    h.score[b, t] = team_of(rules, s, p, h, b, t)
                    break


@kernel
def team_of(rules, s, p, h, b, t):
    """Build the team of slot t from those who are free; its score, or -inf where it is not accepted."""
    if s.phase[b, t] != OPEN or p.limit[b, s.task[b, t]] <= 0.0:
        return -np.inf
    for r in range(s.n_abilities[b]):
        h.sums[b, r] = 0
    for i in range(s.n_entities[b]):
        h.team[b, t, i] = False
    while True:  # greedy cover
        lacking = False
        for r in range(s.n_abilities[b]):
            if h.sums[b, r] < s.alloc.capacity[b, r, t]:
                lacking = True
        if not lacking:
            break
        chosen: Any = np.int64(NOBODY)
        most = 0.0
        for i in range(s.n_entities[b]):
            if h.status[b, i] != FREE or h.team[b, t, i]:
                continue
            brings = 0.0
            for r in range(s.n_abilities[b]):
                lacks = s.alloc.capacity[b, r, t] - h.sums[b, r]
                if lacks > 0:
                    brings += min(lacks, s.alloc.demand[b, i, 0, r])
            if brings > 0.0:
                brings /= max(p.price[b, i] * cost_of(s, b, i, t) + p.haste[b] * travel(rules, s, b, i, t), 1e-9)
                if brings > most:
                    chosen, most = i, brings
        if chosen == NOBODY:
            return -np.inf
        h.team[b, t, chosen] = True
        for r in range(s.n_abilities[b]):
            h.sums[b, r] += s.alloc.demand[b, chosen, 0, r]
    while True:  # the dearest who can be spared leave
        out: Any = np.int64(NOBODY)
        most = -1.0
        for i in range(s.n_entities[b]):
            if not h.team[b, t, i]:
                continue
            spare = True
            for r in range(s.n_abilities[b]):
                if h.sums[b, r] - s.alloc.demand[b, i, 0, r] < s.alloc.capacity[b, r, t]:
                    spare = False
            if spare:
                price = p.price[b, i] * cost_of(s, b, i, t) + p.haste[b] * travel(rules, s, b, i, t)
                if price > most:
                    out, most = i, price
        if out == NOBODY:
            break
        h.team[b, t, out] = False
        for r in range(s.n_abilities[b]):
            h.sums[b, r] -= s.alloc.demand[b, out, 0, r]
    cost = felt = way = 0.0
    for i in range(s.n_entities[b]):
        if h.team[b, t, i]:
            cost += cost_of(s, b, i, t)
            far = travel(rules, s, b, i, t)
            felt += p.haste[b] * far
            way = max(way, far)
    task = s.task[b, t]
    when = s.now[b] + way + s.q_work[b, task]
    if when > rules.horizon + 1e-9 or value_at(rules, s, b, t, when) <= cost or cost + felt > p.limit[b, task] + 1e-9:
        return -np.inf
    return (p.limit[b, task] - cost - felt) / p.limit[b, task] / (way + p.tau[b])
