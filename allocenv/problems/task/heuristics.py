"""Which teams leave now? Rules without learning, as policies over a batch; each with its source.

All but the routing rule plan a round: again and again they build a team for every open task from the entities
still free (greedy cover, then pruning: Chvatal, "A greedy heuristic for the set-covering problem", 1979), send the
one that scores best among those they accept, and wait once they accept none. They differ in score and acceptance.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray, IntArray, LongArray
from allocenv.core.batch import Batch
from allocenv.core.kernel import inlined, kernel
from allocenv.core.resource_state import NOBODY, UNPLACED
from allocenv.problems.task.dynamics import (
    CLOSED,
    OPEN,
    State,
    cost_of,
    full_cover,
    is_free,
    is_legal,
    travel,
    value_at,
)
from allocenv.problems.task.mission import Mission

if TYPE_CHECKING:
    from allocenv.problems.task.problem import Task

RANDOM, IN_ORDER, DENSITY, RATE, PATIENCE, REGRET, EARLIEST = range(7)
FREE, TAKEN, MEMBER = 0, 1, 2  # what planning says of an entity


@dataclass(frozen=True)
class Rule:
    """A rule and its parameters; `HEURISTICS` has them by name."""

    kind: int
    amount: float = 0.0  # PATIENCE: d; RATE: least net as a share of the value; EARLIEST: weight of waiting
    tau: float = 1.0  # RATE: time added to the travel
    haste: float = 0.0  # what a unit of travel counts when teams are built, in mean costs of an entity


class Params(NamedTuple):
    """A rule as the kernels take it."""

    kind: int
    amount: float
    tau: float
    haste: float


class Scratch(NamedTuple):
    """What planning remembers of B rows within a round, and what it works in."""

    planned: LongArray  # [B, M]  slot to join, or -1
    expected: IntArray  # [B]  steps left if nobody else has acted since; -1: plan anew
    status: IntArray  # [B, M]  FREE, TAKEN or MEMBER of the team being built
    sums: IntArray  # [B, K]  what the team being built brings
    haste: Array  # [B]  what a unit of travel counts as, in the units of cost
    score: Array  # [B, T]
    tried: BoolArray  # [B, T]
    free_at: Array  # [B, M]  EARLIEST: when the entity can leave, and from where
    start: Array  # [B, M, 2]
    rng: Array  # [B]  uint64, of RANDOM


def _scratch(n: int, m: int, t: int, k: int, rng: np.random.Generator) -> Scratch:
    return Scratch(
        planned=np.full((n, m), -1),
        expected=np.full(n, -1, np.int32),
        status=np.zeros((n, m), np.int32),
        sums=np.zeros((n, k), np.int32),
        haste=np.zeros(n),
        score=np.zeros((n, t)),
        tried=np.zeros((n, t), np.bool_),
        free_at=np.zeros((n, m)),
        start=np.zeros((n, m, 2)),
        rng=rng.integers(1, 2**63, n, dtype=np.uint64),
    )


class TeamPolicy:
    """A rule that acts on a batch of task allocation."""

    def __init__(self, rule: Rule, rng: np.random.Generator) -> None:
        self.rule = rule
        self._rng = rng
        self._scratch: Scratch | None = None

    def __call__(self, batch: Batch) -> IntArray:
        """One action a row: [B, 2]."""
        model: State = batch.state.model
        if self._scratch is None or self._scratch.status.shape != model.cost.shape:
            _, slots, abilities = model.slot_need.shape
            self._scratch = _scratch(batch.n, model.cost.shape[1], slots, abilities, self._rng)
        actions = np.zeros((batch.n, 2), np.int32)
        params = Params(self.rule.kind, self.rule.amount, self.rule.tau, self.rule.haste)
        problem: Task = batch.problem  # type: ignore[assignment]
        choose(problem.rules, model, batch.state.work, self._scratch, params, actions, 0, batch.n)
        return actions


@kernel
def choose(rules, s, w, h, params, actions, lo, hi):
    """Write the action of each row: go on with the round's plan, plan a new round, or wait."""
    for b in range(lo, hi):
        if h.expected[b] != s.steps_left[b]:
            if params.kind == EARLIEST:
                plan_routes(rules, s, h, b, params)
            else:
                plan_round(rules, s, w, h, b, params)
        carry_on(rules, s, h, actions, b)


@kernel
def carry_on(rules, s, h, actions, b):
    """Write the next action of the round that `h.planned` says, and into `h.expected` whether it goes on."""
    nobody, wait = s.cost.shape[1], s.phase.shape[1]
    slot, placement = nobody, wait
    for i in range(s.n_entities[b]):
        t = h.planned[b, i]
        if t >= 0 and is_legal(rules, s, b, i, t):
            slot, placement = i, t
            break
    if slot == nobody and not rules.single:
        for t in range(s.n_slots[b]):
            if s.phase[b, t] == OPEN and s.alloc.n_held[b, t] > 0:
                placement = t  # a team that nobody completes
    waits = slot == nobody
    actions[b, 0], actions[b, 1] = slot, placement
    h.expected[b] = -1 if waits else s.steps_left[b] - 1


@kernel
def plan_round(rules, s, w, h, b, params):
    """Write the slot that each free entity joins now."""
    h.haste[b] = 0.0
    for i in range(s.n_entities[b]):
        h.haste[b] += params.haste * s.cost[b, i] / s.n_entities[b]
    for i in range(s.n_entities[b]):
        h.planned[b, i] = -1
        h.status[b, i] = FREE if is_free(s, b, i) else TAKEN
    for t in range(s.n_slots[b]):
        h.tried[b, t] = s.phase[b, t] != OPEN
    while True:
        best: Any = np.int64(-1)
        for t in range(s.n_slots[b]):
            if h.tried[b, t]:
                continue
            h.score[b, t] = score_of(rules, s, w, h, b, t, params)
            if h.score[b, t] == -np.inf:
                h.tried[b, t] = True  # fewer entities make no better team
            elif best < 0 or h.score[b, t] > h.score[b, best]:
                best = t
                if params.kind == IN_ORDER:
                    break
        if best < 0:
            return
        h.tried[b, best] = True
        build_team(rules, s, h, b, best, params)
        for i in range(s.n_entities[b]):
            if h.status[b, i] == MEMBER:
                h.status[b, i] = TAKEN
                h.planned[b, i] = best


@kernel
def score_of(rules, s, w, h, b, t, params):
    """How good the best team found for slot t is; -inf: none that the rule accepts."""
    if params.kind == RANDOM:
        state = h.rng[b]
        cost = build_team(rules, s, h, b, t, params)
        h.rng[b] = state  # the same team when it is built again
        unmark(s, h, b)
        return -np.inf if cost == np.inf else float(shuffled(h.rng[b], t) >> np.uint64(33))
    cost = build_team(rules, s, h, b, t, params)
    way = slowest(rules, s, h, b, t)
    unmark(s, h, b)
    if cost == np.inf:
        return -np.inf
    when = s.now[b] + way + s.q_work[b, s.task[b, t]]
    value = value_at(rules, s, b, t, when)
    if value <= cost or when > rules.horizon + 1e-9:
        return -np.inf
    if params.kind == PATIENCE:
        ratio = cost / max(full_cover(s, w, b, t), 1e-9)
        return -ratio if ratio <= 1.0 + params.amount + 1e-9 else -np.inf
    if params.kind == RATE:
        if value - cost < params.amount * value:
            return -np.inf
        return (value - cost) / (way + params.tau)
    if params.kind == DENSITY:
        return value / max(cost, 1e-9)
    if params.kind == REGRET:
        return regret(rules, s, h, b, t, params, cost)
    return -float(t)


@kernel
def regret(rules, s, h, b, t, params, cost):
    """What waiting for others could cost slot t: its next best team, from all but the members of its best."""
    build_team(rules, s, h, b, t, params)
    for i in range(s.n_entities[b]):
        if h.status[b, i] == MEMBER:
            h.status[b, i] = MEMBER + 1  # set aside
    second = build_team(rules, s, h, b, t, params)
    for i in range(s.n_entities[b]):
        if h.status[b, i] >= MEMBER:
            h.status[b, i] = FREE
    return min(second, s.worth[b, t]) - cost


@kernel
def unmark(s, h, b):
    for i in range(s.n_entities[b]):
        if h.status[b, i] == MEMBER:
            h.status[b, i] = FREE


@kernel
def slowest(rules, s, h, b, t):
    """How long the last member of the team travels."""
    way = 0.0
    for i in range(s.n_entities[b]):
        if h.status[b, i] == MEMBER or s.alloc.bin_of[b, i] == t:
            way = max(way, travel(rules, s, b, i, t))
    return way


@kernel
def build_team(rules, s, h, b, t, params):
    """Mark as MEMBER whom the team of slot t needs besides those it has; its cost, or inf where nobody can."""
    for r in range(s.n_abilities[b]):
        h.sums[b, r] = s.alloc.used[b, r, t]
    while not enough(s, h, b, t, np.int64(NOBODY)):
        i = drawn(s, h, b, t) if params.kind == RANDOM else most_useful(rules, s, h, b, t)
        if i == NOBODY:
            unmark(s, h, b)
            return np.inf
        h.status[b, i] = MEMBER
        for r in range(s.n_abilities[b]):
            h.sums[b, r] += s.alloc.demand[b, i, 0, r]
    if params.kind != RANDOM:
        prune(rules, s, h, b, t)
    cost = s.team_cost[b, t]
    for i in range(s.n_entities[b]):
        if h.status[b, i] == MEMBER:
            cost += cost_of(s, b, i, t)
    return cost


@inlined
def enough(s, h, b, t, but):
    """Whether the sums cover the need of slot t without one member."""
    for r in range(s.n_abilities[b]):
        have = h.sums[b, r]
        if but != NOBODY:
            have -= s.alloc.demand[b, but, 0, r]
        if have < s.alloc.capacity[b, r, t]:
            return False
    return True


@kernel
def most_useful(rules, s, h, b, t):
    """The free entity that brings most of what is lacking per cost, or NOBODY."""
    best: Any = np.int64(NOBODY)
    most = 0.0
    for i in range(s.n_entities[b]):
        if h.status[b, i] != FREE:
            continue
        brings = 0.0
        for r in range(s.n_abilities[b]):
            lacks = s.alloc.capacity[b, r, t] - h.sums[b, r]
            if lacks > 0:
                brings += min(lacks, s.alloc.demand[b, i, 0, r])
        if brings > 0.0:
            price = cost_of(s, b, i, t) + h.haste[b] * travel(rules, s, b, i, t)
            brings /= max(price, 1e-9)
            if brings > most:
                best, most = i, brings
    return best


@kernel
def prune(rules, s, h, b, t):
    """Send those home whom the team can spare, the dearest first."""
    while True:
        out: Any = np.int64(NOBODY)
        most = -1.0
        for i in range(s.n_entities[b]):
            if h.status[b, i] == MEMBER and enough(s, h, b, t, i):
                price = cost_of(s, b, i, t) + h.haste[b] * travel(rules, s, b, i, t)
                if price > most:
                    out, most = i, price
        if out == NOBODY:
            return
        h.status[b, out] = FREE
        for r in range(s.n_abilities[b]):
            h.sums[b, r] -= s.alloc.demand[b, out, 0, r]


@inlined
def shuffled(state, i):
    """A 64-bit mixture of a state and a number (splitmix64: Steele et al., 2014)."""
    z = state + np.uint64(i + 1) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@kernel
def drawn(s, h, b, t):
    """A random free entity that brings something that is lacking, or NOBODY."""
    h.rng[b] = shuffled(h.rng[b], np.int64(0))
    best: Any = np.int64(NOBODY)
    most = np.uint64(0)
    for i in range(s.n_entities[b]):
        useful = False
        for r in range(s.n_abilities[b]):
            if s.alloc.demand[b, i, 0, r] > 0 and h.sums[b, r] < s.alloc.capacity[b, r, t]:
                useful = True
        if h.status[b, i] == FREE and useful:
            lot = shuffled(h.rng[b], i)
            if best == NOBODY or lot > most:
                best, most = i, lot
    return best


@kernel
def plan_routes(rules, s, h, b, params):
    """EARLIEST: schedule open tasks one after the other, next the one that can start first, until everybody who
    is free has a task (earliest-start greedy, facts/task_allocation.md section 4)."""
    idle = 0
    for i in range(s.n_entities[b]):
        h.planned[b, i] = -1
        held = np.int64(s.alloc.bin_of[b, i])
        h.start[b, i, 0], h.start[b, i, 1] = s.xy[b, i, 0], s.xy[b, i, 1]
        h.free_at[b, i] = s.now[b]
        h.status[b, i] = FREE
        if held != UNPLACED and s.phase[b, held] == CLOSED:
            h.free_at[b, i] = s.ready[b, held]
            h.start[b, i, 0], h.start[b, i, 1] = s.slot_xy[b, held, 0], s.slot_xy[b, held, 1]
        elif held != UNPLACED or s.blocked[b, i] > 0:
            h.free_at[b, i] = np.inf  # until its task is scheduled
        else:
            idle += 1
    for t in range(s.n_slots[b]):
        h.tried[b, t] = s.phase[b, t] != OPEN
    while idle > 0:
        best: Any = np.int64(-1)
        first = np.inf
        for t in range(s.n_slots[b]):
            if not h.tried[b, t]:
                start = gather(rules, s, h, b, t, params.amount)
                if start < first:
                    best, first = t, start
                unmark(s, h, b)
        if best < 0:
            return
        h.tried[b, best] = True
        gather(rules, s, h, b, best, 0.0)
        start = 0.0
        for i in range(s.n_entities[b]):
            if h.status[b, i] == MEMBER or s.alloc.bin_of[b, i] == best:
                start = max(start, arrival(rules, s, h, b, i, best))
        for i in range(s.n_entities[b]):
            if h.status[b, i] == MEMBER and h.planned[b, i] == -1 and s.alloc.bin_of[b, i] == UNPLACED:
                h.planned[b, i] = best
                idle -= 1
            if h.status[b, i] == MEMBER or s.alloc.bin_of[b, i] == best:
                h.free_at[b, i] = start + s.q_work[b, s.task[b, best]]
                h.start[b, i, 0], h.start[b, i, 1] = s.slot_xy[b, best, 0], s.slot_xy[b, best, 1]
        unmark(s, h, b)


@kernel
def arrival(rules, s, h, b, i, t):
    """When the entity could be at slot t."""
    if s.alloc.bin_of[b, i] == t:
        return s.arrives[b, i]
    dx, dy = s.slot_xy[b, t, 0] - h.start[b, i, 0], s.slot_xy[b, t, 1] - h.start[b, i, 1]
    return h.free_at[b, i] + np.sqrt(dx * dx + dy * dy) / rules.speed


@kernel
def gather(rules, s, h, b, t, weight):
    """Mark as MEMBER those who would come first to slot t; when it starts, plus `weight` times their waiting."""
    for r in range(s.n_abilities[b]):
        h.sums[b, r] = s.alloc.used[b, r, t]
    start = s.now[b]
    total = 0.0
    n = 0
    for i in range(s.n_entities[b]):
        if s.alloc.bin_of[b, i] == t:
            start = max(start, s.arrives[b, i])
            total += s.arrives[b, i]
            n += 1
    while not enough(s, h, b, t, np.int64(NOBODY)):
        best: Any = np.int64(NOBODY)
        first = np.inf
        for i in range(s.n_entities[b]):
            if h.status[b, i] != FREE or s.alloc.bin_of[b, i] == t or h.free_at[b, i] == np.inf:
                continue
            useful = False
            for r in range(s.n_abilities[b]):
                if s.alloc.demand[b, i, 0, r] > 0 and h.sums[b, r] < s.alloc.capacity[b, r, t]:
                    useful = True
            if useful:
                when = arrival(rules, s, h, b, i, t)
                if when < first:
                    best, first = i, when
        if best == NOBODY:
            return np.inf
        h.status[b, best] = MEMBER
        start = max(start, first)
        total += first
        n += 1
        for r in range(s.n_abilities[b]):
            h.sums[b, r] += s.alloc.demand[b, best, 0, r]
    return start + weight * (start * n - total)


PATIENCES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6, 1.0)

# Tables of facts/task_allocation.md, section 7 (value problems) and 4 (routing). The patience is that of
# `tune_patience` on the training set of rbf; our team builder wants more of it than the 0.2 of the table.
RULES: dict[str, Rule] = {
    "random_teams": Rule(RANDOM),
    "greedy": Rule(IN_ORDER),
    "greedy_density": Rule(DENSITY),
    "regret": Rule(REGRET),
    "rate": Rule(RATE, 0.0, 20.0, 0.03),
    "rate_margin": Rule(RATE, 0.1, 5.0, 0.03),
    "patience": Rule(PATIENCE, 0.3),
}
ROUTING_RULES: dict[str, Rule] = {
    "earliest_start": Rule(EARLIEST),
    "earliest_start_waiting": Rule(EARLIEST, 0.02),
}


def policy(rule: Rule) -> Callable[[np.random.Generator], TeamPolicy]:
    """What makes a policy of the rule for one run."""
    return lambda rng: TeamPolicy(rule, rng)


HEURISTICS = {name: policy(rule) for name, rule in (RULES | ROUTING_RULES).items()}


def play(problem: "Task", missions: Sequence[Mission], rule: Rule, seed: int = 0) -> Array:
    """The objective of each mission, played to its end by the rule: [n]."""
    held = problem.holding(missions)
    batch = Batch(held, len(missions))
    batch.load(missions)
    act = TeamPolicy(rule, np.random.default_rng(seed))
    model: State = batch.state.model
    while not (model.over | (model.steps_left <= 0)).all():
        batch.step(act(batch))
    return batch.costs()


def tune_patience(problem: "Task", missions: Sequence[Mission], patiences: Sequence[float] = PATIENCES) -> Rule:
    """The patience rule that does best on these (training) missions."""
    rules = [replace(RULES["patience"], amount=d) for d in patiences]
    return min(rules, key=lambda rule: float(play(problem, missions, rule).mean()))
