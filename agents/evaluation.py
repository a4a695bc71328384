"""What `allocenv evaluate` does: instances, contenders, contest, table."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from allocenv.agents.config import read_problem
from allocenv.agents.solvers import learnt_solver, shipped_solvers
from allocenv.core.console import report_console
from allocenv.core.files import between_marks, write_atomically
from allocenv.core.problem import Problem
from allocenv.core.solver import Entry
from allocenv.evaluate.contest import Contender, PolicySolver, Row, contest, within
from allocenv.evaluate.table import markdown_table, terminal_table, write_rows
from allocenv.heuristics import HEURISTICS
from allocenv.planner import as_solver


def run_evaluation(
    problem_name: str,
    instances: str,
    against: str,
    agents: Sequence[str],
    seconds: float,
    limit: int | None,
    params: Sequence[str],
    seed: int,
    out: Path | None,
    readme: Path | None,
    arguments: Sequence[str],
) -> list[Row]:
    """Compare on a named instance set, print the table, write it where asked for."""
    if not 0 < seconds < 1e6:
        raise ValueError(f"--seconds: expected a positive number, got {seconds}.")
    base = read_problem(problem_name, params)
    chosen = list(base.instance_set(instances))[:limit]
    problem = base.holding([instance for _, instance in chosen])
    contenders = _contenders(problem_name, problem, against, agents, seconds)
    console = report_console()
    problem.warm_up()
    with console.status("") as status:
        rows = contest(
            problem,
            chosen,
            contenders,
            seed,
            lambda row: status.update(f"{row.instance}: {row.contender} {row.objective:.4f} in {row.wall:.2f} s"),
        )
    console.print(terminal_table(rows, f"{problem_name}, {instances}: {len(chosen)} instances, {seconds:g} s each"))
    table = markdown_table(rows, shlex.join(["allocenv", *arguments]))
    if out is not None:
        write_rows(rows, out)
        write_atomically(out / "table.md", table)
        console.print(f"Written: {out}/rows.csv, rows.json, table.md", soft_wrap=True)
    if readme is not None:
        write_atomically(readme, between_marks(readme, table))
    return rows


def _contenders(
    problem_name: str, problem: Problem, against: str, agents: Sequence[str], seconds: float
) -> Mapping[str, Contender]:
    """Name -> contender: the problem's solvers, the planner, shipped and trained agents."""
    entries = {
        "random": Entry(PolicySolver(HEURISTICS["random"]), "none"),
        **problem.solvers,
        "planner": Entry(as_solver(problem.solvers), "none"),
        **shipped_solvers(problem_name, problem),
    }
    names = [name.strip() for name in against.split(",") if name.strip()] if against != "all" else list(entries)
    unknown = [name for name in names if name not in entries]
    if unknown:
        raise ValueError(f"--against: expected solvers among {', '.join(entries)}; got {unknown[0]!r}.")
    found = {name: within(entries[name].solver, seconds) for name in names}
    for agent in agents:
        name, solver = learnt_solver(agent, problem_name, problem)
        found[name] = within(solver, seconds)
    if not found:
        raise ValueError("--against: expected at least one solver, or a run as --agent.")
    return found
