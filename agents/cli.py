"""The command line. Heavy imports happen inside the commands: `--help` answers at once."""

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from allocenv.problems import REGISTRY

app = typer.Typer(
    name="allocenv",
    help="Allocation problems: train agents, compare them honestly, plan for real data.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

EPISODES = "-episodes"  # `evaluate storage-episodes`: the environment's episodes, where `evaluate storage` is another
GROUPS = {
    "evaluate": "Compare policies honestly: the same data, the same rules, intervals.",
    "plan": "Real data in, a plan that can be carried out, with its bound and who found it.",
    "check-plan": "Replay a plan against newer data and say what still holds.",
    "generate": "Write made-up data as a file that `plan` reads.",
}
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="key=value over the config, e.g. train.learning_rate=1e-4.")
]

Engine = Annotated[str, typer.Option(help="local, or ray: the same on a cluster.")]
Address = Annotated[str | None, typer.Option(help="Of a Ray cluster; default: Ray on this machine.")]
Processes = Annotated[
    int | None, typer.Option(min=1, help="Side by side; results are the same. [one; with --engine ray all cores]")
]


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="A config, such as configs/vm/two_stage.toml.")],
    set_: Overrides = None,
    seed: Annotated[int | None, typer.Option(help="Over the config's seed.")] = None,
    out: Annotated[Path, typer.Option(help="Root of the run folders.")] = Path("runs"),
    resume: Annotated[bool, typer.Option(help="Go on where a run of the same name stopped.")] = True,
    progress: bool = True,
) -> None:
    """Train an agent; a run that was stopped or killed goes on exactly where it was."""
    from allocenv.agents.config import RunConfig
    from allocenv.agents.train import train as run_training
    from allocenv.evaluate.held_out import HeldOut, opponents

    overrides = list(set_ or []) + ([f"seed={seed}"] if seed is not None else [])
    settings = RunConfig.load(config, overrides)
    judge: Any
    if settings.agent == "game_ppo":
        from allocenv.agents.games import HeldOutGame

        judge, lines = HeldOutGame(settings), {}
    else:
        problem = settings.make_problem()
        problem.warm_up()  # or the opponents would pay for compiling
        judge = HeldOut(problem)
        lines = opponents(judge, {"greedy": 1.0, "annealing": 0.1, "exact": 5.0})
    result = run_training(settings, settings.folder(out), progress, resume, judge, lines)
    typer.echo(f"{'Finished' if result.finished else 'Stopped'}: {result.folder} (best: {result.best or result.last})")
    if not result.finished:
        raise typer.Exit(130)


@app.command()
def bench(
    problem: Annotated[str, typer.Argument(help="A problem (see `allocenv list`), or `engines`.")],
    bar: Annotated[list[str] | None, typer.Option(help="Only this bar. Repeatable.")] = None,
    out: Annotated[Path, typer.Option(help="Where the figures are written.")] = Path("out/bench"),
    against: Annotated[
        Path | None, typer.Option(help="An earlier PROBLEM.json: tell what moved, as ratios, and which bars were lost.")
    ] = None,
) -> None:
    """Measure what the problem promises; exit status 1 where a bar is missed. Run it on an idle machine."""
    from allocenv.agents.bench import run_bench

    if not run_bench(problem, bar or [], out, against):
        raise typer.Exit(1)


@app.command()
def warm(
    problems: Annotated[list[str] | None, typer.Argument(help="Of these problems; see `allocenv list`. [all]")] = None,
) -> None:
    """Compile kernels, about a minute a problem; later starts find them on disk."""
    from allocenv.problems import PROBLEMS

    for name in problems or list(REGISTRY):
        problem = PROBLEMS.find(name)
        typer.echo(f"{name}: compiling, once on this machine ...")
        problem().warm_up()


@app.command()
def demo(out: Annotated[Path, typer.Option(help="Where everything is written.")] = Path("out/demo")) -> None:
    """Train briefly, compare with heuristics, search and the optimum, plan, and draw the result."""
    from allocenv.agents.demo import run_demo

    run_demo(out)


@app.command(name="list")
def list_(problem: Annotated[str | None, typer.Argument(help="Say more about this one.")] = None) -> None:
    """Problems, agents, solvers, instance sets and shipped weights."""
    from allocenv.agents.listing import print_all, print_problem

    if problem is None:
        print_all()
    else:
        print_problem(problem)


@app.command()
def show(
    run: Annotated[Path, typer.Argument(help="A run folder, or a folder of them.")] = Path("runs"), port: int = 6006
) -> None:
    """Open TensorBoard on a run (on this machine only)."""
    import subprocess

    if not run.exists():
        raise ValueError(f"Expected a run folder, got {run}, which is not there.")
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(run), "--port", str(port)]
    raise typer.Exit(subprocess.call(command))


@app.command()
def curve(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    out: Annotated[Path, typer.Option(help="A PNG file.")] = Path("out/curve.png"),
) -> None:
    """Draw a run's learning curve, with the opponents as lines."""
    from allocenv.agents.curve import draw_curve

    draw_curve(run, out)
    typer.echo(f"Written: {out}")


@app.command()
def watch(
    what: Annotated[str, typer.Argument(help="A run folder, or a problem.")],
    solver: Annotated[str, typer.Option(help="Of the problem, where no run is given.")] = "greedy",
    instances: Annotated[str, typer.Option(help="The set whose first instance is shown.")] = "default",
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value over the problem's parameters.")] = None,
    frames: Annotated[int, typer.Option(min=2, max=2000, help="At most so many pictures.")] = 60,
    fps: Annotated[float, typer.Option(min=0.1, max=50, help="Pictures a second.")] = 4.0,
    seconds: Annotated[float, typer.Option(min=0.001, help="Work a solver may do.")] = 1.0,
    out: Annotated[Path, typer.Option(help="A GIF file.")] = Path("out/episode.gif"),
) -> None:
    """Draw an episode as an animation."""
    from allocenv.agents.watch import watch as draw

    typer.echo(draw(what, solver, instances, tuple(set_ or []), frames, fps, seconds, out))
    typer.echo(f"Written: {out}")


exports = typer.Typer(help="Write learnt policies for use elsewhere.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(exports, name="export")


@exports.callback()
def _offer_converters(context: typer.Context) -> None:
    """Problems cannot import torch: hand their commands what writes their policies with it."""

    def converter(style: str) -> Any:
        from allocenv.agents.export_policy import CONVERTERS

        return CONVERTERS[style]

    context.obj = converter


@exports.command(name="weights")
def export_weights(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    name: Annotated[str, typer.Option(help="Of the weights and their card, such as vm_two_stage.")],
    out: Annotated[Path, typer.Option(help="Folder.")] = Path("agents/pretrained"),
    which: Annotated[str, typer.Option(help="Checkpoint: best, last, or its name.")] = "best",
    only: Annotated[
        list[str] | None,
        typer.Option(help="A parameter that must be as in training for the weights to be offered. Repeatable."),
    ] = None,
) -> None:
    """Write a run's weights as safetensors with a card: config, versions, seed, figures."""
    from allocenv.agents.export import export_run

    typer.echo(f"Written: {export_run(run, which, name, out, only or [])}")


def evaluate_instances(
    context: typer.Context,
    instances: Annotated[str, typer.Option(help="Named instance set; see `allocenv list PROBLEM`.")] = "default",
    against: Annotated[str, typer.Option(help="Solvers, comma-separated, or `all`.")] = "all",
    agent: Annotated[list[str] | None, typer.Option(help="Run folder. Repeatable.")] = None,
    seconds: Annotated[
        float, typer.Option(help="Work a solver may do on an instance: seconds of the reference machine.")
    ] = 1.0,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many instances.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value over the problem's parameters.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The first seed of all randomness.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="How many.")] = 1,
    processes: Processes = None,
    engine: Engine = "local",
    address: Address = None,
    reference: Annotated[
        str | None, typer.Option(help="With whom all are compared; default: the best that knows no future.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for results.json, rows.csv, table.md and pictures; what is finished is kept there."),
    ] = None,
    readme: Annotated[Path | None, typer.Option(help="Write the table between this file's marks.")] = None,
) -> None:
    """Compare rules, search, exact solver and agents on the same fixed instances of this problem.

    The same command gives the same results; only times differ. Killed, it goes on where it was, given
    --out. Exit status 1 where a contender's figures do not count: a plan is illegal, a policy knows the future
    without saying so (`oracle_`), an agent was trained on these.
    """
    from allocenv.agents.engines.choice import Choice

    choice = Choice(engine, address, processes)
    from allocenv.agents.evaluation import Wishes, run_evaluation

    problem = (context.info_name or "").removesuffix(EPISODES)
    wishes = Wishes(
        instances, against, tuple(agent or []), seconds, limit, tuple(set_ or []), seed, seeds, reference,
        tuple(sys.argv[1:]), choice,
    )  # fmt: skip
    results = run_evaluation(problem, wishes, out, readme)
    if results.warnings or not all(row.legal for row in results.rows):
        raise typer.Exit(1)


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders that `allocenv evaluate --out` wrote.")],
    reference: Annotated[str | None, typer.Option(help="With whom all are compared.")] = None,
    html: Annotated[Path, typer.Option(help="One page with all tables, charts and pictures.")] = Path(
        "out/report.html"
    ),
    markdown: Annotated[Path | None, typer.Option(help="Also a Markdown file of the tables.")] = None,
    readme: Annotated[Path | None, typer.Option(help="Write each table between this file's marks.")] = None,
) -> None:
    """Tables in the terminal, as Markdown, and a self-contained page of what evaluations found."""
    from allocenv.agents.comparison import run_comparison

    run_comparison(runs, reference, html, markdown, readme)


def data(context: typer.Context) -> None:
    """Where real data is looked for, what is there, its licence, and how to get it; and what reads and writes it."""
    if context.invoked_subcommand is None:
        from allocenv.agents.listing import print_data

        print_data()


class _Evaluate(typer.core.TyperGroup):
    """`evaluate PROBLEM` with options that only the comparison on fixed instances has means that one."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        own, fixed = (self.commands.get(f"{args[0]}{suffix}") for suffix in ("", EPISODES))
        if own is not None and fixed is not None:
            asked = {text.split("=")[0] for text in args[1:] if text.startswith("--")}
            known, others = ({name for each in command.params for name in each.opts} for command in (own, fixed))
            if asked - known and asked - known <= others:
                args = [f"{args[0]}{EPISODES}", *args[1:]]
        return super().resolve_command(ctx, args)


def _mount_problem_commands() -> None:
    """`allocenv plan PROBLEM` and the like, worded by each problem for its own data in its `commands.py`.

    A problem with an `evaluate_command` keeps the comparison on fixed instances beside it.
    """
    for group, text in GROUPS.items():
        kind = _Evaluate if group == "evaluate" else typer.core.TyperGroup
        sub = typer.Typer(cls=kind, help=text, no_args_is_help=True, rich_markup_mode=None)
        for name, line in REGISTRY.items():
            own = _supplied(line.package, f"{group.replace('-', '_')}_command")
            if own is not None:
                sub.command(name)(own)
            if group == "evaluate":
                sub.command(f"{name}{EPISODES}" if own is not None else name)(evaluate_instances)
        sub.callback()(_offer_learnt)
        app.add_typer(sub, name=group)
    on_data = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
    on_data.callback()(data)
    for line in REGISTRY.values():
        for name, command in (_supplied(line.package, "DATA_COMMANDS") or {}).items():
            on_data.command(name)(command)
    app.add_typer(on_data, name="data")


def _supplied(package: str, name: str) -> Any:
    """What a problem's `commands.py` holds under this name, or None: not every problem has every command."""
    if find_spec(f"{package}.commands") is None:
        return None
    return getattr(import_module(f"{package}.commands"), name, None)


def _offer_learnt(context: typer.Context) -> None:
    """Problems cannot import agents: hand their commands a way to trained policies."""
    from allocenv.agents.offer import Learnt

    context.obj = Learnt(context.invoked_subcommand or "")


def _mount_exports() -> None:
    """`allocenv export PROBLEM`, where a problem has policies that run outside Python."""
    for name, line in REGISTRY.items():
        command = _supplied(line.package, "export_command")
        if command is not None:
            exports.command(name)(command)


_mount_problem_commands()
_mount_exports()


def main() -> None:
    """Run the command line; a user's error is one clear line."""
    try:
        app()
    except (ValueError, FileNotFoundError, NotADirectoryError, PermissionError) as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
