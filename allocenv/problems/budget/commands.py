"""The wording of `allocenv plan budget` and `allocenv evaluate budget`.

What they do is in `planning_run.py` and `evaluation_run.py`.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer


def plan_command(
    history: Annotated[
        Path, typer.Option(help="CSV or JSON lines of prompt_id, correct, rollouts and, where known, tokens.")
    ],
    total: Annotated[int, typer.Option(min=1, help="Rollouts to share among the prompts of the history.")],
    rule: Annotated[str, typer.Option(help="posterior (a Beta for each prompt) or rasch (one common ability).")] = (
        "posterior"
    ),
    value: Annotated[str, typer.Option(help="What is maximised; see `allocenv list budget`.")] = "grpo",
    low: Annotated[int, typer.Option(min=0, help="Fewest rollouts of a prompt; 0 lets prompts be left out.")] = 2,
    up: Annotated[int, typer.Option(min=1, help="Most rollouts of a prompt.")] = 128,
    costs: Annotated[
        bool, typer.Option("--costs", help="Spend the tokens that TOTAL equal rollouts would take, by their lengths.")
    ] = False,
    forget: Annotated[
        float | None, typer.Option(help="What counts keep at each visit (posterior), default 0.9; lower: newer counts.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for allocation.csv, .json, the plot and allocator.npz.")] = Path(
        "out/budget-plan"
    ),
) -> None:
    """Share the next rollouts among prompts by what their history says, with the gain over equal groups."""
    from allocenv.problems.budget.planning_run import Wishes, run_plan

    run_plan(history, Wishes(total, rule, value, low, up, costs, forget), out)


def evaluate_command(
    context: typer.Context,
    rules: Annotated[str, typer.Option(help="Comma-separated names of `allocenv list budget`, or `all`.")] = "all",
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Runs of each rule, with seeds 0, 1, ...")] = 5,
    part: Annotated[str, typer.Option(help="Prompts: held-out (the others tuned parameters), tuning or all.")] = (
        "held-out"
    ),
    group: Annotated[int, typer.Option(min=2, max=128, help="Rollouts a prompt on average.")] = 8,
    batch: Annotated[int, typer.Option(min=1, help="Prompts of a step at most.")] = 256,
    warm_up: Annotated[int, typer.Option(min=0, help="Passes of equal groups before.")] = 2,
    run: Annotated[Path | None, typer.Option(help="A run of your own in the format of the real one.")] = None,
    agent: Annotated[
        list[str] | None,
        typer.Option(
            "--agent", "--policies", help="Run folder: judge it on simulated learners, and nothing else. Repeatable."
        ),
    ] = None,
    learners: Annotated[int, typer.Option(min=2, max=4096, help="Simulated learners, for --agent.")] = 64,
    out: Annotated[Path, typer.Option(help="Folder for results.json, rows.csv and the plots.")] = Path("out/budget"),
    readme: Annotated[
        Path | None, typer.Option(help="Write the table between this file's <!-- budget:start/end --> marks.")
    ] = None,
) -> None:
    """Replay a real GRPO run under each rule: its success rates, outcomes drawn again, the same for all."""
    if agent:
        from allocenv.problems.budget import policy_contest

        asked = policy_contest.Wishes(tuple(agent), learners, tuple(sys.argv[1:]))
        policy_contest.run_contest(asked, context.obj.of_run, out)
        return
    from allocenv.problems.budget.evaluation_run import Wishes, run_evaluation

    run_evaluation(Wishes(rules, seeds, part, group, batch, warm_up, run, tuple(sys.argv[1:])), out, readme)
