"""What `allocenv evaluate` does: instances, contenders, contest, checks of honesty, table, files."""

import itertools
import os
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from allocenv.agents.config import RunConfig, read_problem
from allocenv.agents.engines.choice import Choice
from allocenv.agents.run_files import RunFiles
from allocenv.agents.solvers import shipped_solvers
from allocenv.core.console import report_console
from allocenv.core.files import between_marks, write_atomically
from allocenv.core.fingerprint import fingerprint
from allocenv.core.instance_sets import full_name
from allocenv.core.kept import SHARDS, Kept
from allocenv.core.problem import Instance, Problem
from allocenv.core.provenance import code_fingerprint, provenance
from allocenv.core.results import ORACLE, Results, Row, write_results
from allocenv.core.solver import Entry, Solver
from allocenv.evaluate.contest import Contest, Entrant, PolicySolver, within
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
    reference: str | None = None
    arguments: tuple[str, ...] = ()
    choice: Choice = field(default_factory=Choice)


@dataclass(frozen=True)
class EvaluationJob:
    """The contest of an evaluation, for processes that have none of its files. It pickles."""

    problem: str
    wishes: Wishes
    chosen: tuple[tuple[str, Instance], ...]
    runs: tuple[RunFiles, ...]

    @classmethod
    def of(cls, problem: str, wishes: Wishes, chosen: Sequence[tuple[str, Instance]]) -> "EvaluationJob":
        """With what the runs hold. Raises ValueError."""
        return cls(problem, wishes, tuple(chosen), tuple(RunFiles.of(run) for run in wishes.agents))

    @property
    def key(self) -> str:
        """Of everything that decides the rows: settings, instances, weights, sources and versions."""
        told = self.wishes
        settings = (told.instances, told.against, told.seconds, sorted(told.params), told.seed, told.seeds)
        weights = [(run.name, run.files) for run in self.runs]
        instances = [(label, fingerprint(instance)) for label, instance in self.chosen]
        return fingerprint((self.problem, settings, instances, weights, code_fingerprint()))

    def prepare(self) -> Contest:
        """The contest, compiled and loaded."""
        with TemporaryDirectory() as folder:
            agents = tuple(str(run.unpack(Path(folder, str(i)))) for i, run in enumerate(self.runs))
            return _ready(self.problem, replace(self.wishes, agents=agents), self.chosen).contest


class Ready(NamedTuple):
    """A contest, loaded and compiled."""

    contest: Contest
    loading: float  # CPU seconds that its contenders took to load and compile


def run_evaluation(problem_name: str, wishes: Wishes, out: Path | None, readme: Path | None) -> Results:
    """Compare on a named instance set, print the table, write it where asked for."""
    if not 0 < wishes.seconds < 1e6:
        raise ValueError(f"--seconds: expected a positive number, got {wishes.seconds}.")
    if readme is not None:
        between_marks(readme, "", marks_of(problem_name))  # says what is wrong before anything is measured
    base = read_problem(problem_name, wishes.params)
    chosen = list(base.instance_set(wishes.instances))[: wishes.limit]
    console, kept = report_console(), None
    with console.status("compiling") as status:
        job = EvaluationJob.of(problem_name, wishes, chosen)
        if out is not None:
            kept = Kept(out / SHARDS, job.key, partial(console.print, soft_wrap=True, markup=False))
        alone = wishes.choice.engine == "local" and not (kept is not None and kept.folder.exists())
        ready, rows, warnings = _measure(job, kept, status.update)
    contest, instances = ready.contest, [instance for _, instance in chosen]
    warnings |= dict.fromkeys(_trained_on_these(contest.problem, instances, wishes.agents), TRAINED_ON_THESE)
    results = Results(
        problem=problem_name,
        instances=full_name(wishes.instances, _version_of(problem_name)),
        objective=f"{REGISTRY[problem_name].objective}, lower is better",
        rows=rows,
        kinds={name: each.kind for name, each in contest.rounds[-1].items()},
        warnings=warnings,
        fingerprints={label: fingerprint(instance) for label, instance in chosen},
        params=dict(text.split("=", 1) for text in wishes.params),
        provenance={**provenance(), "command": shlex.join(["allocenv", *wishes.arguments]), "seed": wishes.seed},
    )
    _report(results, contest, wishes.reference, out, readme)
    if kept is not None:
        kept.remove()
    if alone:  # other machines, and runs before this one, are not in this process's times
        console.print(f"All but the contenders: {overhead(rows, ready.loading):.1%} of the CPU time.")
    return results


def _version_of(problem_name: str) -> int:
    """Of the problem's instance sets."""
    version: int = import_module(f"{REGISTRY[problem_name].package}.instance_sets").VERSION
    return version


def marks_of(problem_name: str) -> str:
    """In README.md: <!-- NAME:start --> and <!-- NAME:end -->."""
    return f"{problem_name}-instances"


def _ready(
    problem_name: str,
    wishes: Wishes,
    chosen: Sequence[tuple[str, Instance]],
    show: Callable[[str], None] = lambda text: None,
) -> Ready:
    """Everybody with the limit, after those who use what they get have met with less; all is compiled and loaded."""
    problem = read_problem(problem_name, wishes.params).holding([instance for _, instance in chosen])
    problem.warm_up()
    solvers = _solvers(problem_name, problem, wishes)
    began = time.process_time()
    for name, (solver, _) in solvers.items():  # loads and compiles, so that nobody's time holds that
        show(f"{name} begins")
        solver(problem, chosen[0][1], SHORTER[0] * wishes.seconds, np.random.default_rng(wishes.seed))
    loading = time.process_time() - began
    rounds = [
        {
            name: Entrant(within(solver, share * wishes.seconds), kind, share * wishes.seconds)
            for name, (solver, kind) in solvers.items()
            if share == 1.0 or kind in _USES_TIME
        }
        for share in (*SHORTER, 1.0)
    ]
    return Ready(Contest(problem, chosen, rounds), loading)


def _measure(
    job: EvaluationJob, kept: Kept | None, show: Callable[[str], None]
) -> tuple[Ready, list[Row], dict[str, str]]:
    """The contest, all its rows, and who reads the future."""
    wishes, count = job.wishes, itertools.count(1)

    @cache
    def ready() -> Ready:
        return _ready(job.problem, wishes, job.chosen, show)

    def tell(row: Row) -> None:
        show(f"{next(count)}/{total} {row.instance}: {row.contender} {row.objective:.4f} in {row.wall:.2f} s")

    with wishes.choice.pool(job, lambda: ready().contest) as pool:  # a cluster gets ready while we do
        contest = ready().contest
        total = len(job.chosen) * wishes.seeds * sum(map(len, contest.rounds))
        show("looking for contenders that know the future")
        whole = {name: each.contender for name, each in contest.rounds[-1].items()}
        warnings = warnings_of(contest.problem, [instance for _, instance in job.chosen], whole, wishes.seed)
        show(f"0/{total}")
        return ready(), contest.held(pool, wishes.seed, wishes.seeds, tell, kept), warnings


def _report(results: Results, contest: Contest, reference: str | None, out: Path | None, readme: Path | None) -> None:
    console = report_console()
    console.print(terminal_table(results, reference))
    for name, why in results.warnings.items():
        console.print(f"Warning: {name} {why.lower()}: its figures do not count.")
    table = markdown_table(results, reference)
    if out is not None:
        best = min(
            (row for row in results.rows if row.instance == results.labels[0] and row.legal),
            key=lambda row: row.objective,
            default=None,
        )
        if best is not None:
            label, instance = contest.instances[0]
            entrants = [each[best.contender] for each in contest.rounds if best.contender in each]
            (chosen,) = (each.contender for each in entrants if each.limit == best.limit)
            picture = draw_plan(contest.problem, instance, chosen, out)
            results = replace(results, pictures={picture.name: f"The instance {label} under the best plan found."})
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
