"""What is there to decide in many rows at once, and how is an assignment carried out? For agents that learn rounds.

The same as `situation.py` and `policy.py` say of one row, as arrays with padding.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray, FloatArray, IntArray, LongArray
from allocenv.core.batch import Batch
from allocenv.core.kernel import kernel
from allocenv.problems.task.dynamics import OPEN, State
from allocenv.problems.task.heuristics import carry_on
from allocenv.problems.task.rounds.situation import way
from allocenv.problems.task.rules import NONE

if TYPE_CHECKING:
    from allocenv.problems.task.problem import Task

EPSILON = 1e-9


class Round(NamedTuple):
    """D rows to decide. Money counts in the mission's mean values of a task, abilities in its mean needs."""

    entities: FloatArray  # [D, M, 1 + K + 2]  cost, abilities, position
    tasks: FloatArray  # [D, T, 1 + K + 2]  value less what its team has cost, what is lacking, position
    cost: FloatArray  # [D, M, T]
    free: BoolArray  # [D, M]
    open: BoolArray  # [D, T]
    fits: BoolArray  # [D, M, T]  free, open, helps, and comes in time


class Plans(NamedTuple):
    """What `carry_on` goes by."""

    planned: LongArray  # [B, M]  slot to join, or -1
    expected: IntArray  # [B]  steps left if the plan goes on; else to be decided anew


class TeamRounds:
    """The rounds of a batch: those that are due, and the actions that carry decisions out."""

    def __init__(self, batch: Batch) -> None:
        problem: Task = batch.problem  # type: ignore[assignment]
        if problem.rules.single:
            raise ValueError(f"Expected a problem whose teams leave together, got the preset {problem.preset!r}.")
        self.batch, self.rules = batch, problem.rules
        shape = problem.shape
        self.plans = Plans(np.full((batch.n, shape.entities), -1), np.full(batch.n, -1, np.int32))
        self._decided = np.full((batch.n, shape.entities + shape.slots * shape.abilities), -1)  # what it was then
        self._seen = np.zeros(batch.n, np.int32)  # steps left then

    def due(self) -> tuple[LongArray, Round]:
        """The rows where something is to be decided, and what. Rows in mid-plan, and those where nothing has
        changed since the last decision but values, are not."""
        s: State = self.batch.state.model
        live = ~s.over & (s.steps_left > 0)
        rows = np.flatnonzero(live & (self.plans.expected != s.steps_left))
        self.plans.planned[rows] = -1
        self._decided[rows[s.steps_left[rows] >= self._seen[rows]]] = -1  # a new episode
        self._seen[rows] = s.steps_left[rows]
        seen = look(self.batch, rows)
        if not len(rows):
            return rows, seen
        told = np.concatenate([seen.free, _lacking(s, rows).reshape(len(rows), -1)], axis=1)
        new = seen.fits.any(axis=(1, 2)) & (told != self._decided[rows]).any(axis=1)
        self._decided[rows] = told
        return rows[new], Round(*(array[new] for array in seen))

    def plan(self, rows: LongArray, assignment: LongArray) -> None:
        """Send these teams: the slot that each entity joins, or -1: [D, M]."""
        self.plans.planned[rows] = assignment

    def actions(self) -> IntArray:
        """The next action of each row, [B, 2]: go on with its plan, or wait."""
        actions = np.zeros((self.batch.n, 2), np.int32)
        _carry_on(self.rules, self.batch.state.model, self.plans, actions, 0, self.batch.n)
        return actions


@kernel
def _carry_on(rules, s, plans, actions, lo, hi):
    for b in range(lo, hi):
        carry_on(rules, s, plans, actions, b)


def look(batch: Batch, rows: LongArray) -> Round:
    """The rows as they stand."""
    s: State = batch.state.model
    problem: Task = batch.problem  # type: ignore[assignment]
    rules = problem.rules
    free = (s.alloc.bin_of[rows] < 0) & (s.blocked[rows] == 0)
    free &= np.arange(free.shape[1]) < s.n_entities[rows, None]
    open_ = s.phase[rows] == OPEN
    offset = s.slot_xy[rows][:, None] - s.xy[rows][:, :, None]  # [D, M, T, 2]
    straight = np.sqrt((offset**2).sum(axis=3))
    rate = s.rate[rows][:, :, None] + s.slot_rate[rows][:, None]
    cost = s.cost[rows][:, :, None] + 0.5 * rate * straight
    work = np.take_along_axis(s.q_work[rows], s.task[rows].clip(0), axis=1)
    done = s.now[rows][:, None, None] + way(rules, offset, straight) + work[:, None]
    ability, lacking = s.alloc.demand[rows][:, :, 0], _lacking(s, rows)  # [D, M, K], [D, T, K]
    helps = ((ability[:, :, None] > 0) & (lacking[:, None] > 0)).any(axis=3)
    fits = free[:, :, None] & open_[:, None] & helps & (done <= rules.horizon + EPSILON)
    money, unit = s.scale[rows][:, None], _mean_need(s, rows)[:, None, None]
    places = [np.zeros_like(xy) if rules.metric == NONE else xy for xy in _places(s, rows)]
    entities = [s.cost[rows][..., None] / money[..., None], ability / unit, places[0]]
    tasks = [((s.worth[rows] - s.team_cost[rows]) / money)[..., None], lacking / unit, places[1]]
    return Round(
        np.concatenate(entities, axis=2, dtype=np.float32) * free[..., None],
        np.concatenate(tasks, axis=2, dtype=np.float32) * open_[..., None],
        (cost / money[..., None]).astype(np.float32),
        free,
        open_,
        fits,
    )


def _lacking(s: State, rows: LongArray) -> LongArray:
    """What the open tasks still lack: [D, T, K]."""
    lacking = (s.alloc.capacity[rows].astype(np.int64) - s.alloc.used[rows]).clip(0).transpose(0, 2, 1)
    found: LongArray = lacking * (s.phase[rows] == OPEN)[..., None]
    return found


def _mean_need(s: State, rows: LongArray) -> Array:
    """Of a task in an ability: [D]."""
    total = s.q_need[rows].sum(axis=(1, 2))  # 0 beyond the row's tasks
    mean: Array = np.maximum(total / (s.n_tasks[rows] * s.n_abilities[rows]), EPSILON)
    return mean


def _places(s: State, rows: LongArray) -> tuple[Array, Array]:
    """Where entities and slots are, in units of the farthest coordinate of a task: [D, M, 2], [D, T, 2]."""
    exists = (np.arange(s.q_xy.shape[1]) < s.n_tasks[rows, None])[..., None]
    far = np.abs(s.q_xy[rows]).max(axis=(1, 2), where=exists, initial=EPSILON)[:, None, None]
    return s.xy[rows] / far, s.slot_xy[rows] / far
