"""How are plans, episodes and tables of cells drawn?"""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from allocenv.core.arrays import Array, IntArray
from allocenv.core.batch import Batch
from allocenv.problems.task.drawing import BLUE, GREY, ORANGE, View, draw_map, headline, view_of_row
from allocenv.problems.task.mission import Mission
from allocenv.problems.task.plan_file import Plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from allocenv.problems.task.problem import Task

MOST_BARS = 60  # tasks of a plan's figure


def plan_figure(mission: Mission, plan: Plan) -> "Figure":
    """When each task is travelled to and worked on, and where the tasks lie."""
    from matplotlib.figure import Figure

    shown = plan.services[:MOST_BARS]
    figure = Figure(figsize=(10, 1.5 + 0.17 * max(len(shown), 12)), layout="constrained")
    when, where = figure.subplots(1, 2, width_ratios=(3, 2))
    for row, service in enumerate(shown):
        leaves = min(member.leaves for member in service.team)
        when.barh(row, service.starts - leaves, left=leaves, color=GREY)
        when.barh(row, service.done - service.starts, left=service.starts, color=BLUE)
    when.set_yticks(np.arange(len(shown)), [f"{one.task} ({len(one.team)})" for one in shown], fontsize=7)
    when.invert_yaxis()
    when.set_xlabel("time (grey: travel and waiting, blue: work; in brackets: members of the team)", fontsize=8)
    names = {one.task for one in plan.services}
    served = np.array([mission.task_name(q) in names for q in range(mission.n_tasks)])
    where.scatter(*mission.xy.T, s=10, color=GREY, label="entities at the start")
    for kind, colour, label in ((served, BLUE, "served"), (~served, ORANGE, "not served")):
        where.scatter(*mission.task_xy[kind].T, s=30, marker="s", facecolor="none", edgecolor=colour, label=label)
    where.legend(fontsize=7)
    where.set_aspect("equal", adjustable="datalim")
    return figure


def map_over_rounds(problem: "Task", mission: Mission, actions: IntArray, panels: int = 6) -> "Figure":
    """The map at evenly spaced times of an episode played by these actions [n, 2]."""
    from matplotlib.figure import Figure

    views = _views(problem, mission, actions)
    chosen = [views[i] for i in np.unique(np.linspace(0, len(views) - 1, panels).astype(int))]
    columns = min(3, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = Figure(figsize=(4 * columns, 3.4 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for at, axis in enumerate(axes.flat):
        if at < len(chosen):
            draw_map(axis, chosen[at])
            axis.set_title(headline(chosen[at]), fontsize=6)
        else:
            axis.axis("off")
    return figure


def _views(problem: "Task", mission: Mission, actions: IntArray) -> list[View]:
    """The episode whenever time is about to pass, and at its end."""
    batch = Batch(problem, 1)
    batch.load([mission])
    views = []
    for action in np.asarray(actions, np.int32).reshape(-1, 2):
        if tuple(action) == problem.stop:
            views.append(view_of_row(problem.rules, batch.state.model, 0))
        batch.step(action[None])
    return [*views, view_of_row(problem.rules, batch.state.model, 0)]


def zero_shot_heat_map(
    cells: Mapping[tuple[int, int], float], title: str, centre: float = 1.0, axes: Any = None
) -> "Figure":
    """A figure by entities and slots, such as ours over the genetic algorithm's; `centre` is drawn white.

    Args:
        cells: (entities, slots) -> figure; cells that are missing stay empty.
        title: what the figure is.
        centre: the figure of a draw.
        axes: where to draw; None: a new figure.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), layout="constrained") if axes is None else axes.figure
    axes = figure.subplots() if axes is None else axes
    entities, slots = sorted({n for n, _ in cells}), sorted({t for _, t in cells})
    table: Array = np.array([[cells.get((n, t), np.nan) for t in slots] for n in entities])
    reach = max(float(np.nanmax(np.abs(table - centre))), 1e-9)
    axes.imshow(table, cmap="PuOr_r", vmin=centre - reach, vmax=centre + reach, aspect="auto")
    for row in range(len(entities)):
        for column in range(len(slots)):
            if np.isfinite(table[row, column]):
                axes.text(column, row, f"{table[row, column]:.2f}", ha="center", va="center", fontsize=9)
    _label(axes, entities, slots, title)
    return figure


def _label(axes: Any, entities: Sequence[int], slots: Sequence[int], title: str) -> None:
    axes.set_xticks(np.arange(len(slots)), slots)
    axes.set_yticks(np.arange(len(entities)), entities)
    axes.set_xlabel("task slots")
    axes.set_ylabel("entities")
    axes.set_title(title, fontsize=10)


def png(figure: "Figure") -> bytes:
    """The figure as a file."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
