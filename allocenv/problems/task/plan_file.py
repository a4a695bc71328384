"""What is a plan of a mission, on paper? Who serves which task, when each leaves and arrives, what it earns.

The JSON document, version 1: `allocenv_task_plan` (1), `source`, `preset`, `value`, `cost`, `net` (`makespan` where
that counts), `bound` (null: unknown; no plan earns more, or is sooner home), `found_by`, `tasks` (each `task`,
`starts`, `done`, `value`, `cost`, `team` with `entity`, `leaves`, `arrives`) and `unserved` (each `task`, `reason`).
The CSV has one line a member of a team.
"""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from allocenv.core.arrays import IntArray
from allocenv.core.batch import Batch
from allocenv.core.files import write_atomically
from allocenv.problems.task.dynamics import CLOSED, State, value_at
from allocenv.problems.task.mission import Mission

if TYPE_CHECKING:
    from allocenv.problems.task.problem import Task

VERSION = 1
IMPOSSIBLE = "needs more than the whole fleet has"
UNTOUCHED = "left out: no team that pays could be there in time, or others paid more"
UNFINISHED = "not done when the episode ended"
COLUMNS = ("task", "entity", "leaves", "arrives", "starts", "done")


@dataclass(frozen=True)
class Member:
    """An entity of a team."""

    entity: str
    leaves: float
    arrives: float


@dataclass(frozen=True)
class Service:
    """A task that is served."""

    task: str
    starts: float  # the team is complete there
    done: float
    value: float  # when done
    cost: float
    team: tuple[Member, ...]


@dataclass(frozen=True)
class Unserved:
    """A task that is not."""

    task: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """Every task of a mission, served or not."""

    source: str
    preset: str
    makespan: float | None  # where it counts: when the last is home
    bound: float  # inf (makespan: -inf): unknown
    found_by: str
    services: tuple[Service, ...]
    unserved: tuple[Unserved, ...]

    @property
    def value(self) -> float:
        return sum(service.value for service in self.services)

    @property
    def cost(self) -> float:
        return sum(service.cost for service in self.services)

    @property
    def net(self) -> float:
        return self.value - self.cost


def make_plan(
    problem: "Task",
    mission: Mission,
    actions: IntArray,
    *,
    source: str,
    bound: float = np.inf,
    found_by: str = "",
) -> Plan:
    """The plan of the actions [n, 2], carried out in the environment.

    Raises:
        ValueError: an action that is not legal at its turn.
    """
    batch = Batch(problem, 1)
    batch.load([mission])
    s: State = batch.state.model
    left: dict[int, float] = {}
    services: dict[int, Service] = {}
    for n, action in enumerate(np.asarray(actions, np.int32).reshape(-1, 2)):
        left[int(action[0])] = float(s.now[0])
        batch.step(action[None])
        if batch.outcome.illegal[0]:
            raise ValueError(f"Expected legal actions, action {n} is not.")
        for t in np.flatnonzero(s.phase[0] == CLOSED):
            if int(s.task[0, t]) not in services:
                services[int(s.task[0, t])] = _service(problem, mission, s, int(t), left)
    done = s.n_done[0] == s.n_tasks[0]
    finished = {q for q in services if np.isfinite(s.done_at[0, q])}
    return Plan(
        source=source,
        preset=problem.preset,
        makespan=(float(s.makespan[0]) if done else np.inf) if problem.rules.makespan else None,
        bound=bound,
        found_by=found_by,
        services=tuple(services[q] for q in sorted(finished, key=lambda q: (services[q].starts, q))),
        unserved=tuple(
            Unserved(mission.task_name(q), _reason(mission, q, q in services))
            for q in range(mission.n_tasks)
            if q not in finished
        ),
    )


def _service(problem: "Task", mission: Mission, s: State, t: int, left: dict[int, float]) -> Service:
    """The team of slot t, which is complete."""
    task = int(s.task[0, t])
    team = np.flatnonzero(s.alloc.bin_of[0, : s.n_entities[0]] == t)
    leaves = {int(i): left[int(i)] if problem.rules.single else float(s.now[0]) for i in team}
    ready = float(s.ready[0, t])
    return Service(
        task=mission.task_name(task),
        starts=ready - float(mission.work[task]),
        done=ready,
        value=float(value_at(problem.rules, s, 0, t, ready)),
        cost=float(s.team_cost[0, t]),
        team=tuple(Member(mission.entity_name(i), leaves[i], float(s.arrives[0, i])) for i in leaves),
    )


def _reason(mission: Mission, task: int, begun: bool) -> str:
    if task in mission.impossible:
        return IMPOSSIBLE
    return UNFINISHED if begun else UNTOUCHED


def plan_json(plan: Plan) -> str:
    """The document."""
    earned = {"makespan": plan.makespan} if plan.makespan is not None else {}
    content = {
        "allocenv_task_plan": VERSION, "source": plan.source, "preset": plan.preset, "value": plan.value,
        "cost": plan.cost, "net": plan.net, **earned, "bound": plan.bound if np.isfinite(plan.bound) else None,
        "found_by": plan.found_by, "tasks": [asdict(service) for service in plan.services],
        "unserved": [asdict(one) for one in plan.unserved],
    }  # fmt: skip
    return json.dumps(content, indent=1) + "\n"


def plan_csv(plan: Plan) -> str:
    """One line a member."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for service in plan.services:
        for member in service.team:
            writer.writerow((service.task, member.entity, member.leaves, member.arrives, service.starts, service.done))
    return text.getvalue()


def write_plan(plan: Plan, folder: Path) -> list[Path]:
    """plan.json and plan.csv."""
    written = [folder / "plan.json", folder / "plan.csv"]
    for path, content in zip(written, (plan_json(plan), plan_csv(plan)), strict=True):
        write_atomically(path, content)
    return written


def plan_table(plan: Plan, most: int = 40) -> Table:
    """For a terminal: the first so many tasks."""
    table = Table("task", "starts", "done", "value", "cost", "team")
    for service in plan.services[:most]:
        names = _short([member.entity for member in service.team])
        figures = (service.starts, service.done, service.value, service.cost)
        table.add_row(service.task, *(f"{figure:.2f}" for figure in figures), names)
    if len(plan.services) > most:
        table.caption = f"{len(plan.services) - most} more in the files"
    return table


def _short(names: Sequence[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
