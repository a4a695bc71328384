"""Who earns most from the same learners, allocating one action at a time? `allocenv evaluate budget --agent RUN`.

Every policy plays each learner once, and nobody chooses among trials in hindsight: outcomes are random, so the
best of many would be luck. Figures are compared learner by learner.
"""

import csv
import io
import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from allocenv.core.arrays import Array
from allocenv.core.batch import Batch
from allocenv.core.console import report_console
from allocenv.core.files import write_atomically
from allocenv.core.policy import Policy
from allocenv.problems.budget.instance_sets import JUDGE_SEED
from allocenv.problems.budget.planning_run import expect_folder
from allocenv.problems.budget.policies import even, oracle_index, posterior_index, signal_index
from allocenv.problems.budget.problem import Budget
from allocenv.problems.budget.replay import interval

RULES: dict[str, Policy] = {
    "even": even,
    "posterior_index": posterior_index,
    "signal_index": signal_index,
    "oracle_index": oracle_index,
}
AGAINST = "posterior_index"
COLUMNS = (
    "policy", "gain, points", "over even", f"over {AGAINST}", "effective prompts", "effective rollouts", "hard solved",
)  # fmt: skip
FIGURES = ("gain", "prompts_effective", "rollouts_effective", "hard_solved")

Trained = Callable[[str, Budget], tuple[str, Policy]]  # run folder, problem -> name and policy


@dataclass(frozen=True)
class Wishes:
    """The options of the contest."""

    runs: tuple[str, ...]
    learners: int
    arguments: tuple[str, ...]


def run_contest(wishes: Wishes, trained: Trained, out: Path) -> None:
    """Judge runs and rules, print the table, write policies.csv and .json into `out`."""
    problem = Budget()
    policies = {**RULES, **dict(trained(run, problem) for run in wishes.runs)}
    expect_folder(out)
    console = report_console()
    found = {}
    with console.status("") as status:
        for name, policy in policies.items():
            status.update(f"{name}: {wishes.learners} learners")
            found[name] = played(problem, policy, wishes.learners)
    console.print(_table(problem, found, wishes.learners))
    write_atomically(out / "policies.csv", _csv(found))
    write_atomically(out / "policies.json", _json(found, shlex.join(["allocenv", *wishes.arguments])))
    console.print(f"Written: {out / 'policies.csv'}, {out / 'policies.json'}", soft_wrap=True)


def played(problem: Budget, policy: Policy, learners: int) -> dict[str, Array]:
    """`FIGURES` [learners] each at the end of one episode of each learner, the same learners for every policy."""
    batch = Batch(problem, learners)
    batch.load([problem.draw(np.random.default_rng([JUDGE_SEED, 1, i])) for i in range(learners)])
    while (batch.state.updates_left > 0).any() and (batch.state.steps_left > 0).any():
        batch.step(policy(batch))
    metrics = [problem.metrics(batch.state, b) for b in range(learners)]
    return {name: np.array([figures[name] for figures in metrics]) for name in FIGURES}


def ahead(one: Array, other: Array) -> tuple[float, float, float]:
    """Gain over another's in percent of it, learners in pairs: mean and 95 % interval."""
    return interval(100.0 * (one - other) / other.mean())


def _table(problem: Budget, found: Mapping[str, Mapping[str, Array]], learners: int) -> Table:
    table = Table(
        title=f"budget: {learners} learners, {problem.updates} updates of {problem.batch} x {problem.group} rollouts",
        caption="Gain: points of mean success rate; over: percent of the other's gain, 95 % intervals over learners.",
    )
    for i, column in enumerate(COLUMNS):
        table.add_column(column, justify="right" if i else "left", no_wrap=i == 0)
    for name in _ranked(found):
        figures = found[name]
        over = [
            "{:+.1f} [{:+.1f}, {:+.1f}]".format(*ahead(figures["gain"], found[x]["gain"])) for x in ("even", AGAINST)
        ]
        shares = [f"{figures[x].mean():.3f}" for x in FIGURES[1:]]
        table.add_row(name, f"{figures['gain'].mean():.3f}", *over, *shares)
    return table


def _ranked(found: Mapping[str, Mapping[str, Array]]) -> list[str]:
    return sorted(found, key=lambda name: -float(found[name]["gain"].mean()))


def _csv(found: Mapping[str, Mapping[str, Array]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("policy", "learner", *FIGURES))
    for name, figures in found.items():
        for i, row in enumerate(zip(*(figures[x].tolist() for x in FIGURES), strict=True)):
            writer.writerow((name, i, *row))
    return text.getvalue()


def _json(found: Mapping[str, Mapping[str, Array]], command: str) -> str:
    policies = {
        name: {
            "gain": float(found[name]["gain"].mean()),
            **{f"over_{x}_percent": ahead(found[name]["gain"], found[x]["gain"]) for x in ("even", AGAINST)},
            **{x: float(found[name][x].mean()) for x in FIGURES[1:]},
        }
        for name in _ranked(found)
    }
    return json.dumps({"command": command, "policies": policies}, indent=1) + "\n"
