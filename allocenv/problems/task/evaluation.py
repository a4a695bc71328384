"""How do opponents fare on the same missions? Means with intervals over missions, and what a decision takes."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from rich.table import Table

from allocenv.core.arrays import Array
from allocenv.core.fingerprint import fingerprint
from allocenv.core.policy import Policy
from allocenv.core.provenance import provenance
from allocenv.core.results import ORACLE, Results, Row
from allocenv.core.statistics import mean_interval
from allocenv.problems.task.mission import Mission
from allocenv.problems.task.opponents import Opponent, Played, opponents_of, play_policy
from allocenv.problems.task.problem import Task

HEADERS = ("opponent", "{} (95 %)", "of the bound", "ms a decision", "decisions", "cpu s")


class Interval(NamedTuple):
    """A mean and its 95 % interval (bootstrap over missions)."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        alone = self.low == self.high
        return f"{self.mean:.2f}" if alone else f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}]"


class Told(NamedTuple):
    """What results say of how they came about."""

    instances: str  # the named set
    command: str
    seed: int


class Judged(NamedTuple):
    """One opponent on n missions."""

    opponent: str
    kind: str
    figures: Array  # [n]  what was earned, or the makespan
    seconds: float
    decisions: int
    illegal: int

    @property
    def ms(self) -> float:
        """CPU milliseconds a round decided."""
        return 1e3 * self.seconds / max(self.decisions, 1)


def judged(problem: Task, missions: Sequence[Mission], name: str, seed: int = 0, seconds: float = 5.0) -> Judged:
    """Let an opponent play all missions."""
    opponent = opponents_of(problem)[name]
    return _judged(problem, name, _kind(name, opponent), opponent.play(problem, missions, seed, seconds))


def judged_policy(problem: Task, missions: Sequence[Mission], name: str, policy: Policy) -> Judged:
    """Let a trained policy play all missions."""
    return _judged(problem, name, "agent", play_policy(problem, missions, policy, lambda: -1))


def _kind(name: str, opponent: Opponent) -> str:
    """An upper bound is no opponent but a mark, as are those that know the future."""
    if name == "learnt":
        return "agent"
    if name == "upper_bound" or name.startswith(ORACLE):
        return "oracle"
    return "rule" if opponent.quick else "search"


def _judged(problem: Task, name: str, kind: str, played: Played) -> Judged:
    figures = played.objectives if problem.rules.makespan else 0.0 - played.objectives
    return Judged(name, kind, figures, played.seconds, played.decisions, played.illegal)


def interval(values: Array, seed: int = 0) -> Interval:
    """Of one value a mission."""
    return Interval(*mean_interval(values, seed))


def ordered(problem: Task, rows: Sequence[Judged]) -> list[Judged]:
    """The best mean first."""
    sign = 1.0 if problem.rules.makespan else -1.0
    return sorted(rows, key=lambda row: sign * float(row.figures.mean()))


def cells(problem: Task, row: Judged, bounds: Mapping[str, float]) -> tuple[str, ...]:
    """One line as text."""
    bound = bounds.get("upper_bound", np.inf)
    share = f"{row.figures.mean() / bound:.1%}" if np.isfinite(bound) and bound > 0 else "-"
    name = row.opponent if not row.illegal else f"{row.opponent} (ILLEGAL)"
    n = len(row.figures)
    return (
        name, str(interval(row.figures)), share, f"{row.ms:.3g}", f"{row.decisions / n:.1f}", f"{row.seconds / n:.3g}"
    )  # fmt: skip


def table_rows(problem: Task, rows: Sequence[Judged]) -> list[tuple[str, ...]]:
    """Header and lines."""
    bounds = {row.opponent: float(row.figures.mean()) for row in rows}
    counted = "makespan" if problem.rules.makespan else "net"
    header = tuple(text.format(counted) for text in HEADERS)
    return [header, *(cells(problem, row, bounds) for row in ordered(problem, rows))]


def terminal_table(problem: Task, rows: Sequence[Judged], title: str) -> Table:
    """For `rich`."""
    header, *lines = table_rows(problem, rows)
    table = Table(title=title)
    for i, name in enumerate(header):
        table.add_column(name, justify="right" if i else "left")
    for line in lines:
        table.add_row(*line)
    return table


def markdown_table(problem: Task, rows: Sequence[Judged], note: str) -> str:
    """For a README; the note says what made it."""
    header, *lines = table_rows(problem, rows)
    body = [header, tuple("---" if i == 0 else "---:" for i in range(len(header))), *lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in body) + f"\n\n{note}\n"


def results_of(
    problem: Task, labels: Sequence[str], missions: Sequence[Mission], rows: Sequence[Judged], told: Told
) -> Results:
    """One row an opponent and mission, as results that `allocenv compare` reads."""
    return Results(
        problem="task",
        instances=f"{problem.preset} ({problem.mode}), {told.instances}",
        objective=f"{'makespan' if problem.rules.makespan else 'net value, negative'}, lower is better",
        rows=[_row(problem, label, i, row, told.seed) for row in rows for i, label in enumerate(labels)],
        kinds={row.opponent: row.kind for row in rows},
        fingerprints={label: fingerprint(mission) for label, mission in zip(labels, missions, strict=True)},
        params={"preset": problem.preset, "mode": problem.mode},
        provenance={**provenance(), "command": told.command, "seed": told.seed},
    )


def _row(problem: Task, label: str, i: int, row: Judged, seed: int) -> Row:
    """Times and decisions are means over the missions: they are played side by side."""
    n = len(row.figures)
    figure = float(row.figures[i])
    return Row(
        contender=row.opponent, instance=label, start=math.nan, objective=figure if problem.rules.makespan else -figure,
        bound=-math.inf, decisions=round(row.decisions / n), legal=not row.illegal, wall=math.nan,
        cpu=row.seconds / n, seed=seed,
    )  # fmt: skip
