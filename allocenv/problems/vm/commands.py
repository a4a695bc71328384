"""`allocenv plan vm` and `allocenv check-plan vm`: real data in, a plan that can be carried out."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from allocenv.core.files import write_atomically
from allocenv.core.solver import Entry
from allocenv.planner import Found, plan
from allocenv.problems.vm.check_plan import check_plan, repaired, rules_for
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.export import STYLES, export_commands
from allocenv.problems.vm.formats import FORMATS, read_cluster
from allocenv.problems.vm.plan_file import Plan, make_plan, plan_table, read_plan, write_plan
from allocenv.problems.vm.planning import SOLVERS, moves_of
from allocenv.problems.vm.problem import VM
from allocenv.problems.vm.waves import HOST_CAP, WAVE_CAP

Learnt = Callable[[Any], Mapping[str, Entry]]  # problem -> trained policies that plan for it


def plan_command(
    context: typer.Context,
    input: Annotated[Path, typer.Option(help="Snapshot: ByteDance/VMR2L JSON, kubectl JSON, OpenB CSV, or CSV folder.")],
    max_moves: Annotated[int, typer.Option(min=1, help="Most migrations.")] = 50,
    time: Annotated[str, typer.Option(help="Wall time to plan, such as 5s, 500ms or 2m.")] = "5s",
    objective: Annotated[str, typer.Option(help="cpu:16, cpu:64x2, empty, 0.7*cpu:16 + 0.3*memory:64 ...")] = "cpu:16",
    goal: Annotated[float | None, typer.Option(help="Fewest moves that bring the objective this low.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for plan.json, plan.csv, curve.csv and before_after.png.")] = Path(
        "out/plan"
    ),
    wave_cap: Annotated[int, typer.Option(min=1, help="Most migrations at the same time.")] = WAVE_CAP,
    host_cap: Annotated[int, typer.Option(min=1, help="Most of them in and out of one host.")] = HOST_CAP,
    export: Annotated[str | None, typer.Option(help=f"Also write commands: {', '.join(STYLES)}.")] = None,
    format: Annotated[str | None, typer.Option(help=f"Of the input: {', '.join(FORMATS)}; default: detected.")] = None,
    learnt: Annotated[bool, typer.Option(help="Let the shipped two-stage policy take part.")] = False,
    seed: int = 0,
    quiet: Annotated[bool, typer.Option(help="Print no table.")] = False,
) -> None:
    """Plan migrations on a cluster snapshot: ordered, legal at each turn, in waves, with reasons."""
    console = Console()
    if export is not None and export not in STYLES:
        raise typer.BadParameter(f"expected one of {', '.join(STYLES)}, got {export!r}", param_hint="--export")
    seconds = parse_seconds(time)
    cluster = read_cluster(input, format)
    problem = VM.on(cluster, objective=objective, max_moves=max_moves, goal=goal)
    solvers = {**SOLVERS, **(context.obj(problem) if learnt and context.obj else {})}
    found = _with_progress(console, problem, cluster, seconds, seed, solvers)
    moves = [tuple(int(x) for x in move) for move in moves_of(problem, found.solution.actions)]
    document = make_plan(
        cluster, problem.rules, objective, moves, bound=found.bound, found_by=found.solution.found_by,
        wave_cap=wave_cap, host_cap=host_cap,
    )  # fmt: skip
    if not quiet:
        console.print(plan_table(document))
    written = write_plan(document, out) + _write_extras(document, problem, cluster, moves, out, export)
    console.print(_verdict(document, found))
    console.print(f"Written: {', '.join(str(path) for path in written)}", soft_wrap=True)


def check_plan_command(
    plan_file: Annotated[Path, typer.Argument(help="plan.json of `allocenv plan vm`.")],
    input: Annotated[Path, typer.Option(help="The snapshot of today.")],
    repair: Annotated[Path | None, typer.Option(help="Write what still holds as a new plan.")] = None,
    format: Annotated[str | None, typer.Option(help=f"Of the input: {', '.join(FORMATS)}; default: detected.")] = None,
) -> None:
    """Replay a plan against a newer snapshot and say which moves still hold. Exit status 1 where one does not."""
    console = Console()
    document = read_plan(plan_file)
    cluster = read_cluster(input, format)
    rules_for(document, cluster)
    verdicts = check_plan(document, cluster)
    failed = [verdict for verdict in verdicts if not verdict.legal]
    for verdict in failed:
        console.print(f"move {verdict.move.order}: {verdict.move.vm}: {verdict.detail}", soft_wrap=True)
    kept = repaired(document, verdicts)
    console.print(
        f"{len(verdicts) - len(failed)} of {len(verdicts)} moves still hold; "
        f"{document.objective} {kept.before:.4f} -> {kept.after:.4f} with those."
    )
    if repair is not None:
        console.print(f"Written: {', '.join(str(path) for path in write_plan(kept, repair))}", soft_wrap=True)
    if failed:
        raise typer.Exit(1)


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
        raise typer.BadParameter(f"expected a time such as 5s, 500ms or 2m, got {text!r}", param_hint="--time")
    return seconds


def _with_progress(
    console: Console, problem: VM, cluster: Cluster, seconds: float, seed: int, solvers: Mapping[str, Entry]
) -> Found:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(f"{cluster.n_pms} PMs, {cluster.n_vms} VMs: planning, at most {seconds:g} s")
        return plan(
            problem, cluster, seconds, seed, solvers=solvers,
            listener=lambda at, who, cost: progress.update(task, description=f"{problem.objective} {cost:.4f} by {who}"),
        )  # fmt: skip


def _write_extras(
    document: Plan, problem: VM, cluster: Cluster, moves: list[tuple[int, ...]], out: Path, export: str | None
) -> list[Path]:
    """The curve, the picture, and the commands where asked for."""
    folder = out if not out.suffix else out.parent
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


def _save_picture(problem: VM, cluster: Cluster, moves: list[tuple[int, ...]], path: Path) -> None:
    import io

    from allocenv.problems.vm.drawing import figure_before_after

    bin_of, variant_of = cluster.bin_of.copy(), cluster.variant_of.copy()
    for vm, pm, variant in moves:
        bin_of[vm], variant_of[vm] = pm, variant
    buffer = io.BytesIO()
    figure_before_after(cluster, problem.rules, cluster.moved(bin_of, variant_of)).savefig(buffer, format="png")
    write_atomically(path, buffer.getvalue())


def _verdict(document: Plan, found: Found) -> str:
    if not document.moves:
        done = f"Nothing to be gained: {document.objective} stays {document.before:.4f}"
    else:
        done = f"{document.objective} {document.before:.4f} -> {document.after:.4f} by {len(document.moves)} moves"
    if found.proven:
        optimal = "proven optimal"
    elif np.isfinite(found.bound):
        optimal = f"at most {document.after - found.bound:.4f} above the optimum"
    else:
        optimal = "no bound known"
    who = f", found by {document.found_by}" if document.moves else ""
    return f"{done}; {optimal}{who}; {found.seconds:.2f} s."
