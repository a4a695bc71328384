"""How are the figures of rules told? Terminal, README, results, with intervals over seeds."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table

from allocenv.core.arrays import Array
from allocenv.core.fingerprint import fingerprint
from allocenv.core.provenance import provenance
from allocenv.core.results import Results, Row, kind_of
from allocenv.problems.budget.replay import Figures, Setting, interval
from allocenv.problems.budget.rules import RULES

COLUMNS = (
    "rule", "gap closed %", "value a prompt", "effective prompts", "effective rollouts", "hard solved", "largest group",
    "used",
)  # fmt: skip


class Case(NamedTuple):
    """What was replayed."""

    name: str
    part: str
    prompts: int
    visits: int
    how: Setting
    seeds: int

    @property
    def title(self) -> str:
        """All of it in one line."""
        return (
            f"{self.name}, {self.part}: {self.prompts} prompts, {self.visits - self.how.warm_up} passes after "
            f"{self.how.warm_up} of equal groups; {self.how.group} rollouts a prompt; "
            f"{self.seeds} seed{'s' if self.seeds > 1 else ''}"
        )


def terminal_table(case: Case, found: Mapping[str, Figures]) -> Table:
    """One line a rule, the largest value first."""
    caption = (
        "Intervals: 95 %, over seeds. Gap: between uniform and the oracle, in published value. "
        "Hard: p < 0.1, solved at least once in a pass. Used: share of the rollouts."
    )
    table = Table(title=case.title, caption=caption)
    for i, column in enumerate(COLUMNS):
        table.add_column(column, justify="right" if i else "left", no_wrap=i == 0)
    for name in ranked(found):
        table.add_row(name, *_cells(found[name]))
    return table


def ranked(found: Mapping[str, Figures]) -> list[str]:
    """Rules by value, the largest first."""
    return sorted(found, key=lambda name: -float(found[name].value.mean()))


def markdown_table(case: Case, found: Mapping[str, Figures], command: str) -> str:
    """For a README: the figures, and the command that made them."""
    lines = ["| " + " | ".join(COLUMNS) + " | source |", "| --- |" + " ---: |" * (len(COLUMNS) - 1) + " --- |"]
    lines += [f"| {name} | {' | '.join(_cells(found[name]))} | {RULES[name].source} |" for name in ranked(found)]
    return "\n".join(lines) + f"\n\n`{command}`; {case.title}; 95 % intervals over seeds.\n"


def results_of(
    case: Case, found: Mapping[str, Figures], command: str, rates: Array, courses: Mapping[str, Any]
) -> Results:
    """Every figure of every seed, as results that `allocenv compare` reads; the run is the one instance."""
    return Results(
        problem="budget",
        instances=f"{case.name}, {case.part}",
        objective="published value of a prompt's group, negative, lower is better",
        rows=[_row(case, name, found[name], seed) for name in ranked(found) for seed in range(case.seeds)],
        kinds={name: kind_of(name, False) for name in found},
        fingerprints={case.name: fingerprint(rates)},
        provenance={**provenance(), "command": command},
        details={
            "prompts": case.prompts, "visits": case.visits, "setting": case.how._asdict(),
            "courses": {
                name: {field: array.tolist() for field, array in course._asdict().items()}
                for name, course in courses.items()
            },
        },
    )  # fmt: skip


def _row(case: Case, name: str, f: Figures, seed: int) -> Row:
    figures = {figure: float(values[seed]) for figure, values in f._asdict().items()}
    passes = case.visits - case.how.warm_up
    return Row(
        contender=name, instance=case.name, start=math.nan, objective=-figures["value"], bound=-math.inf,
        decisions=passes * case.prompts, legal=figures["spent"] <= 1 + 1e-9, wall=math.nan, cpu=math.nan, seed=seed,
        figures=figures,
    )  # fmt: skip


def _cells(f: Figures) -> tuple[str, ...]:
    return (
        _told(100 * f.gap, 1), _told(f.value, 5), _told(f.prompts, 3), _told(f.rollouts, 3), _told(f.hard_solved, 1),
        f"{np.max(f.most):.0f}", f"{f.spent.mean():.1%}",
    )  # fmt: skip


def _told(values: Array, digits: int) -> str:
    """`0.763 ± 0.002`; the mean alone of one seed or where all agree."""
    middle, low, high = interval(values)
    half = (high - low) / 2
    return f"{middle:.{digits}f}" + (f" ± {half:.{digits}f}" if half > 1e-9 * max(abs(middle), 1) else "")
