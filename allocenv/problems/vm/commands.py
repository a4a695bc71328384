"""The wording of `allocenv plan vm`, `check-plan vm` and `generate vm`. What they do is in `planning_run.py`."""

from pathlib import Path
from typing import Annotated

import typer

FORMATS = "bytedance, kubernetes, openb or table"
STYLES = "kubectl, virtctl or openstack"


def plan_command(
    context: typer.Context,
    input: Annotated[
        Path, typer.Option(help="Snapshot: ByteDance/VMR2L JSON, kubectl JSON, OpenB CSV, or a folder of CSVs.")
    ],
    max_moves: Annotated[int, typer.Option(min=1, help="Most migrations.")] = 50,
    time: Annotated[str, typer.Option(help="Wall time to plan, such as 5s, 500ms or 2m.")] = "5s",
    objective: Annotated[
        str, typer.Option(help="What to minimise: cpu:16, cpu:64x2, empty, 0.7*cpu:16 + 0.3*memory:64 ...")
    ] = "cpu:16",
    goal: Annotated[
        float | None, typer.Option(help="Fewest moves that bring the objective this low, instead of the lowest.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for plan.json, plan.csv, curve.csv and before_after.png.")] = Path(
        "out/plan"
    ),
    wave_cap: Annotated[int, typer.Option(min=1, help="Most migrations at the same time.")] = 5,
    host_cap: Annotated[int, typer.Option(min=1, help="Most of them in and out of one host.")] = 2,
    export: Annotated[str | None, typer.Option(help=f"Also write the commands: {STYLES}.")] = None,
    format: Annotated[str | None, typer.Option(help=f"Of the input: {FORMATS}; default: detected.")] = None,
    learnt: Annotated[bool, typer.Option(help="Let the shipped two-stage policy take part.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of all randomness.")] = 0,
    table: Annotated[bool, typer.Option(help="Print the moves.")] = True,
) -> None:
    """Plan migrations on a cluster snapshot: ordered, each legal at its turn, in waves, with gains and reasons."""
    from allocenv.problems.vm.planning_run import Wishes, run_plan

    wishes = Wishes(max_moves, time, objective, goal, wave_cap, host_cap, export, format, seed, table)
    run_plan(input, out, wishes, context.obj if learnt else None)


def check_plan_command(
    plan_file: Annotated[Path, typer.Argument(help="plan.json of `allocenv plan vm`.")],
    input: Annotated[Path, typer.Option(help="The snapshot of today.")],
    repair: Annotated[Path | None, typer.Option(help="Write what still holds as a new plan.")] = None,
    format: Annotated[str | None, typer.Option(help=f"Of the input: {FORMATS}; default: detected.")] = None,
) -> None:
    """Replay a plan against a newer snapshot and say which moves still hold. Exit status 1 where one does not."""
    from allocenv.problems.vm.planning_run import run_check

    if not run_check(plan_file, input, repair, format):
        raise typer.Exit(1)


def generate_command(
    out: Annotated[Path, typer.Option(help="The file, in the ByteDance/VMR2L JSON schema.")],
    machines: Annotated[int, typer.Option(min=1, help="Physical machines.")] = 280,
    kind: Annotated[
        str, typer.Option(help="calibrated, roomy, crowded, half_vms, double_vms or mixed_pms.")
    ] = "calibrated",
    seed: Annotated[int, typer.Option(min=0, help="Of all randomness.")] = 0,
) -> None:
    """Write a made-up cluster, calibrated to ByteDance's."""
    from allocenv.problems.vm.planning_run import run_generate

    run_generate(out, machines, kind, seed)
