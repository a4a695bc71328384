"""What does `allocenv plan task` do? Read, plan with progress, write, say."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from allocenv.core.console import report_console
from allocenv.core.files import write_atomically
from allocenv.core.solver import Entry
from allocenv.planner import Found, plan
from allocenv.problems.task.bound import upper_bound
from allocenv.problems.task.charts import plan_figure, png
from allocenv.problems.task.formats import SLOTS, read_csv, read_json
from allocenv.problems.task.mission import Mission
from allocenv.problems.task.plan_file import Plan, make_plan, plan_table, write_plan
from allocenv.problems.task.planning import SOLVERS
from allocenv.problems.task.problem import Task

Learnt = Callable[[Any], Mapping[str, Entry]]  # problem -> trained policies that plan for it


class Wishes(NamedTuple):
    """The options of `allocenv plan task`."""

    tasks: Path | None = None
    slots: int | None = None
    preset: str = "rbf"
    horizon: float | None = None
    seconds: float = 5.0
    seed: int = 0
    table: bool = True


def run_plan(input: Path, out: Path, wishes: Wishes, learnt: Learnt | None = None) -> Plan:
    """Plan and write the files into `out`."""
    console = report_console()
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out: expected a folder, got {out}, which is a file.")
    if not 0 < wishes.seconds < 1e6:
        raise ValueError(f"--seconds: expected a positive number, got {wishes.seconds}.")
    mission = read_mission(input, wishes)
    problem = Task.on(mission, preset=wishes.preset, horizon=wishes.horizon)
    problem.warm_up()
    solvers = {**SOLVERS, **(learnt(problem) if learnt else {})}
    found = _with_progress(console, problem, mission, wishes, solvers)
    bound = max(found.bound, -upper_bound(problem, mission))
    document = make_plan(
        problem, mission, found.solution.actions, source=str(input), bound=bound if problem.rules.makespan else -bound,
        found_by=found.solution.found_by,
    )  # fmt: skip
    if wishes.table and document.services:
        console.print(plan_table(document))
    written = write_plan(document, out)
    write_atomically(out / "plan.png", png(plan_figure(mission, document)))
    console.print(verdict(document, found), soft_wrap=True)
    for one in document.unserved:
        console.print(f"  not served: {one.task}: {one.reason}", soft_wrap=True)
    console.print(f"Written: {', '.join(str(path) for path in (*written, out / 'plan.png'))}", soft_wrap=True)
    return document


def read_mission(input: Path, wishes: Wishes) -> Mission:
    """A JSON file, or a table of entities (`input`) and one of tasks. Raises InputError, ValueError."""
    if input.suffix.lower() != ".csv":
        if wishes.tasks is not None or wishes.slots is not None:
            raise ValueError("--tasks and --slots: expected with a table of entities (.csv) only.")
        return read_json(input)
    if wishes.tasks is None:
        raise ValueError(f"--tasks: expected a table of tasks beside the entities of {input}.")
    return read_csv(input, wishes.tasks, SLOTS if wishes.slots is None else wishes.slots)


def _with_progress(
    console: Console, problem: Task, mission: Mission, wishes: Wishes, solvers: Mapping[str, Entry]
) -> Found:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    what = f"{mission.n_entities} entities, {mission.n_tasks} tasks"
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(f"{what}: planning, at most {wishes.seconds:g} s")

        def tell(at: float, who: str, cost: float) -> None:
            progress.update(task, description=f"{told(problem, cost)} by {who}")

        return plan(problem, mission, wishes.seconds, wishes.seed, solvers=solvers, listener=tell)


def told(problem: Task, objective: float) -> str:
    """The objective for people: a makespan, or what is earned."""
    return f"makespan {objective:.2f}" if problem.rules.makespan else f"net {0.0 - objective:.2f}"


def verdict(document: Plan, found: Found) -> str:
    """What came of it, in one line."""
    n = len(document.services)
    many = f"{n} of {n + len(document.unserved)} tasks served"
    if document.makespan is not None:
        what = f"makespan {document.makespan:.2f}, {many}"
        known = f"at least {document.bound:.2f} whatever is done" if np.isfinite(document.bound) else "no bound known"
    else:
        what = f"net {document.net:.2f} (value {document.value:.2f}, cost {document.cost:.2f}), {many}"
        known = f"at most {document.bound:.2f} whatever is done" if np.isfinite(document.bound) else "no bound known"
    by = f", found by {document.found_by}" if n else ""
    return f"{what}; {'proven optimal' if found.proven else known}{by}; {found.seconds:.2f} s."
