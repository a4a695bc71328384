"""The wording of `allocenv plan task` and `evaluate task`; `planning_run.py` and `evaluation_run.py` do it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

Preset = Annotated[str, typer.Option(help="Whose rules: rbf, material, electric, almighty, dcmrta or heteromrta.")]
Seed = Annotated[int, typer.Option(min=0, help="Of all randomness.")]


def plan_command(
    context: typer.Context,
    input: Annotated[Path, typer.Option(help="A mission as JSON, or a table of entities (.csv) with --tasks.")],
    tasks: Annotated[Path | None, typer.Option(help="The table of tasks (.csv).")] = None,
    slots: Annotated[int | None, typer.Option(min=1, help="Tasks open at once, with tables; default 5.")] = None,
    preset: Preset = "rbf",
    horizon: Annotated[float | None, typer.Option(help="When the episode ends; default: as the preset.")] = None,
    seconds: Annotated[float, typer.Option(help="Time limit; ends early once proven optimal.")] = 5.0,
    out: Annotated[Path, typer.Option(help="Folder for plan.json, plan.csv and plan.png.")] = Path("out/task-plan"),
    learnt: Annotated[bool, typer.Option(help="Let the shipped policies take part.")] = False,
    seed: Seed = 0,
    table: Annotated[bool, typer.Option(help="Print the assignment.")] = True,
) -> None:
    """Plan a mission: teams, when each leaves and arrives, value and cost, a bound; what nobody can serve is told."""
    from allocenv.problems.task.planning_run import Wishes, run_plan

    wishes = Wishes(tasks, slots, preset, horizon, seconds, seed, table)
    run_plan(input, out, wishes, context.obj if learnt else None)


def evaluate_command(
    context: typer.Context,
    preset: Preset = "rbf",
    mode: Annotated[str, typer.Option(help="fixed, or paper: step for step as published.")] = "fixed",
    instances: Annotated[str, typer.Option(help="Named instance set; see `allocenv list task`.")] = "default",
    against: Annotated[str, typer.Option(help="Opponents, comma-separated; `quick`, or `all`.")] = "quick",
    agent: Annotated[
        list[str] | None, typer.Option("--agent", "--policies", help="Run folder of a training. Repeatable.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many instances.")] = None,
    seconds: Annotated[float, typer.Option(help="Of each whole-episode search, an instance.")] = 5.0,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for results.json, rows.csv and table.md.")] = None,
    readme: Annotated[
        Path | None, typer.Option(help="Write the table between this file's <!-- task:start/end --> marks.")
    ] = None,
) -> None:
    """Compare opponents on the same missions: what they earn, with intervals, and what a decision takes."""
    from allocenv.problems.task.evaluation_run import Wishes, run_evaluation

    runs = tuple(agent or ())
    wishes = Wishes(preset, mode, instances, against, runs, limit, seconds, seed, tuple(sys.argv[1:]))
    run_evaluation(wishes, out, readme, context.obj.of_run if runs else None)
