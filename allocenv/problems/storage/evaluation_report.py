"""How are the figures of policies told? Terminal, README, results; the rules stand beside them always."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table

from allocenv.core.fingerprint import fingerprint
from allocenv.core.provenance import provenance
from allocenv.core.results import Results, Row, kind_of
from allocenv.problems.storage.evaluation import (
    Interval,
    Judged,
    Sized,
    by_policy,
    find_policy,
    measured_from,
    over_seeds,
)
from allocenv.problems.storage.rules import ACCOUNTING_MEANS, System
from allocenv.problems.storage.simulation import Summary
from allocenv.problems.storage.trace import Trace

COLUMNS = (
    "policy", "mean us", "/ Fast-Only", "p50 us", "p99 us", "load %", "on fast", "promoted", "demoted", "GB written",
    "DWPD", "M requests/s",
)  # fmt: skip


class Case(NamedTuple):
    """What was judged, and by which rules."""

    trace: Trace
    system: System
    part: str
    seeds: int

    @property
    def title(self) -> str:
        """Trace, part, devices with capacities, accounting, loop and seeds in one line."""
        s, n = self.system, len(self.trace) - measured_from(self.trace, self.part)
        which = "the whole trace" if self.part == "whole" else "the second half"
        return (
            f"{self.trace.name}: {n:,} requests ({which}); {devices_text(s)}; moves {s.accounting}; "
            f"{s.loop} loop{_limits(s)}; {self.seeds} seed{'s' if self.seeds > 1 else ''}"
        )

    def described(self) -> dict[str, Any]:
        """The same for a machine."""
        s = self.system
        return {
            "trace": self.trace.name, "requests": len(self.trace), "pages": self.trace.n_pages,
            "page_bytes": self.trace.page_bytes, "part": self.part, "seeds": self.seeds,
            "devices": [d.name for d in s.devices], "fast_shares": list(s.shares),
            "capacity_pages": s.rules(self.trace).capacity.tolist(), "accounting": s.accounting,
            "accounting_means": ACCOUNTING_MEANS[s.accounting], "loop": s.loop, "budget_mb_s": s.budget_mb_s,
            "endurance": s.endurance,
        }  # fmt: skip


def devices_text(system: System) -> str:
    """`H 10 %, M`: devices, and what share of the pages each but the last holds."""
    held = [f"{d.name} {100 * share:g} %" for d, share in zip(system.devices, system.shares, strict=False)]
    return ", ".join([*held, system.devices[-1].name])


def _limits(system: System) -> str:
    budget = "" if system.budget_mb_s is None else f"; migration up to {system.budget_mb_s:g} MB/s"
    return budget + ("" if system.endurance is None else f"; {system.endurance:.0%} of the warranted writes")


def terminal_table(case: Case, rows: Sequence[Judged]) -> Table:
    """One line a policy, the least mean latency first; figures are means over seeds."""
    table = Table(title=case.title, caption=f"Moves {case.system.accounting}: {_rule(case.system)}.")
    for i, column in enumerate(COLUMNS):
        table.add_column(column, justify="right" if i else "left", no_wrap=i == 0)
    for name, of in by_policy(rows).items():
        table.add_row(*_cells(name, of))
    return table


def _rule(system: System) -> str:
    return ACCOUNTING_MEANS[system.accounting]


def _cells(name: str, of: Sequence[Judged]) -> tuple[str, ...]:
    def mean(what: str) -> float:
        return over_seeds(of, lambda s: float(getattr(s, what))).mean

    def each(what: str, pattern: str, scale: float = 1.0) -> str:
        """The figure of each device."""
        values = np.mean([getattr(row.summary, what) for row in of], axis=0)  # [D]
        return "/".join(pattern.format(scale * value) for value in values)

    def interval(what: str, digits: int) -> str:
        return told(over_seeds(of, lambda s: float(getattr(s, what))), digits)

    return (
        name, interval("mean", 2), interval("normalised", 3), f"{mean('p50'):.1f}", f"{mean('p99'):.1f}",
        each("load", "{:.0f}", 100), f"{mean('on_fastest'):.1%}", f"{mean('promoted'):,.0f}", f"{mean('demoted'):,.0f}",
        each("written_gb", "{:.3g}"), each("dwpd", "{:.2g}"),
        f"{over_seeds(of, speed).mean / 1e6:.3g}",
    )  # fmt: skip


def told(value: Interval, digits: int) -> str:
    """`4.21 ± 0.03`; of one seed, or where all agree but for rounding, the mean alone."""
    agree = math.isnan(value.half) or value.half <= 1e-9 * abs(value.mean)
    return f"{value.mean:.{digits}f}" + ("" if agree else f" ± {value.half:.{digits}f}")


def speed(s: Summary) -> float:
    """Requests simulated and decided per second of wall time."""
    return s.requests / max(s.wall, 1e-9)


def size_table(case: Case, curve: Sequence[Sized]) -> Table:
    """Mean latency / Fast-Only by policy and share."""
    shares = sorted({point.share for point in curve})
    table = Table("policy", title=f"Mean latency / Fast-Only by share of the pages on {case.system.devices[0].name}")
    for share in shares:
        table.add_column(f"{100 * share:g} %", justify="right")
    for name, values in curves(curve).items():
        table.add_row(name, *(f"{value:.3f}" for value in values))
    return table


def curves(curve: Sequence[Sized]) -> Mapping[str, list[float]]:
    """Policy -> its normalised means by rising share."""
    found: dict[str, list[float]] = {}
    for point in sorted(curve, key=lambda one: one.share):
        found.setdefault(point.policy, []).append(point.summary.normalised)
    return found


def markdown_table(case: Case, rows: Sequence[Judged], command: str) -> str:
    """For a README: the figures that decide, and the command that made them."""
    lines = [
        "| policy | mean latency µs | / Fast-Only | p99 µs | on fast | pages moved | M requests/s |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, of in by_policy(rows).items():
        moved = over_seeds(of, lambda s: s.promoted + s.demoted).mean
        lines.append(
            f"| {name} | {told(over_seeds(of, lambda s: s.mean), 2)} "
            f"| {told(over_seeds(of, lambda s: s.normalised), 3)} | {over_seeds(of, lambda s: s.p99).mean:.1f} "
            f"| {over_seeds(of, lambda s: s.on_fastest).mean:.1%} | {moved:,.0f} "
            f"| {over_seeds(of, speed).mean / 1e6:.2g} |"
        )
    means = f"moves {case.system.accounting}: {_rule(case.system)}"
    plus = "; ± is half the 95 % interval over seeds" if case.seeds > 1 else ""
    return "\n".join(lines) + f"\n\n`{command}`; {case.title} ({means}){plus}.\n"


def results_of(case: Case, rows: Sequence[Judged], command: str, source: Mapping[str, Any]) -> Results:
    """Every run with every figure as results that `allocenv compare` reads; the trace is the one instance."""
    return Results(
        problem="storage",
        instances=f"{case.trace.name}, {case.part}, {devices_text(case.system)}, moves {case.system.accounting}",
        objective="mean latency in microseconds, lower is better",
        rows=[_row(case, row) for row in rows],
        kinds={row.policy: kind_of(row.policy, find_policy(row.policy).learnt) for row in rows},
        fingerprints={case.trace.name: fingerprint(case.trace.requests)},
        provenance={**provenance(), "command": command},
        details={**case.described(), "source": dict(source)},
    )


def _row(case: Case, judged: Judged) -> Row:
    s = judged.summary
    return Row(
        contender=judged.policy, instance=case.trace.name, start=math.nan, objective=s.mean, bound=-math.inf,
        decisions=s.requests, legal=True, wall=s.wall, cpu=judged.cpu, seed=judged.seed,
        figures=_flat(s, len(case.system.devices)),
    )  # fmt: skip


def sizes_csv(case: Case, curve: Sequence[Sized]) -> str:
    """One line a point of the size curve."""
    n = len(case.system.devices)
    return _csv([{"policy": p.policy, "fast_share": p.share, **_flat(p.summary, n)} for p in curve])


def _flat(s: Summary, devices: int) -> dict[str, float]:
    flat: dict[str, float] = {}
    for name, value in s._asdict().items():
        flat.update({f"{name}_{d}": value[d] for d in range(devices)} if isinstance(value, tuple) else {name: value})
    return flat


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
