"""What `allocenv evaluate` does: instances, contenders, contest, checks of honesty, table, files."""

import os
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import numpy as np

from allocenv.agents.config import RunConfig, read_problem
from allocenv.agents.solvers import shipped_solvers
from allocenv.core.console import report_console
from allocenv.core.files import between_marks, write_atomically
from allocenv.core.fingerprint import fingerprint
from allocenv.core.instance_sets import full_name
from allocenv.core.problem import Instance, Problem
from allocenv.core.provenance import provenance
from allocenv.core.results import ORACLE, Results, Row, write_results
from allocenv.core.solver import Entry, Solver
from allocenv.evaluate.contest import Entrant, PolicySolver, contest, within
from allocenv.evaluate.honesty import TRAINED_ON_THESE, HiddenFuture, trained_on, warnings_of
from allocenv.evaluate.pictures import draw_plan
from allocenv.evaluate.table import markdown_table, terminal_table
from allocenv.heuristics import HEURISTICS
from allocenv.planner import as_solver
from allocenv.problems import REGISTRY

SHORTER = (0.01, 0.1)  # shares of the limit that those are also given who use what they get, for quality against time
_USES_TIME = ("search", "exact", "planner")
_KINDS = {"quick": "rule", "anytime": "search", "exact": "exact", "none": "rule"}


@dataclass(frozen=True)
class Wishes:
    """The options of `allocenv evaluate` on instance sets."""

    instances: str = "default"
    against: str = "all"
    agents: tuple[str, ...] = ()
    seconds: float = 1.0
    limit: int | None = None
    params: tuple[str, ...] = ()
    seed: int = 0
    seeds: int = 1
    processes: int = 1
    reference: str | None = None
    arguments: tuple[str, ...] = ()


def run_evaluation(problem_name: str, wishes: Wishes, out: Path | None, readme: Path | None) -> Results:
    """Compare on a named instance set, print the table, write it where asked for."""
    if not 0 < wishes.seconds < 1e6:
        raise ValueError(f"--seconds: expected a positive number, got {wishes.seconds}.")
    if readme is not None:
        between_marks(readme, "", marks_of(problem_name))  # says what is wrong before anything is measured
    base = read_problem(problem_name, wishes.params)
    chosen = list(base.instance_set(wishes.instances))[: wishes.limit]
    instances = [instance for _, instance in chosen]
    problem = base.holding(instances)
    problem.warm_up()
    solvers = _solvers(problem_name, problem, wishes)
    loading = _first_calls(problem, instances[0], solvers, wishes)
    rows, warnings = _measure(problem, chosen, solvers, wishes)
    kinds = {name: kind for name, (_, kind) in solvers.items()}
    warnings |= dict.fromkeys(_trained_on_these(problem, instances, wishes.agents), TRAINED_ON_THESE)
    results = Results(
        problem=problem_name,
        instances=full_name(wishes.instances, _version_of(problem_name)),
        objective=f"{REGISTRY[problem_name].objective}, lower is better",
        rows=rows,
        kinds=kinds,
        warnings=warnings,
        fingerprints={label: fingerprint(instance) for label, instance in chosen},
        params=dict(text.split("=", 1) for text in wishes.params),
        provenance={**provenance(), "command": shlex.join(["allocenv", *wishes.arguments]), "seed": wishes.seed},
    )
    _report(results, problem, chosen, solvers, wishes, out, readme)
    report_console().print(f"All but the contenders: {overhead(rows, loading):.1%} of the CPU time.")
    return results


def _version_of(problem_name: str) -> int:
    """Of the problem's instance sets."""
    version: int = import_module(f"{REGISTRY[problem_name].package}.instance_sets").VERSION
    return version


def marks_of(problem_name: str) -> str:
    """In README.md: <!-- NAME:start --> and <!-- NAME:end -->."""
    return f"{problem_name}-instances"


def _first_calls(
    problem: Problem, instance: Instance, solvers: Mapping[str, tuple[Solver, str]], wishes: Wishes
) -> float:
    """Let everybody load and compile, so that nobody's time holds that; the CPU seconds it took."""
    began = time.process_time()
    with report_console().status("") as status:
        for name, (solver, _) in solvers.items():
            status.update(f"{name} begins")
            solver(problem, instance, SHORTER[0] * wishes.seconds, np.random.default_rng(wishes.seed))
    return time.process_time() - began


def _measure(
    problem: Problem,
    chosen: Sequence[tuple[str, Instance]],
    solvers: Mapping[str, tuple[Solver, str]],
    wishes: Wishes,
) -> tuple[list[Row], dict[str, str]]:
    """All rows, the shorter limits among them, and who reads the future."""
    console = report_console()
    with console.status("") as status:

        def tell(row: Row) -> None:
            status.update(f"{row.instance}: {row.contender} {row.objective:.4f} in {row.wall:.2f} s")

        instances = [instance for _, instance in chosen]
        whole = {name: within(solver, wishes.seconds) for name, (solver, _) in solvers.items()}
        status.update("looking for contenders that know the future")
        warnings = warnings_of(problem, instances, whole, wishes.seed)
        rows = []
        for share in (*SHORTER, 1.0):
            limit = share * wishes.seconds
            entrants = {
                name: Entrant(within(solver, limit), kind, limit)
                for name, (solver, kind) in solvers.items()
                if share == 1.0 or kind in _USES_TIME
            }
            rows += contest(problem, chosen, entrants, wishes.seed, tell, wishes.seeds, wishes.processes)
    return rows, warnings


def _report(
    results: Results,
    problem: Problem,
    chosen: Sequence[tuple[str, Instance]],
    solvers: Mapping[str, tuple[Solver, str]],
    wishes: Wishes,
    out: Path | None,
    readme: Path | None,
) -> None:
    console = report_console()
    console.print(terminal_table(results, wishes.reference))
    for name, why in results.warnings.items():
        console.print(f"Warning: {name} {why.lower()}: its figures do not count.")
    table = markdown_table(results, wishes.reference)
    if out is not None:
        best = min(
            (row for row in results.rows if row.instance == results.labels[0] and row.legal),
            key=lambda row: row.objective,
            default=None,
        )
        if best is not None:
            solver = within(solvers[best.contender][0], min(best.limit, wishes.seconds))
            picture = draw_plan(problem, chosen[0][1], solver, out)
            results = replace(
                results, pictures={picture.name: f"The instance {chosen[0][0]} under the best plan found."}
            )
        written = [*write_results(results, out), *(out / name for name in results.pictures), out / "table.md"]
        write_atomically(out / "table.md", table)
        console.print(f"Written: {', '.join(map(str, written))}", soft_wrap=True)
    if readme is not None:
        write_atomically(readme, between_marks(readme, table, marks_of(results.problem)))


def overhead(rows: Sequence[Row], loading: float) -> float:
    """The share of this process's CPU time so far, with its children's, that contenders took neither to load nor to
    work."""
    return 1 - (loading + sum(row.cpu for row in rows)) / sum(os.times()[:4])


def _trained_on_these(problem: Problem, instances: Sequence[Instance], agents: Sequence[str]) -> list[str]:
    """Which runs began episodes on what they are now judged on."""
    found = []
    for run in map(Path, agents):
        config = RunConfig.load(run / "config.toml")
        if trained_on(problem, config.make_problem(), instances, config.seed):
            found.append(config.label(run))
    return found


def _solvers(problem_name: str, problem: Problem, wishes: Wishes) -> dict[str, tuple[Solver, str]]:
    """Name -> solver and kind: the problem's own, the planner, shipped and trained agents."""
    shipped = shipped_solvers(problem_name, problem)
    # Where something is hidden, the planner is wise in hindsight: it keeps the best of what it tried.
    planner = f"{ORACLE}planner" if isinstance(problem, HiddenFuture) else "planner"
    entries = {
        "random": Entry(PolicySolver(HEURISTICS["random"]), "none"),
        **problem.solvers,
        planner: Entry(as_solver(problem.solvers), "none"),
        **shipped,
    }
    names = [name.strip() for name in wishes.against.split(",") if name.strip()]
    names = list(entries) if wishes.against == "all" else list(dict.fromkeys(names))
    unknown = [name for name in names if name not in entries]
    if unknown:
        raise ValueError(f"--against: expected solvers among {', '.join(entries)}; got {unknown[0]!r}.")
    found = {}
    for name in names:
        kind = (
            "agent"
            if name in shipped or entries[name].learnt
            else "planner"
            if name == planner
            else _KINDS[entries[name].part]
        )
        found[name] = entries[name].solver, "oracle" if name.startswith(ORACLE) else kind
    for agent in wishes.agents:
        from allocenv.agents.trained import learnt_solver  # loads SB3, which takes a second

        name, solver = learnt_solver(agent, problem_name, problem)
        found[name] = solver, "agent"
    if not found:
        raise ValueError("--against: expected at least one solver, or a run as --agent.")
    return found
