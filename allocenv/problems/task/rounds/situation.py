"""What is there to decide in a round: who is free, what is open, what each would cost where."""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, IntArray, LongArray
from allocenv.problems.task.dynamics import OPEN, State
from allocenv.problems.task.rules import CHEBYSHEV, MANHATTAN, NONE, Rules

IDLE = -1
FAR = 1e12  # the cost of an entity that would come too late


class Situation(NamedTuple):
    """F free entities, O open tasks, K abilities. An assignment is the position of a task, or IDLE, for each: [F]."""

    entities: LongArray  # [F]  their numbers
    slots: LongArray  # [O]  numbers of the slots
    cost: Array  # [F, O]  FAR: not in time
    ability: IntArray  # [F, K]
    need: IntArray  # [O, K]  what is still lacking
    value: Array  # [O]  now, less what the team has cost so far

    @property
    def key(self) -> bytes:
        """Equal where nothing has changed but values."""
        return b"|".join(np.ascontiguousarray(a).tobytes() for a in (self.entities, self.slots, self.need))

    def net(self, assignment: LongArray) -> float:
        """Value less cost of the tasks that the assignment covers; the entities of others stay."""
        total = 0.0
        for o in range(len(self.slots)):
            team = np.flatnonzero(assignment == o)
            if len(team) and (self.ability[team].sum(axis=0) >= self.need[o]).all():
                total += float(self.value[o] - self.cost[team, o].sum())
        return total


def situation_of(rules: Rules, s: State, b: int) -> Situation:
    """Row b as it stands."""
    m, n, k = int(s.n_entities[b]), int(s.n_slots[b]), int(s.n_abilities[b])
    free = np.flatnonzero((s.alloc.bin_of[b, :m] < 0) & (s.blocked[b, :m] == 0))
    slots = np.flatnonzero(s.phase[b, :n] == OPEN)
    offset = s.slot_xy[b, slots][None] - s.xy[b, free][:, None]  # [F, O, 2]
    straight = np.sqrt((offset**2).sum(axis=2))
    rate = s.rate[b, free][:, None] + s.slot_rate[b, slots][None]
    cost = s.cost[b, free][:, None] + 0.5 * rate * straight
    done = s.now[b] + way(rules, offset, straight) + s.q_work[b, s.task[b, slots]][None]
    return Situation(
        entities=free,
        slots=slots,
        cost=np.where(done > rules.horizon + 1e-9, FAR, cost),
        ability=np.ascontiguousarray(s.alloc.demand[b, free, 0, :k]),
        need=np.ascontiguousarray((s.alloc.capacity[b, :k, slots] - s.alloc.used[b, :k, slots]).clip(0)),
        value=s.worth[b, slots] - s.team_cost[b, slots],
    )


def way(rules: Rules, offset: Array, straight: Array) -> Array:
    """How long everyone would travel, given offsets [..., 2] and their Euclidean lengths [...]: [...]."""
    if rules.metric == NONE:
        return np.zeros_like(straight)
    sizes = np.abs(offset)
    ways = {MANHATTAN: sizes.sum(axis=-1), CHEBYSHEV: sizes.max(axis=-1)}.get(rules.metric, straight)
    return np.asarray(ways / rules.speed)
