"""The comparison table: one line a contender, for the terminal, for Markdown, and as files."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.table import Table

from allocenv.core.files import write_atomically
from allocenv.evaluate.contest import Row, contenders_of, machine
from allocenv.evaluate.statistics import Interval, mean_interval


class Line(NamedTuple):
    """A contender over all instances."""

    contender: str
    objective: Interval
    gap: float  # mean objective over the mean best known, less 1
    won: float  # share of instances on which nobody was better
    proven: int
    decisions: float
    wall: float  # mean seconds
    cpu: float
    legal: bool


def lines(rows: Sequence[Row]) -> list[Line]:
    """Summaries in order of the mean objective, best first."""
    best = _best_known(rows)
    found = [_line(name, [row for row in rows if row.contender == name], best) for name in contenders_of(rows)]
    return sorted(found, key=lambda line: line.objective.mean)


def _best_known(rows: Sequence[Row]) -> Mapping[str, float]:
    """Per instance the lowest objective of a legal plan; nan where there is none."""
    best = dict.fromkeys((row.instance for row in rows), np.nan)
    for row in rows:
        if row.legal:
            best[row.instance] = float(np.fmin(best[row.instance], row.objective))
    return best


def _line(name: str, rows: Sequence[Row], best: Mapping[str, float]) -> Line:
    above = np.array([row.objective - best[row.instance] for row in rows])
    scale = abs(float(np.mean([best[row.instance] for row in rows])))
    return Line(
        contender=name,
        objective=mean_interval([row.objective for row in rows]),
        gap=float(above.mean()) / (scale or 1.0),
        won=float(np.mean(above <= 1e-9)),
        proven=sum(row.objective <= row.bound + 1e-9 for row in rows),
        decisions=float(np.mean([row.decisions for row in rows])),
        wall=float(np.mean([row.wall for row in rows])),
        cpu=float(np.mean([row.cpu for row in rows])),
        legal=all(row.legal for row in rows),
    )


HEADERS = ("contender", "objective (95 %)", "gap to best", "best on", "proven", "decisions", "wall s", "cpu s")


def cells(line: Line, n_instances: int) -> tuple[str, ...]:
    """One line as text."""
    name = line.contender if line.legal else f"{line.contender} (ILLEGAL)"
    return (
        name,
        str(line.objective),
        f"{100 * line.gap:.2f} %",
        f"{100 * line.won:.0f} %",
        f"{line.proven}/{n_instances}",
        f"{line.decisions:.1f}",
        f"{line.wall:.3g}",
        f"{line.cpu:.3g}",
    )


def terminal_table(rows: Sequence[Row], title: str) -> Table:
    """For `rich`."""
    table = Table(title=title)
    for i, header in enumerate(HEADERS):
        table.add_column(header, justify="left" if i == 0 else "right")
    for line in lines(rows):
        table.add_row(*cells(line, _n_instances(rows)))
    return table


def markdown_table(rows: Sequence[Row], command: str) -> str:
    """For a README, with what makes the figures checkable below."""
    body = [HEADERS, tuple("---" if i == 0 else "---:" for i in range(len(HEADERS)))]
    body += [cells(line, _n_instances(rows)) for line in lines(rows)]
    text = "\n".join(f"| {' | '.join(row)} |" for row in body)
    note = f"`{command}`; {_n_instances(rows)} instances, 95 % bootstrap intervals over instances; {machine()}."
    return f"{text}\n\n{note}\n"


def write_rows(rows: Sequence[Row], folder: Path) -> None:
    """rows.csv and rows.json: every contender on every instance."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0].to_dict()))
    writer.writeheader()
    writer.writerows(row.to_dict() for row in rows)
    write_atomically(folder / "rows.csv", text.getvalue())
    plain = [{k: (None if v == -np.inf else v) for k, v in row.to_dict().items()} for row in rows]
    write_atomically(folder / "rows.json", json.dumps({"machine": machine(), "rows": plain}, indent=1))


def _n_instances(rows: Sequence[Row]) -> int:
    return len({row.instance for row in rows})
