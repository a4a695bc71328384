"""What does `allocenv plan budget` do? Read a history, allocate, print, write."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from allocenv.core.console import report_console
from allocenv.core.files import write_atomically
from allocenv.problems.budget.allocator import Allocator
from allocenv.problems.budget.charts import figure_of_plan, png
from allocenv.problems.budget.history import History, read_history
from allocenv.problems.budget.history_plan import ESTIMATORS, Plan, make_plan
from allocenv.problems.budget.planning_report import plan_csv, plan_json, rates_table, summary_table, verdicts


@dataclass(frozen=True)
class Wishes:
    """The options of `allocenv plan budget`."""

    total: int
    rule: str
    value: str
    low: int
    up: int
    costs: bool
    forget: float | None

    def allocator(self, n_prompts: int) -> Allocator:
        """One that knows nothing yet. Raises ValueError."""
        if self.rule not in ESTIMATORS:
            raise ValueError(f"--rule: expected one of {', '.join(ESTIMATORS)}, got {self.rule!r}.")
        return Allocator(self.low, self.up, self.value, ESTIMATORS[self.rule], self.forget, n_prompts)

    def check(self, n: int) -> None:
        """Raise ValueError where no allocation of n prompts has this total."""
        if not self.low * n <= self.total <= self.up * n:
            fewer = "; --low 0 lets prompts be left out" if self.total < self.low * n else ""
            raise ValueError(
                f"--total: expected {self.low * n} to {self.up * n} rollouts for {n} prompts "
                f"with {self.low} to {self.up} each, got {self.total}{fewer}."
            )


def run_plan(path: Path, wishes: Wishes, out: Path) -> None:
    """Plan for the history and write the files into `out`."""
    wishes.allocator(1)
    expect_folder(out)
    console = report_console()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"reading {path}")
        history = read_history(path)
        wishes.check(len(history.ids))
        progress.update(task, description=f"learning {len(history.prompt):,} visits")
        plan = make_plan(history, wishes.allocator(len(history.ids)), wishes.total, wishes.costs)
    console.print(summary_table(plan, _title(path, history, wishes)))
    console.print(rates_table(plan))
    for line in verdicts(plan):
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    written = _write(plan, path, wishes, out)
    console.print(f"Written: {', '.join(str(one) for one in written)}", soft_wrap=True)


def expect_folder(out: Path) -> None:
    """Raise ValueError where `out` is a file."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out: expected a folder, got {out}, which is a file.")


def _title(path: Path, history: History, wishes: Wishes) -> str:
    spent = f"the tokens of {wishes.total:,} equal rollouts" if wishes.costs else f"{wishes.total:,} rollouts"
    return (
        f"{escape(path.name)}: {len(history.ids):,} prompts, {len(history.prompt):,} visits, "
        f"{int(history.rollouts.sum()):,} rollouts; {spent}, {wishes.low} to {wishes.up} a prompt; {wishes.rule}"
    )


def _write(plan: Plan, path: Path, wishes: Wishes, out: Path) -> list[Path]:
    settings: dict[str, Any] = {"history": str(path), **wishes.__dict__}
    files: dict[str, str | bytes] = {
        "allocation.csv": plan_csv(plan),
        "allocation.json": plan_json(plan, settings),
        "rollouts_by_rate.png": png(figure_of_plan(plan.rate, plan.rollouts, plan.uniform.rollouts / len(plan.ids))),
    }
    for name, content in files.items():
        write_atomically(out / name, content)
    plan.allocator.save(out / "allocator.npz")
    return [*(out / name for name in files), out / "allocator.npz"]
