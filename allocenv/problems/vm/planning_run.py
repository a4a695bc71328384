"""What `allocenv plan vm`, `check-plan vm` and `generate vm` do: read, plan with progress, write, say."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from allocenv.core.console import report_console
from allocenv.core.files import write_atomically
from allocenv.core.solver import Entry
from allocenv.planner import Found, plan, pruned
from allocenv.problems.vm.check_plan import check_plan, repaired
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.export import STYLES, export_commands
from allocenv.problems.vm.formats import read_cluster
from allocenv.problems.vm.formats.bytedance import write_bytedance
from allocenv.problems.vm.instances import calibrated
from allocenv.problems.vm.plan_file import Plan, make_plan, plan_table, read_plan, write_plan
from allocenv.problems.vm.planning import SOLVERS, moves_of
from allocenv.problems.vm.problem import VM
from allocenv.problems.vm.sources import MADE_UP

Learnt = Callable[[Any], Mapping[str, Entry]]  # problem -> trained policies that plan for it
Moves = list[tuple[int, int, int]]


@dataclass(frozen=True)
class Wishes:
    """The options of `allocenv plan vm`."""

    max_moves: int
    time: str
    objective: str
    goal: float | None
    wave_cap: int
    host_cap: int
    export: str | None
    format: str | None
    seed: int
    table: bool


def run_plan(input: Path, out: Path, wishes: Wishes, learnt: Learnt | None) -> None:
    """Plan and write the files into `out`."""
    console = report_console()
    if wishes.export is not None and wishes.export not in STYLES:
        raise ValueError(f"--export: expected one of {', '.join(STYLES)}, got {wishes.export!r}.")
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out: expected a folder, got {out}, which is a file.")
    seconds = parse_seconds(wishes.time)
    cluster = read_cluster(input, wishes.format)
    problem = VM.on(cluster, objective=wishes.objective, max_moves=wishes.max_moves, goal=wishes.goal)
    solvers = {**SOLVERS, **(learnt(problem) if learnt else {})}
    problem.warm_up()
    found = _with_progress(console, problem, cluster, seconds, wishes.seed, solvers)
    actions = pruned(problem, cluster, found.solution.actions)
    moves: Moves = [(int(vm), int(pm), int(v)) for vm, pm, v in moves_of(problem, actions)]
    document = make_plan(
        cluster,
        problem.rules,
        wishes.objective,
        moves,
        bound=found.bound,
        found_by=found.solution.found_by,
        wave_cap=wishes.wave_cap,
        host_cap=wishes.host_cap,
    )
    if wishes.table and moves:
        console.print(plan_table(document))
    written = write_plan(document, out) + _write_extras(document, problem, cluster, moves, out, wishes.export)
    console.print(_verdict(document, found), soft_wrap=True)
    console.print(f"Written: {', '.join(str(path) for path in written)}", soft_wrap=True)


def run_check(plan_file: Path, input: Path, repair: Path | None, format: str | None) -> bool:
    """Replay a plan on a snapshot; whether every move still holds."""
    console = Console()
    document = read_plan(plan_file)
    verdicts = check_plan(document, read_cluster(input, format))
    failed = [verdict for verdict in verdicts if not verdict.legal]
    for verdict in failed:
        console.print(f"move {verdict.move.order}: {verdict.status}: {verdict.detail}", soft_wrap=True)
    kept = repaired(document, verdicts)
    console.print(
        f"{len(verdicts) - len(failed)} of {len(verdicts)} moves still hold; "
        f"with those {document.objective} {kept.before:.4f} -> {kept.after:.4f}.",
        soft_wrap=True,
    )
    if repair is not None:
        console.print(f"Written: {', '.join(str(path) for path in write_plan(kept, repair))}", soft_wrap=True)
    return not failed


def run_generate(out: Path, machines: int, kind: str, seed: int) -> None:
    """Write a made-up cluster."""
    if kind not in MADE_UP:
        raise ValueError(f"--kind: expected one of {', '.join(MADE_UP)}, got {kind!r}.")
    cluster = calibrated(machines, np.random.default_rng(seed), MADE_UP[kind])
    write_atomically(out, write_bytedance(cluster))
    Console().print(f"Written: {out} ({cluster.n_pms} PMs, {cluster.n_vms} VMs)", soft_wrap=True)


def parse_seconds(text: str) -> float:
    """`5s`, `500ms`, `2m` or a plain number of seconds."""
    for unit, scale in (("ms", 1e-3), ("s", 1.0), ("m", 60.0)):
        if text.endswith(unit):
            number, factor = text.removesuffix(unit), scale
            break
    else:
        number, factor = text, 1.0
    try:
        seconds = float(number) * factor
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 1e6:
        raise ValueError(f"--time: expected a time such as 5s, 500ms or 2m, got {text!r}.")
    return seconds


def _with_progress(
    console: Console, problem: VM, cluster: Cluster, seconds: float, seed: int, solvers: Mapping[str, Entry]
) -> Found:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(f"{cluster.n_pms} PMs, {cluster.n_vms} VMs: planning, at most {seconds:g} s")

        def tell(at: float, who: str, cost: float) -> None:
            progress.update(task, description=f"{problem.objective} {cost:.4f} by {who}")

        return plan(problem, cluster, seconds, seed, solvers=solvers, listener=tell)


def _write_extras(
    document: Plan, problem: VM, cluster: Cluster, moves: Moves, out: Path, export: str | None
) -> list[Path]:
    """The curve, the picture, and the commands where asked for."""
    folder = out
    curve = "moves,objective\n" + "".join(f"{k},{value:.9g}\n" for k, value in enumerate(document.curve))
    write_atomically(folder / "curve.csv", curve)
    picture = folder / "before_after.png"
    _save_picture(problem, cluster, moves, picture)
    written = [folder / "curve.csv", picture]
    if export is not None:
        path = folder / f"commands.{export}.txt"
        write_atomically(path, export_commands(document, export))
        written.append(path)
    return written


def _save_picture(problem: VM, cluster: Cluster, moves: Moves, path: Path) -> None:
    from allocenv.problems.vm.drawing import figure_before_after

    bin_of, variant_of = cluster.bin_of.copy(), cluster.variant_of.copy()
    for vm, pm, variant in moves:
        bin_of[vm], variant_of[vm] = pm, variant
    buffer = BytesIO()
    figure_before_after(cluster, problem.rules, cluster.moved(bin_of, variant_of)).savefig(buffer, format="png")
    write_atomically(path, buffer.getvalue())


def _verdict(document: Plan, found: Found) -> str:
    if not document.moves:
        done = f"Nothing to be gained: {document.objective} stays {document.before:.4f}"
    else:
        done = f"{document.objective} {document.before:.4f} -> {document.after:.4f} by {len(document.moves)} moves"
    if found.proven:
        optimal = "proven optimal"
    elif 0 <= document.after - found.bound < abs(document.after):  # a looser bound says nothing
        optimal = f"at most {document.after - found.bound:.4f} above the optimum"
    else:
        optimal = "no bound known"
    who = f", found by {document.found_by}" if document.moves else ""
    return f"{done}; {optimal}{who}; {found.seconds:.2f} s."
