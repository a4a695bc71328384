"""What does `allocenv evaluate budget` do? Read, replay with progress, print, write."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from allocenv.core.arrays import Array
from allocenv.core.console import report_console
from allocenv.core.files import between_marks, write_atomically
from allocenv.core.results import write_results
from allocenv.problems.budget.charts import MOST, figure_by_rate, figure_over_time, png
from allocenv.problems.budget.data_sources import REAL_RUN
from allocenv.problems.budget.evaluation import EDGES, Courses, rates_of, rule_names
from allocenv.problems.budget.evaluation_report import (
    Case,
    markdown_table,
    ranked,
    results_of,
    terminal_table,
)
from allocenv.problems.budget.planning_run import expect_folder
from allocenv.problems.budget.replay import BEST, LOWEST, Figures, Setting, Step, replay

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKS = "budget"  # in README.md: <!-- budget:start --> and <!-- budget:end -->
SHOWN = (LOWEST, BEST, "knapsack_rl")  # in every plot that has room for few


@dataclass(frozen=True)
class Wishes:
    """The options of `allocenv evaluate budget`."""

    rules: str
    seeds: int
    part: str
    group: int
    batch: int
    warm_up: int
    run: Path | None
    arguments: tuple[str, ...]


def run_evaluation(wishes: Wishes, out: Path, readme: Path | None) -> None:
    """Judge the rules and write the files into `out`."""
    names = rule_names(wishes.rules)
    expect_folder(out)
    if readme is not None:
        between_marks(readme, "", MARKS)  # or minutes later
    rates = rates_of(wishes.run, wishes.part)
    how = Setting(wishes.group, wishes.batch, wishes.warm_up)
    case = Case(
        escape(Path(wishes.run or REAL_RUN.path).name), wishes.part, len(rates), rates.shape[1], how, wishes.seeds
    )
    console, courses = report_console(), Courses(rates.shape[1])
    found = _judged(rates, names, case, courses, console)
    command = shlex.join(["allocenv", *wishes.arguments])
    console.print(terminal_table(case, found))
    drawn = {
        "rollouts_by_rate.png": (_by_rate, "Where the rollouts went by success rate"),
        "rollouts_over_time.png": (_over_time, "What the rollouts were worth over time"),
    }
    for name, (draw, _) in drawn.items():
        write_atomically(out / name, png(draw(case, found, courses)))
    results = results_of(case, found, command, rates, courses.of)
    results = replace(results, pictures={name: caption for name, (_, caption) in drawn.items()})
    written = [*write_results(results, out), *(out / name for name in drawn)]
    if readme is not None:
        write_atomically(readme, between_marks(readme, markdown_table(case, found, command), MARKS))
        written.append(readme)
    console.print(f"Written: {', '.join(str(path) for path in written)}", soft_wrap=True)


def _judged(
    rates: Array, names: tuple[str, ...], case: Case, courses: Courses, console: Console
) -> Mapping[str, Figures]:
    """Play all rules; where there is a terminal, live."""
    played = len({LOWEST, BEST, *names}) * case.seeds
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=played * (case.visits - case.how.warm_up) * case.prompts)

        def watch(step: Step) -> None:
            courses(step)
            progress.update(task, description=f"{step.rule}, seed {step.seed}", advance=len(step.rates))

        return replay(rates, names, case.seeds, case.how, watch)


def _drawn(found: Mapping[str, Figures]) -> list[str]:
    """The rules that a plot has room for: those to compare with, and the best."""
    best = [name for name in ranked(found) if name not in SHOWN]
    return [name for name in SHOWN if name in found] + best[: MOST - len(SHOWN) + 1]


def _by_rate(case: Case, found: Mapping[str, Figures], courses: Courses) -> "Figure":
    means = {}
    for name in _drawn(found):
        course = courses.of[name]
        means[name] = np.where(course.prompts > 0, course.rollouts / np.maximum(course.prompts, 1), np.nan)
    return figure_by_rate(EDGES, means, case.title)


def _over_time(case: Case, found: Mapping[str, Figures], courses: Courses) -> "Figure":
    visits = np.arange(case.how.warm_up, case.visits)
    effective, hard = {}, {}
    for name in _drawn(found):
        sums = courses.of[name].by_visit[visits]
        effective[name], hard[name] = (sums[:, k] / np.maximum(sums[:, 0], 1) for k in (1, 2))
    return figure_over_time(visits, effective, hard, case.title)
