"""What does `allocenv evaluate storage` do? Read, replay with progress, print, write."""

import math
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from allocenv.core.console import report_console
from allocenv.core.files import between_marks, write_atomically
from allocenv.core.results import write_results
from allocenv.problems.storage.charts import MOST, figure_of_sizes, figure_over_time, png
from allocenv.problems.storage.evaluation import (
    PARTS,
    SIZES,
    Judged,
    Sized,
    by_policy,
    fast_only_course,
    judged,
    measured_from,
    points,
    policy_names,
    size_curve,
    warm_up,
)
from allocenv.problems.storage.evaluation_report import (
    Case,
    curves,
    markdown_table,
    results_of,
    size_table,
    sizes_csv,
    terminal_table,
)
from allocenv.problems.storage.formats import Read
from allocenv.problems.storage.rules import System
from allocenv.problems.storage.trace_commands import Input, tell_left_out

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKS = "storage"  # in README.md: <!-- storage:start --> and <!-- storage:end -->


@dataclass(frozen=True)
class Wishes:
    """The options of `allocenv evaluate storage` that say what is judged by which rules."""

    devices: str
    fast: str | None
    moves: str
    loop: str
    policies: str
    seeds: int
    part: str
    budget_mb_s: float | None
    endurance: float | None
    size_curve: bool
    arguments: tuple[str, ...]

    def system(self) -> System:
        """The devices and how they are run. Raises ValueError."""
        return System.named(
            self.devices, parse_shares(self.fast), accounting=self.moves, loop=self.loop,
            budget_mb_s=self.budget_mb_s, endurance=self.endurance,
        )  # fmt: skip


class Findings(NamedTuple):
    """All that is written."""

    case: Case
    rows: Sequence[Judged]
    curve: Sequence[Sized]
    command: str
    read: Read


def parse_shares(text: str | None) -> tuple[float, ...] | None:
    """`0.1` or `0.05,0.1`. Raises ValueError."""
    if text is None:
        return None
    try:
        shares = tuple(float(part) for part in text.split(","))
    except ValueError:
        shares = (math.nan,)
    if not all(0 < share <= 1 for share in shares):
        raise ValueError(f"--fast: expected shares above 0 and up to 1, such as 0.1 or 0.05,0.1; got {text!r}.")
    return shares


def expect_folder(out: Path) -> None:
    """Raise ValueError where `out` is a file, before hours are spent on it."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out: expected a folder, got {out}, which is a file.")


def run_evaluation(source: Input, wishes: Wishes, out: Path, readme: Path | None) -> None:
    """Judge the policies and write the files into `out`."""
    if wishes.part not in PARTS:
        raise ValueError(f"--part: expected one of {', '.join(PARTS)}, got {wishes.part!r}.")
    names, system = policy_names(wishes.policies, wishes.part), wishes.system()
    expect_folder(out)
    if readme is not None:
        between_marks(readme, "", MARKS)  # or hours later
    read = source.read()
    case = Case(read.trace, system, wishes.part, wishes.seeds)
    system.rules(read.trace)
    console = report_console()
    tell_left_out(read, console)
    rows, curve = _judged(case, names, wishes.size_curve, console)
    found = Findings(case, rows, curve, shlex.join(["allocenv", *wishes.arguments]), read)
    console.print(terminal_table(case, rows))
    if curve:
        console.print(size_table(case, curve))
    written = _write(found, out)
    if readme is not None:
        write_atomically(readme, between_marks(readme, markdown_table(case, rows, found.command), MARKS))
        written.append(readme)
    console.print(f"Written: {', '.join(str(path) for path in written)}", soft_wrap=True)


def _judged(case: Case, names: Sequence[str], with_sizes: bool, console: Console) -> tuple[list[Judged], list[Sized]]:
    """Every policy with every seed, and the size curve where asked for; where there is a terminal, live."""
    with _progress(console) as begin:
        begin("compiling", 1)
        warm_up(case.trace, case.system, names)
        rows: list[Judged] = []
        for name in names:
            tell = begin(_so_far(name, rows), case.seeds * len(case.trace))
            rows += [judged(case.trace, case.system, name, seed, case.part, tell) for seed in range(case.seeds)]
        curve: list[Sized] = []
        if with_sizes:
            tell = begin("size curve", len(SIZES) * len(names) * len(case.trace))
            curve = size_curve(case.trace, case.system, names, case.part, tell)
    return rows, curve


def _so_far(name: str, rows: Sequence[Judged]) -> str:
    if not rows:
        return name
    best = min(rows, key=lambda row: row.summary.mean)
    return f"{name} (best so far: {best.policy} {best.summary.mean:.1f} us)"


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[str, int], Callable[[int], None]]]:
    """A bar; the function given begins it anew with a text and a total, and returns what moves it on."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("")

        def begin(text: str, total: int) -> Callable[[int], None]:
            progress.reset(task, description=text, total=total)
            return lambda n: progress.advance(task, n)

        yield begin


def _write(found: Findings, out: Path) -> list[Path]:
    """The files, each whole or not at all."""
    case, read = found.case, found.read
    source = {"format": read.format, "left_out": read.skipped, "first_bad": read.first_bad, "others": read.others}
    files: dict[str, str | bytes] = {"latency.png": png(_over_time(found))}
    pictures = {"latency.png": f"Latency over the trace: {case.title}"}
    if found.curve:
        files["size_curve.csv"] = sizes_csv(case, found.curve)
        files["size_curve.png"] = png(_of_sizes(found))
        pictures["size_curve.png"] = "Mean latency against the share of the pages that the fastest device holds"
    for name, content in files.items():
        write_atomically(out / name, content)
    results = replace(results_of(case, found.rows, found.command, source), pictures=pictures)
    return [*write_results(results, out), *(out / name for name in files)]


def _over_time(found: Findings) -> "Figure":
    case = found.case
    begin = measured_from(case.trace, case.part)
    courses = {name: by_policy(found.rows)[name][0].course for name in _shown(found.rows)}
    ends = begin + points(len(case.trace) - begin)
    return figure_over_time(ends, courses, fast_only_course(case.trace, case.system, case.part), case.title)


def _of_sizes(found: Findings) -> "Figure":
    means = {name: curves(found.curve)[name] for name in _shown(found.rows)}
    return figure_of_sizes(sorted({p.share for p in found.curve}), means, found.case.title)


def _shown(rows: Sequence[Judged]) -> tuple[str, ...]:
    """The policies that a plot has room for: all of few; else the plain ones to compare with, and the best."""
    ranked = tuple(by_policy(rows))
    if len(ranked) <= MOST:
        return ranked
    plain = [name for name in ("slow_only", "lru", "lru_p05") if name in ranked]
    best = [name for name in ranked if name not in plain]
    return tuple(plain + best[: MOST - len(plain)])
