"""Bar 4: is a policy that was trained at one size at least as good as a genetic algorithm at every other?

The genetic algorithm decides round by round, in as much time as ours takes for a decision, and in ten times as much.
"""

import time
from collections.abc import Sequence

import numpy as np

from allocenv.core.arrays import Array, LongArray
from allocenv.core.bench import Measured, Session
from allocenv.problems.task.evaluation import judged
from allocenv.problems.task.instance_sets import ZERO_SHOT_ENTITIES, ZERO_SHOT_SLOTS
from allocenv.problems.task.mission import Mission
from allocenv.problems.task.opponents import play_policy
from allocenv.problems.task.problem import Task
from allocenv.problems.task.rounds.genetic import genetic
from allocenv.problems.task.rounds.policy import RoundPolicy
from allocenv.problems.task.rounds.situation import Situation
from allocenv.problems.task.teams.zero_shot import Cell, zero_shot

LEARNT = "learnt"  # our policy, by its name among the opponents
EQUAL, TENFOLD = "genetic, as long", "genetic, ten times as long"
MISSIONS = 20  # a cell
POPULATION, MOST_GENERATIONS = 50, 10_000
FIRST_RATE = 2e7  # genes a second, before it has been measured
LEAST, MEAN = 1.0, 1.05  # of the ratios


class TimedGenetic:
    """An allocator of rounds: a genetic algorithm that takes so many seconds of CPU time a round, on average."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.spent = self.rounds = 0.0
        self._genes = 0.0  # computed so far

    def __call__(self, x: Situation, rng: np.random.Generator) -> LongArray:
        if not self.rounds:
            genetic(x, np.random.default_rng(0), POPULATION, 1)  # loads the kernels
        rate = self._genes / self.spent if self.spent else FIRST_RATE
        credit = self.seconds * (self.rounds + 1) - self.spent  # what earlier rounds took too much is saved here
        generations = int(np.clip(credit * rate / (POPULATION * len(x.entities)), 1, MOST_GENERATIONS))
        began = time.thread_time()
        found = genetic(x, rng, POPULATION, generations)
        self.spent += time.thread_time() - began
        self.rounds += 1
        self._genes += POPULATION * len(x.entities) * (generations + 1)
        return found


def matrix(session: Session) -> Measured:
    """Every cell: what the learnt policy earns by what each genetic algorithm does."""
    cells = measured(ZERO_SHOT_ENTITIES, ZERO_SHOT_SLOTS, MISSIONS)
    ratios = {name: np.array([share(cell, name) for cell in cells]) for name in (EQUAL, TENFOLD)}
    told = [
        f"{cell.distribution} {cell.entities}x{cell.slots} {share(cell, EQUAL):.2f} {share(cell, TENFOLD):.2f}"
        for cell in cells
    ]
    summary = [
        f"{name}: least {found.min():.3f}, mean {found.mean():.3f}, {(found >= LEAST).sum()} of {len(found)} cells"
        for name, found in ratios.items()
    ]
    passed = all(found.min() >= LEAST and found.mean() >= MEAN for found in ratios.values())
    figure = f"{LEARNT} by {'; '.join(summary)} ({MISSIONS} missions a cell). Cells (by both): {', '.join(told)}"
    return Measured(passed, figure, {"cells": [cell._asdict() for cell in cells]})


def measured(entities: Sequence[int], slots: Sequence[int], n: int) -> list[Cell]:
    """The cells of these sizes on n missions each."""
    seconds = [0.0]  # that ours takes for a decision in the cell at hand

    def learnt(problem: Task, missions: Sequence[Mission]) -> Array:
        judged(problem, missions[:1], LEARNT)  # loads kernels
        row = judged(problem, missions, LEARNT)
        seconds[0] = row.ms / 1e3
        return row.figures

    def equal(problem: Task, missions: Sequence[Mission]) -> Array:
        return _genetic(problem, missions, seconds[0])

    def tenfold(problem: Task, missions: Sequence[Mission]) -> Array:
        return _genetic(problem, missions, 10 * seconds[0])

    return list(zero_shot(Task("rbf"), {LEARNT: learnt, EQUAL: equal, TENFOLD: tenfold}, n, entities, slots))


def _genetic(problem: Task, missions: Sequence[Mission], seconds: float) -> Array:
    policy = RoundPolicy(TimedGenetic(seconds), np.random.default_rng(0))
    nets: Array = -play_policy(problem, missions, policy, lambda: policy.decided).objectives
    return nets


def share(cell: Cell, name: str) -> float:
    """What ours earns by what another does."""
    return cell.nets[LEARNT] / max(cell.nets[name], 1e-9)
