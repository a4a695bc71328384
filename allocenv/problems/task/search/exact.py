"""The optimum of a small mission over the whole episode, all arrivals known: depth first with a bound.

At every moment each open task gets a team that can be formed from those who are free, or none; then time passes in
the environment. Teams with members to spare are tried too: they are somewhere else afterwards. What is left is cut
off by `bound.py` and where the same situation has been met with no less earned. For missions of few entities only.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from allocenv.core.arrays import Array, IntArray
from allocenv.core.batch import Batch
from allocenv.core.clock import perf_counter
from allocenv.core.solver import never
from allocenv.core.state_dict import copy_arrays, load_arrays, named_arrays
from allocenv.problems.task.bound import task_bounds
from allocenv.problems.task.dynamics import CLOSED, EMPTY, OPEN, State
from allocenv.problems.task.mission import Mission
from allocenv.problems.task.rules import EVENTS

if TYPE_CHECKING:
    from allocenv.problems.task.problem import Task

MOST_ENTITIES = 10
FORGET = (
    "net",
    "collected",
    "steps_left",
    "full_cover",
    "free_cover",
    "elapsed",
    "left",
    "opened",
    "done_at",
)
Team = tuple[int, ...]  # entities, in an order in which they may be committed


class Optimum(NamedTuple):
    """The best actions found."""

    objective: float
    actions: IntArray  # [n, 2]
    proven: bool


def fits(problem: "Task", mission: Mission) -> bool:
    """Whether the mission is of the kind and size that this search is for."""
    rules = problem.rules
    return mission.n_entities <= MOST_ENTITIES and rules.stepping == EVENTS and not (rules.makespan or rules.single)


def solve_exactly(
    problem: "Task",
    mission: Mission,
    seconds: float = np.inf,
    lowest: float = 0.0,
    stop: Callable[[], bool] = never,
) -> Optimum:
    """The optimum, or the best below `lowest` when time is up.

    Raises:
        ValueError: a mission that is too large, or of routes.
    """
    if not fits(problem, mission):
        raise ValueError(f"Expected at most {MOST_ENTITIES} entities and teams that leave together.")
    return _Search(problem, mission, seconds, lowest, stop).run()


class _Search:
    def __init__(
        self, problem: "Task", mission: Mission, seconds: float, lowest: float, stop: Callable[[], bool]
    ) -> None:
        self.problem, self.mission, self.stop = problem, mission, stop
        self.until = perf_counter() + seconds
        self.batch = Batch(problem, 1)
        self.batch.load([mission])
        self.worth = task_bounds(problem, mission)
        self.most = -lowest
        self.best: list[tuple[int, int]] = []
        self.actions: list[tuple[int, int]] = []
        self.met: dict[bytes, float] = {}
        self.cut_short = False

    def run(self) -> Optimum:
        self._moment()
        actions = np.array(self.best, np.int32).reshape(-1, 2)
        return Optimum(-self.most, actions, not self.cut_short)

    def _moment(self) -> None:
        """All that can be done from here on."""
        s: State = self.batch.state.model
        if self.cut_short or self.stop() or perf_counter() > self.until:
            self.cut_short = True
            return
        net = float(s.net[0])
        if net > self.most + 1e-9:
            self.most, self.best = net, list(self.actions)
        if s.over[0] or net + self._ahead(s) <= self.most + 1e-9:
            return
        key = b"".join(a[0].tobytes() for name, a in named_arrays(s) if name.rpartition(".")[2] not in FORGET)
        if self.met.get(key, -np.inf) >= net - 1e-12:
            return
        self.met[key] = net
        self._choose(0)

    def _ahead(self, s: State) -> float:
        """At most this is still earned."""
        total = float(self.worth[int(s.next_task[0]) :].sum())
        for t in np.flatnonzero(s.phase[0] != EMPTY):
            closed = s.phase[0, t] == CLOSED
            total += max(float(s.worth[0, t] - s.team_cost[0, t]) if closed else float(self.worth[s.task[0, t]]), 0.0)
        return total

    def _choose(self, slot: int) -> None:
        """A team or none for this slot and those after it, then time passes."""
        s: State = self.batch.state.model
        if slot == self.mission.slots:
            saved, n = copy_arrays(self.batch.state), len(self.actions)
            self._act(self.problem.stop)
            self._moment()
            load_arrays(self.batch.state, saved)
            del self.actions[n:]
            return
        if s.phase[0, slot] == OPEN:
            for team in list(_teams(s, slot)):
                saved, n = copy_arrays(self.batch.state), len(self.actions)
                for i in team:
                    self._act((i, slot))
                if s.ready[0, slot] <= self.problem.rules.horizon + 1e-9:
                    self._choose(slot + 1)
                load_arrays(self.batch.state, saved)
                del self.actions[n:]
        self._choose(slot + 1)

    def _act(self, action: tuple[int, int]) -> None:
        self.actions.append(action)
        self.batch.step(np.array([action], np.int32))


def _teams(s: State, slot: int) -> Iterator[Team]:
    """All teams that the free can form for the slot, no two of the same members; the cheap first."""
    free = np.flatnonzero((s.alloc.bin_of[0, : s.n_entities[0]] < 0) & (s.blocked[0, : s.n_entities[0]] == 0))
    need = s.alloc.capacity[0, :, slot].astype(np.int64)
    ability: Array = s.alloc.demand[0, free, 0].astype(np.int64)
    growing: dict[frozenset[int], Team] = {frozenset(): ()}
    complete: dict[frozenset[int], Team] = {}
    while growing:
        larger: dict[frozenset[int], Team] = {}
        for members, order in growing.items():
            lacks = need - ability[list(members)].sum(axis=0)
            for i in range(len(free)):
                if i in members or not ((ability[i] > 0) & (lacks > 0)).any():
                    continue
                covers = bool((ability[i] >= lacks).all())
                (complete if covers else larger).setdefault(members | {i}, (*order, i))
        growing = larger
    dearness = {members: float(s.cost[0, free[list(members)]].sum()) for members in complete}
    for members in sorted(complete, key=lambda one: dearness[one]):
        yield tuple(int(free[i]) for i in complete[members])
