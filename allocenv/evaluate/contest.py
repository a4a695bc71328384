"""Contenders on the same instances: what each reached, how long it took, whether the environment agrees."""

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np

from allocenv.core.arrays import IntArray
from allocenv.core.batch import Batch
from allocenv.core.policy import Policy
from allocenv.core.problem import Instance, Problem
from allocenv.core.replay import replay
from allocenv.core.solver import Solution, Solver, never


@dataclass(frozen=True)
class Row:
    """One contender on one instance."""

    contender: str
    instance: str
    start: float  # objective before any action
    objective: float  # after the plan, as the environment computes it
    bound: float  # proven by this contender; -inf: none
    decisions: int
    legal: bool  # the environment accepted every action
    wall: float  # seconds
    cpu: float  # seconds, all threads

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


Contender = Callable[[Problem, Instance, np.random.Generator], Solution]


def within(solver: Solver, seconds: float) -> Contender:
    """A solver with a time limit as a contender."""
    return lambda problem, instance, rng: solver(problem, instance, seconds, rng)


def acting(make: Callable[[np.random.Generator], Policy]) -> Contender:
    """A policy as a contender: it acts to the end of the episode."""
    return partial(_act, make)


def _act(
    make: Callable[[np.random.Generator], Policy], problem: Problem, instance: Instance, rng: np.random.Generator
) -> Solution:
    batch = Batch(problem, 1)
    batch.load([instance])
    policy = make(rng)
    actions: list[IntArray] = []
    over = False
    while not over:
        chosen = policy(batch)
        actions.append(chosen[0])
        outcome = batch.step(chosen)
        over = bool(outcome.terminated[0] or outcome.truncated[0])
    return Solution(np.array(actions, np.int32), float(batch.costs()[0]))


class PolicySolver:
    """A policy as a solver: one episode, always the same whatever the time limit."""

    def __init__(self, make: Callable[[np.random.Generator], Policy]) -> None:
        self.make = make

    def __call__(
        self,
        problem: Problem,
        instance: Instance,
        seconds: float,
        rng: np.random.Generator,
        start: Solution | None = None,
        stop: Callable[[], bool] = never,
    ) -> Solution:
        found = _act(self.make, problem, instance, rng)
        return start if start is not None and start.objective <= found.objective else found


def contest(
    problem: Problem,
    instances: Iterable[tuple[str, Instance]],
    contenders: Mapping[str, Contender],
    seed: int = 0,
    listener: Callable[[Row], None] | None = None,
) -> list[Row]:
    """Every contender on every instance, one after the other on an otherwise idle machine.

    A contender draws from a generator seeded `[seed, instance]`, so that the order and the others do not matter.
    """
    rows = []
    for i, (label, instance) in enumerate(instances):
        for name, contender in contenders.items():
            row = judge(problem, label, instance, name, contender, np.random.default_rng([seed, i]))
            rows.append(row)
            if listener is not None:
                listener(row)
    return rows


def judge(
    problem: Problem,
    label: str,
    instance: Instance,
    name: str,
    contender: Contender,
    rng: np.random.Generator,
) -> Row:
    """One contender on one instance; times are its own, the replay by the environment is not counted."""
    wall, cpu = time.perf_counter(), time.process_time()
    solution = contender(problem, instance, rng)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    checked = replay(problem, instance, solution.actions)
    return Row(
        contender=name,
        instance=label,
        start=float(checked.costs[0]),
        objective=float(checked.costs[-1]),
        bound=solution.bound,
        decisions=len(solution.actions),
        legal=not bool(checked.illegal.any()),
        wall=wall,
        cpu=cpu,
    )


def machine() -> str:
    """The machine in words, for beside every figure."""
    model = "unknown processor"
    try:
        with open("/proc/cpuinfo") as info:
            model = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), model)
    except OSError:
        pass
    return f"{os.cpu_count()} x {model}"


def contenders_of(rows: Sequence[Row]) -> list[str]:
    """Their names, in order of appearance."""
    return list(dict.fromkeys(row.contender for row in rows))
