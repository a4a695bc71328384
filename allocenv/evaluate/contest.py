"""Contenders on the same instances: what each reached, how long it took, whether the environment agrees.

Solvers work by the counted clock (`core/clock.py`): a limit of a second is the work of a second on the reference
machine, so that the same evaluation gives the same results on any machine, twice, in any number of processes;
what it really took is measured.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from allocenv.core.arrays import IntArray
from allocenv.core.batch import Batch
from allocenv.core.clock import counted
from allocenv.core.kept import Kept, resumed
from allocenv.core.memory import PeakMemory
from allocenv.core.policy import Policy
from allocenv.core.pool import Pool, Task, local_pool
from allocenv.core.problem import Instance, Problem
from allocenv.core.replay import replay
from allocenv.core.results import Row
from allocenv.core.solver import Solution, Solver, never

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


@dataclass(frozen=True)
class Entrant:
    """A contender and what is known of it beforehand."""

    contender: Contender
    kind: str = "rule"  # one of `KINDS`
    limit: float = np.inf


KINDS = {
    "agent": "learnt",
    "rule": "a rule of thumb",
    "search": "searches as long as it may",
    "exact": "proves its optimum, given time",
    "planner": "all of them together",
    "oracle": "knows the future; no opponent, a mark",
}


@dataclass(frozen=True)
class Contest:
    """Everybody on every instance, in rounds: who takes part, and within which limit, differs between them.

    Its tasks are meetings: all entrants of a round on one instance with one seed, named `round/instance/seed`. A
    contender draws from a generator seeded `[seed, instance]`, so that neither the order nor the others nor who does
    the work matter. Times are those of a machine that is otherwise idle, but for the other workers.
    """

    problem: Problem
    instances: Sequence[tuple[str, Instance]]
    rounds: Sequence[Mapping[str, Entrant]]

    def __call__(self, meeting: Task) -> list[dict[str, Any]]:
        """The rows of a meeting, as JSON."""
        number, i, seed = map(int, meeting.split("/"))
        label, instance = self.instances[i]
        return [
            judge(
                self.problem, label, instance, name, each.contender, np.random.default_rng([seed, i]), seed, each.limit
            ).to_dict()
            for name, each in self.rounds[number].items()
        ]

    def held(
        self,
        pool: Pool,
        seed: int = 0,
        seeds: int = 1,
        listener: Callable[[Row], None] | None = None,
        kept: Kept | None = None,
    ) -> list[Row]:
        """All rows, with each of `seeds` seeds from `seed` on, in the same order whoever does the work.

        Args:
            listener: hears of each row as it comes.
            kept: where meetings that have ended are kept; those that are there already are not held again.
        """
        each_seed, numbers = range(seed, seed + seeds), range(len(self.instances))
        meetings = [f"{r}/{i}/{s}" for r in range(len(self.rounds)) for i in numbers for s in each_seed]
        found: dict[Task, list[Row]] = {}
        for results in resumed(pool, meetings, kept):
            for meeting, values in results.items():
                found[meeting] = [Row(**value) for value in values]
                if listener is not None:
                    for row in found[meeting]:
                        listener(row)
        return [row for meeting in meetings for row in found[meeting]]


def contest(
    problem: Problem,
    instances: Iterable[tuple[str, Instance]],
    contenders: Mapping[str, Contender | Entrant],
    seed: int = 0,
    listener: Callable[[Row], None] | None = None,
    seeds: int = 1,
    processes: int = 1,
) -> list[Row]:
    """Every contender on every instance, with each of `seeds` seeds from `seed` on; see `Contest`.

    Raises:
        ValueError: more than one process where processes cannot be forked.
    """
    entrants = {name: each if isinstance(each, Entrant) else Entrant(each) for name, each in contenders.items()}
    held = Contest(problem, list(instances), [entrants])
    with local_pool(held, processes) as pool:
        return held.held(pool, seed, seeds, listener)


def judge(
    problem: Problem,
    label: str,
    instance: Instance,
    name: str,
    contender: Contender,
    rng: np.random.Generator,
    seed: int = 0,
    limit: float = np.inf,
) -> Row:
    """One contender on one instance; times are its own, the replay by the environment is not counted."""
    with counted(), PeakMemory() as memory:
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
        seed=seed,
        limit=limit,
        peak_mb=memory.mb,
        figures=checked.metrics,
    )
