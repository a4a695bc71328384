"""How do opponents fare on the same missions? Means with intervals over missions, and what a decision takes."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from rich.table import Table
from scipy.stats import bootstrap

from allocenv.core.arrays import Array
from allocenv.core.policy import Policy
from allocenv.problems.task.mission import Mission
from allocenv.problems.task.opponents import Played, opponents_of, play_policy
from allocenv.problems.task.problem import Task

RESAMPLES = 2000
HEADERS = ("opponent", "{} (95 %)", "of the bound", "ms a decision", "decisions", "cpu s")


class Interval(NamedTuple):
    """A mean and its 95 % interval (bootstrap over missions)."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        alone = self.low == self.high
        return f"{self.mean:.2f}" if alone else f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}]"


class Judged(NamedTuple):
    """One opponent on n missions."""

    opponent: str
    what: str
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
    return _judged(problem, name, opponent.what, opponent.play(problem, missions, seed, seconds))


def judged_policy(problem: Task, missions: Sequence[Mission], name: str, policy: Policy) -> Judged:
    """Let a trained policy play all missions."""
    return _judged(problem, name, "a trained agent", play_policy(problem, missions, policy, lambda: -1))


def _judged(problem: Task, name: str, what: str, played: Played) -> Judged:
    figures = played.objectives if problem.rules.makespan else 0.0 - played.objectives
    return Judged(name, what, figures, played.seconds, played.decisions, played.illegal)


def interval(values: Array, seed: int = 0) -> Interval:
    """Of one value a mission."""
    mean = float(np.mean(values))
    if len(values) < 2 or np.ptp(values) == 0 or not np.isfinite(values).all():
        return Interval(mean, mean, mean)
    found = bootstrap((values,), np.mean, n_resamples=RESAMPLES, rng=np.random.default_rng(seed)).confidence_interval
    return Interval(mean, float(found.low), float(found.high))


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


def results_csv(labels: Sequence[str], rows: Sequence[Judged]) -> str:
    """One line a mission and opponent."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("opponent", "instance", "figure", "ms_a_decision"))
    for row in rows:
        for label, figure in zip(labels, row.figures, strict=True):
            writer.writerow((row.opponent, label, float(figure), row.ms))
    return text.getvalue()


def results_json(problem: Task, labels: Sequence[str], rows: Sequence[Judged], command: str) -> str:
    """Everything."""
    content = {
        "preset": problem.preset, "mode": problem.mode, "command": command, "instances": list(labels),
        "rows": [
            {
                "opponent": row.opponent, "what": row.what, "mean": interval(row.figures)._asdict(),
                "figures": row.figures.tolist(), "cpu_seconds": row.seconds, "decisions": row.decisions,
                "illegal": row.illegal,
            }
            for row in rows
        ],
    }  # fmt: skip
    return json.dumps(content, indent=1, default=float) + "\n"
