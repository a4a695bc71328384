"""Play episodes round by round: decide for the free entities, send the teams, wait until something changes.

Teams once formed are kept, as the environment demands. A round is decided anew once another entity is free,
another task is open, or a need has shrunk.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from allocenv.core.arrays import IntArray, LongArray
from allocenv.core.batch import Batch
from allocenv.problems.task.dynamics import OPEN, State
from allocenv.problems.task.rounds.annealing import annealing
from allocenv.problems.task.rounds.exact import cp_sat
from allocenv.problems.task.rounds.genetic import genetic
from allocenv.problems.task.rounds.markets import auction, hungarian
from allocenv.problems.task.rounds.situation import IDLE, Situation, situation_of

if TYPE_CHECKING:
    from allocenv.problems.task.problem import Task

Allocator = Callable[[Situation, np.random.Generator], LongArray]

ALLOCATORS: dict[str, Allocator] = {
    "round_auction": auction,
    "round_hungarian": hungarian,
    "round_annealing": annealing,
    "round_genetic_small": partial(genetic, population=100, generations=300),
    "round_genetic": genetic,
    "round_cp_sat": cp_sat,
}


class RoundPolicy:
    """An allocator of single rounds that acts on a batch of task allocation."""

    def __init__(self, allocate: Allocator, rng: np.random.Generator) -> None:
        self.allocate = allocate
        self.rng = rng
        self.decided = 0  # rounds so far
        self._plans: dict[int, list[tuple[int, int]]] = {}  # row -> entities and slots still to commit
        self._expected: dict[int, int] = {}  # row -> steps left if nobody else has acted
        self._keys: dict[int, bytes] = {}
        self._sent: dict[int, bool] = {}  # row -> whether the plan of this moment is being, or has been, sent

    def __call__(self, batch: Batch) -> IntArray:
        """One action a row: [B, 2]."""
        return np.array([self._act(batch, b) for b in range(batch.n)], np.int32)

    def _act(self, batch: Batch, b: int) -> tuple[int, int]:
        problem: Task = batch.problem  # type: ignore[assignment]
        s: State = batch.state.model
        if s.over[b]:
            return problem.stop
        if self._expected.get(b) != s.steps_left[b]:
            self._plans[b], self._sent[b] = [], False
            self._keys.pop(b, None)
        plan = self._plans.setdefault(b, [])
        if not plan and not self._sent.get(b, False):
            plan += self._round(problem, s, b)
            self._sent[b] = bool(plan)
        self._expected[b] = int(s.steps_left[b]) - 1
        if plan:
            return plan.pop(0)
        if self._sent.get(b, False):  # nothing has changed by that but what was decided
            self._keys[b] = situation_of(problem.rules, s, b).key
            self._sent[b] = False
        return problem.stop

    def _round(self, problem: "Task", s: State, b: int) -> list[tuple[int, int]]:
        """Whom to commit now: entity and slot, team after team."""
        for t in np.flatnonzero(s.phase[b] == OPEN):
            if s.alloc.n_held[b, t] > 0:
                return [(problem.shape.entities, int(t))]  # a team that somebody else has begun
        x = situation_of(problem.rules, s, b)
        key = x.key
        if not len(x.entities) or not len(x.slots) or self._keys.get(b) == key:
            return []
        self._keys[b] = key
        self.decided += 1
        assignment = self.allocate(x, self.rng)
        order = np.argsort(assignment, kind="stable")
        return [(int(x.entities[i]), int(x.slots[assignment[i]])) for i in order if assignment[i] != IDLE]


def round_policy(name: str) -> Callable[[np.random.Generator], RoundPolicy]:
    """What makes a policy of the allocator of this name for one run."""
    return lambda rng: RoundPolicy(ALLOCATORS[name], rng)
