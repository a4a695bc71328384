"""What does `allocenv evaluate storage --archive` do? Trace after trace, kept as it ends; then a table over all."""

import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from allocenv.core.console import report_console
from allocenv.core.fingerprint import fingerprint
from allocenv.core.kept import SHARDS, Kept, resumed
from allocenv.core.pool import Engine
from allocenv.core.provenance import code_fingerprint, provenance
from allocenv.core.results import Results, Row, kind_of, write_results
from allocenv.problems.storage.archive import ArchiveJob, Stored, listed, runs_of
from allocenv.problems.storage.evaluation import PARTS, find_policy, policy_names
from allocenv.problems.storage.evaluation_report import devices_text
from allocenv.problems.storage.evaluation_run import Wishes, expect_folder
from allocenv.problems.storage.trace_commands import Input

REFERENCE = "lru"  # whom improvements are over, where it takes part


class Line(NamedTuple):
    """A policy over all traces. Improvements are shares of the reference's mean latency."""

    policy: str
    normalised: float  # mean latency / Fast-Only, mean over traces
    improvement: float  # mean over traces
    worst: float
    worst_trace: str
    best_on: int  # traces on which no policy is better


def run_archive(url: str, read: Input, wishes: Wishes, out: Path, engine: Engine) -> bool:
    """Judge the policies on every trace and write the files into `out`; whether all could be read."""
    if wishes.part not in PARTS:
        raise ValueError(f"--part: expected one of {', '.join(PARTS)}, got {wishes.part!r}.")
    job = ArchiveJob(url, read, wishes.system(), policy_names(wishes.policies, wishes.part), wishes.seeds, wishes.part)
    expect_folder(out)
    stored, console = listed(url), report_console()
    kept = Kept(out / SHARDS, _key(job), lambda text: console.print(text, markup=False, soft_wrap=True))
    console.print(f"{len(stored)} traces; what is finished is kept in {kept.folder} until all are.", soft_wrap=True)
    results = _evaluated(job, stored, kept, engine, console)
    whole = {one.name: results[one.task] for one in stored if "runs" in results[one.task]}
    if not whole:
        raise ValueError(f"--archive: none of {len(stored)} traces could be read; see above.")
    console.print(_table(job, lines(job.policies, whole)))
    not_read = {one.name: results[one.task]["error"] for one in stored if one.name not in whole}
    told = {"archive": url, "policies": [line._asdict() for line in lines(job.policies, whole)], "not_read": not_read}
    versions = {one.name: one.version for one in stored if one.name in whole}
    written = write_results(results_of(job, whole, versions, told, wishes.arguments), out)
    console.print(f"Written: {', '.join(map(str, written))}", soft_wrap=True)
    if len(whole) < len(stored):
        console.print(f"Not read: {len(stored) - len(whole)}, see above; the same command tries only these again.")
        return False
    kept.remove()
    return True


def lines(policies: Sequence[str], results: dict[str, dict[str, Any]]) -> list[Line]:
    """The policies over all traces, the best first."""
    means = {name: runs_of(list(results.values()), name) for name in policies}
    reference = means[_reference(policies)]
    least, found = np.min(list(means.values()), axis=0), []
    for name, mean in means.items():
        gains = 1.0 - mean / reference
        worst = int(gains.argmin())
        best_on = int((mean <= least * (1 + 1e-12)).sum())
        found.append(
            Line(name, float(mean.mean()), float(gains.mean()), float(gains[worst]), list(results)[worst], best_on)
        )
    return sorted(found, key=lambda line: line.normalised)


def _reference(policies: Sequence[str]) -> str:
    return REFERENCE if REFERENCE in policies else policies[0]


def _key(job: ArchiveJob) -> str:
    """Of everything that decides what comes of a trace, but the trace itself."""
    files = [Path(name).read_bytes() for name in job.policies if name.endswith(".npz")]
    return fingerprint((job, files, code_fingerprint()))


def _evaluated(
    job: ArchiveJob, stored: Sequence[Stored], kept: Kept, engine: Engine, console: Console
) -> dict[str, dict[str, Any]]:
    """Task -> what came of it; a line is printed for each."""
    names, found = {one.task: one.name for one in stored}, {}
    with engine.pool(job) as pool:
        for results in resumed(pool, list(names), kept, lambda result: "runs" in result):
            for task, result in results.items():
                found[task] = result
                console.print(
                    f"{len(found)}/{len(stored)} {names[task]}: {_told(result)}", markup=False, soft_wrap=True
                )
    return found


def _told(result: dict[str, Any]) -> str:
    if "error" in result:
        return f"not read: {result['error']}"
    best = min(result["runs"], key=lambda run: float(run["mean"]))
    return f"{result['requests']:,} requests, best {best['policy']} {best['mean']:.1f} us"


def _table(job: ArchiveJob, found: Sequence[Line]) -> Table:
    system, seeds = job.system, f"{job.seeds} seed{'s' if job.seeds > 1 else ''}"
    title = f"{devices_text(system)}; moves {system.accounting}; {system.loop} loop; {seeds}"
    caption = f"Improvements: of the mean latency over {_reference(job.policies)}, trace by trace."
    table = Table("policy", title=title, caption=caption)
    for column in ("/ Fast-Only", "mean improvement", "worst", "best on"):
        table.add_column(column, justify="right")
    table.add_column("worst on")
    for line in found:
        table.add_row(
            line.policy, f"{line.normalised:.3f}", f"{line.improvement:+.1%}", f"{line.worst:+.1%}",
            f"{line.best_on}", line.worst_trace,
        )  # fmt: skip
    return table


def results_of(
    job: ArchiveJob,
    results: dict[str, dict[str, Any]],
    versions: dict[str, str],
    told: dict[str, Any],
    arguments: Sequence[str],
) -> Results:
    """Every run of every trace, as results that `allocenv compare` reads; a trace is an instance."""
    return Results(
        problem="storage",
        instances=f"archive, {job.part}, {devices_text(job.system)}, moves {job.system.accounting}",
        objective="mean latency / Fast-Only, lower is better",
        rows=[_row(name, run) for name, result in results.items() for run in result["runs"]],
        kinds={name: kind_of(name, find_policy(name).learnt) for name in job.policies},
        fingerprints=versions,
        provenance={**provenance(), "command": shlex.join(["allocenv", *arguments])},
        details={
            **told,
            "loop": job.system.loop,
            "traces": {
                name: {key: value for key, value in result.items() if key != "runs"} for name, result in results.items()
            },
        },
    )


def _row(trace: str, run: dict[str, Any]) -> Row:
    figures: dict[str, float] = {}
    for key, value in run.items():
        if isinstance(value, list):
            figures |= {f"{key}_{device}": each for device, each in enumerate(value)}
        elif key not in ("policy", "seed"):
            figures[key] = value
    return Row(
        contender=run["policy"], instance=trace, start=math.nan, objective=run["normalised"], bound=-math.inf,
        decisions=run["requests"], legal=True, wall=run["wall"], cpu=math.nan, seed=run["seed"], figures=figures,
    )  # fmt: skip
