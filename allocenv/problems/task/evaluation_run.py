"""What does `allocenv evaluate task` do? Draw the missions, let everyone play, print, write."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from allocenv.core.console import report_console
from allocenv.core.files import between_marks, write_atomically
from allocenv.core.instance_sets import full_name
from allocenv.core.policy import Policy
from allocenv.core.results import write_results
from allocenv.problems.task.evaluation import (
    Judged,
    Told,
    judged,
    judged_policy,
    markdown_table,
    results_of,
    terminal_table,
)
from allocenv.problems.task.instance_sets import VERSION
from allocenv.problems.task.opponents import opponent_names
from allocenv.problems.task.problem import Task

Trained = Callable[[str, Task], tuple[str, Policy]]  # run folder, problem -> name and policy


class Wishes(NamedTuple):
    """The options of `allocenv evaluate task`."""

    preset: str = "rbf"
    mode: str = "fixed"
    instances: str = "default"
    against: str = "quick"
    runs: tuple[str, ...] = ()  # folders of trainings
    limit: int | None = None
    seconds: float = 5.0
    seed: int = 0
    arguments: tuple[str, ...] = ()


def run_evaluation(
    wishes: Wishes, out: Path | None, readme: Path | None, trained: Trained | None = None
) -> list[Judged]:
    """Compare, print the table, write it where asked for. `trained` loads `wishes.runs`."""
    if not 0 < wishes.seconds < 1e6:
        raise ValueError(f"--seconds: expected a positive number, got {wishes.seconds}.")
    problem = Task(wishes.preset, wishes.mode)
    names = opponent_names(wishes.against, problem)
    pairs = list(problem.instance_set(wishes.instances))[: wishes.limit]
    labels, missions = [label for label, _ in pairs], [mission for _, mission in pairs]
    held = problem.holding(missions)
    runs = [trained(run, held) for run in wishes.runs] if trained else []
    if readme is not None:
        between_marks(readme, "", "task")  # says what is wrong before anything is measured
    console, rows = report_console(), []
    with console.status("") as status:
        for name in names:
            status.update(f"{name} on {len(missions)} missions")
            judged(problem, missions[:1], name, wishes.seed, 1e-3)  # compiles
            rows.append(judged(problem, missions, name, wishes.seed, wishes.seconds))
        for name, policy in runs:
            status.update(f"{name} on {len(missions)} missions")
            rows.append(judged_policy(problem, missions, name, policy))
    title = f"{wishes.preset} ({wishes.mode}), {wishes.instances}: {len(missions)} missions"
    console.print(terminal_table(problem, rows, title))
    command = shlex.join(["allocenv", *wishes.arguments])
    table = markdown_table(problem, rows, f"`{command}`; {title}, 95 % bootstrap intervals over missions, CPU times.")
    if out is not None:
        told = Told(full_name(wishes.instances, VERSION), command, wishes.seed)
        written = write_results(results_of(problem, labels, missions, rows, told), out)
        write_atomically(out / "table.md", table)
        console.print(f"Written: {', '.join(map(str, [*written, out / 'table.md']))}", soft_wrap=True)
    if readme is not None:
        write_atomically(readme, between_marks(readme, table, "task"))
    return rows
