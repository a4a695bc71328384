"""The learnt policy: acts on a batch, and plays missions to their end."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from allocenv.core.arrays import Array, IntArray
from allocenv.core.batch import Batch
from allocenv.problems.task.dynamics import State
from allocenv.problems.task.mission import Mission
from allocenv.problems.task.rules import EVENTS
from allocenv.problems.task.teams.deciding import choose, play
from allocenv.problems.task.teams.desk import Desk, empty_desk

if TYPE_CHECKING:
    from allocenv.problems.task.problem import Task


class LearntPolicy:
    """Acts by one set of numbers [N_NUMBERS]."""

    def __init__(self, numbers: Array) -> None:
        self.numbers = np.ascontiguousarray(numbers[None], np.float64)
        self._batch: Batch | None = None
        self._desk: Desk | None = None

    def __call__(self, batch: Batch) -> IntArray:
        """One action a row: [B, 2]."""
        problem: Task = batch.problem  # type: ignore[assignment]
        if self._desk is None or self._batch is not batch:
            expect_teams(problem)
            self._batch, self._desk = batch, empty_desk(batch.n, problem.shape)
        actions = np.zeros((batch.n, 2), np.int32)
        state = batch.state
        choose(problem.rules, state.model, state.work, self._desk, self.numbers, actions, 0, batch.n)
        return actions


def expect_teams(problem: "Task") -> None:
    """Raise ValueError where entities leave one by one: the learnt policy sends whole teams."""
    if problem.rules.single:
        raise ValueError(f"Expected a problem whose teams leave together, got the preset {problem.preset!r}.")


def earned(problem: "Task", missions: Sequence[Mission], numbers: Array) -> Array:
    """What each set of numbers [P, N_NUMBERS] earns on each mission, value less cost: [P, missions].

    Time passes by events: for missions in paper mode let `LearntPolicy` act on a batch.
    """
    expect_teams(problem)
    if problem.rules.stepping != EVENTS:
        raise ValueError(f"Expected mode 'fixed', got {problem.mode!r}.")
    held = problem.holding(missions)
    rows = len(numbers) * len(missions)
    state = held.empty(rows)
    model: State = state.model
    for b in range(rows):
        held.fill(state, b, missions[b % len(missions)])
    nets = np.zeros(rows)
    which = np.repeat(np.arange(len(numbers)), len(missions))
    desk = empty_desk(rows, held.shape)
    play(held.rules, model, state.work, desk, np.ascontiguousarray(numbers), which, nets, held.max_steps, 0, rows)
    return nets.reshape(len(numbers), len(missions))
