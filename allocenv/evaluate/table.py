"""The comparison table: one line a contender, for the terminal, for Markdown and for the report."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from rich.table import Table

from allocenv.core.arrays import Array
from allocenv.core.provenance import machine
from allocenv.core.results import Results
from allocenv.core.statistics import Interval, improvement, iqm_interval, mean_interval

HEADERS = (
    "contender", "kind", "objective (95 %)", "gap to best", "IQM of gaps (95 %)", "against {}", "better than it",
    "best on", "proven", "decisions", "wall s", "cpu s", "peak MB",
)  # fmt: skip


README = ("contender", "kind", "objective (95 %)", "gap to best", "against {}", "best on", "proven", "wall s", "cpu s")


class Line(NamedTuple):
    """A contender over all instances."""

    contender: str
    kind: str
    objective: Interval
    gap: float  # mean objective over the mean best known, less 1
    iqm: Interval  # interquartile mean of the gaps of single instances, shares of the mean best known
    difference: Interval  # of the objective to the reference, paired by instance
    better: Interval  # probability of being the better one on an instance
    won: float  # share of instances on which nobody was better
    proven: int
    decisions: float
    wall: float  # mean seconds
    cpu: float
    peak_mb: float
    legal: bool


def by_instance(results: Results, contender: str, what: str = "objective") -> Array:
    """A figure of the contender, [instances, seeds]."""
    at = {(row.instance, row.seed): getattr(row, what) for row in results.rows if row.contender == contender}
    return np.array([[at[label, seed] for seed in results.seeds] for label in results.labels], np.float64)


def best_known(results: Results) -> Array:
    """Of each instance the lowest objective of a plan that counts, [instances]; NaN where there is none."""
    best = dict.fromkeys(results.labels, np.nan)
    for row in results.rows:
        if row.legal and row.contender not in results.warnings:
            best[row.instance] = float(np.fmin(best[row.instance], row.objective))
    return np.array(list(best.values()))


def gaps(results: Results, contender: str) -> Array:
    """What it lies above the best known, [instances, seeds], in shares of the mean best known."""
    best = best_known(results)
    scale = abs(float(np.nanmean(best))) if np.isfinite(best).any() else 1.0
    return (by_instance(results, contender) - best[:, None]) / (scale or 1.0)


def reference_of(results: Results, wanted: str | None = None) -> str:
    """With whom all others are compared: the best of those that count and know no future, unless one is wanted.

    Raises:
        ValueError: the wanted one took no part.
    """
    names = results.contenders
    if wanted is not None:
        if wanted not in names:
            raise ValueError(f"--reference: expected one of {', '.join(names)}, got {wanted!r}.")
        return wanted
    fair = [n for n in names if results.kinds.get(n) != "oracle" and n not in results.warnings] or names
    return min(fair, key=lambda name: float(by_instance(results, name).mean()))


def lines(results: Results, reference: str | None = None) -> list[Line]:
    """Summaries in order of the mean objective, best first."""
    results = results.final()
    theirs = _units(by_instance(results, reference_of(results, reference)))
    found = [_line(results, name, theirs) for name in results.contenders]
    return sorted(found, key=lambda line: line.objective.mean)


def _units(values: Array) -> Array:
    """What intervals are over, of values [instances, seeds]: instances, or of a single one its seeds."""
    units: Array = values.mean(axis=1) if len(values) > 1 else values[0]
    return units


def _line(results: Results, name: str, theirs: Array) -> Line:
    rows = [row for row in results.rows if row.contender == name]
    ours, above = _units(by_instance(results, name)), gaps(results, name)
    return Line(
        contender=name,
        kind=results.kinds.get(name, "rule"),
        objective=mean_interval(ours),
        gap=float(above.mean()),
        iqm=iqm_interval(above),
        difference=mean_interval(ours - theirs),
        better=improvement(ours, theirs),
        won=float(np.mean(above <= 1e-9)),
        proven=sum(row.objective <= row.bound + 1e-9 for row in rows),
        decisions=float(np.mean([row.decisions for row in rows])),
        wall=float(np.mean([row.wall for row in rows])),
        cpu=float(np.mean([row.cpu for row in rows])),
        peak_mb=float(np.max([row.peak_mb for row in rows])),
        legal=all(row.legal for row in rows),
    )


def headers(results: Results, reference: str | None = None) -> tuple[str, ...]:
    """Of the columns of `cells`."""
    return tuple(header.format(reference_of(results.final(), reference)) for header in HEADERS)


def named(line: Line, warnings: Mapping[str, str]) -> str:
    """The contender, and loudly why its figures do not count."""
    why = [*([] if line.legal else ["ILLEGAL"]), *([warnings[line.contender]] if line.contender in warnings else [])]
    return f"{line.contender} ({', '.join(why)})" if why else line.contender


def cells(line: Line, results: Results) -> tuple[str, ...]:
    """One line as text."""
    n = len(results.labels) * len(results.seeds)
    difference = f"{line.difference.mean:+.4f} [{line.difference.low:+.4f}, {line.difference.high:+.4f}]"
    return (
        named(line, results.warnings),
        line.kind,
        str(line.objective),
        f"{100 * line.gap:.2f} %",
        f"{100 * line.iqm.mean:.2f} [{100 * line.iqm.low:.2f}, {100 * line.iqm.high:.2f}] %",
        difference,
        f"{100 * line.better.mean:.0f} %",
        f"{100 * line.won:.0f} %",
        f"{line.proven}/{n}",
        f"{line.decisions:.1f}",
        f"{line.wall:.3g}",
        f"{line.cpu:.3g}",
        f"{line.peak_mb:.3g}",
    )


def title_of(results: Results) -> str:
    """Problem, instances and seeds in one line."""
    seeds = f", {len(results.seeds)} seeds" if len(results.seeds) > 1 else ""
    n = len(results.labels)
    counted = f"{n} instance{'s' if n > 1 else ''}{seeds}"
    return f"{results.problem}, {results.instances}: {counted}; {results.objective}"


def terminal_table(results: Results, reference: str | None = None) -> Table:
    """For `rich`."""
    table = Table(title=title_of(results))
    for i, header in enumerate(headers(results, reference)):
        table.add_column(header, justify="left" if i < 2 else "right", no_wrap=i == 0)
    for line in lines(results, reference):
        table.add_row(*cells(line, results))
    return table


def markdown_table(results: Results, reference: str | None = None) -> str:
    """For a README, with what makes the figures checkable below."""
    shown = [HEADERS.index(header) for header in README]
    found = [headers(results, reference), *(cells(line, results) for line in lines(results, reference))]
    head, *body = ([row[i] for i in shown] for row in found)
    body = [head, ["---" if i < 2 else "---:" for i in range(len(shown))], *body]
    text = "\n".join(f"| {' | '.join(row)} |" for row in body)
    seeds = f" with {len(results.seeds)} seeds" if len(results.seeds) > 1 else ""
    measured = results.provenance.get("machine") or machine()
    n = len(results.labels)
    limits = any(np.isfinite(row.limit) for row in results.rows)
    note = (
        f"`{results.command}`; {n} instance{'s' if n > 1 else ''}{seeds}, 95 % bootstrap intervals over "
        f"{'instances' if n > 1 else 'seeds'}; {'limits are those of the counted clock, ' if limits else ''}"
        f"wall and CPU time are measured; {measured}."
    )
    return f"{text}\n\n{note}\n"
