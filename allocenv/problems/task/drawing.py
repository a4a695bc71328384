"""What does a mission look like: map of entities and tasks, slots with their teams; as text, as a figure."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from allocenv.core.arrays import Array, IntArray, LongArray
from allocenv.problems.task.dynamics import CLOSED, OPEN, State
from allocenv.problems.task.rules import Rules

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PHASES = ("empty", "open", "closed")
ORANGE, BLUE, GREY = "#f58025", "#3787c0", "#bdbdbd"


class View(NamedTuple):
    """The figures of one row."""

    makespan: bool
    now: float
    horizon: float
    net: float
    collected: float
    done: int
    tasks: int
    waiting: int  # tasks not yet opened
    impossible: int
    free: int
    entities: int
    xy: Array  # [M, 2]
    busy: Array  # [M]
    phase: LongArray  # [T]
    task: LongArray  # [T]
    slot_xy: Array  # [T, 2]
    worth: Array  # [T]
    covered: Array  # [T]  least share of a need that is committed
    team: IntArray  # [T]  members
    cost: Array  # [T]


def n_impossible(s: State, b: int) -> int:
    """How many tasks the whole fleet of row b cannot cover."""
    fleet = s.alloc.demand[b, :, 0].sum(axis=0, dtype=np.int64)
    return int((s.q_need[b, : s.n_tasks[b]] > fleet).any(axis=1).sum())


def view_of_row(rules: Rules, s: State, b: int) -> View:
    """Row b as it stands."""
    m, t, k = int(s.alloc.n_items[b]), int(s.alloc.n_bins[b]), int(s.n_abilities[b])
    need, used = s.alloc.capacity[b, :k, :t], s.alloc.used[b, :k, :t]
    busy = s.alloc.bin_of[b, :m] >= 0
    return View(
        makespan=rules.makespan,
        now=float(s.now[b]),
        horizon=rules.horizon,
        net=float(s.net[b]),
        collected=float(s.collected[b]),
        done=int(s.n_done[b]),
        tasks=int(s.n_tasks[b]),
        waiting=int(s.n_tasks[b] - s.next_task[b]),
        impossible=n_impossible(s, b),
        free=int((~busy & (s.blocked[b, :m] == 0)).sum()),
        entities=m,
        xy=s.xy[b, :m].copy(),
        busy=busy,
        phase=s.phase[b, :t].copy(),
        task=s.task[b, :t].copy(),
        slot_xy=s.slot_xy[b, :t].copy(),
        worth=s.worth[b, :t].copy(),
        covered=np.where(need > 0, used / np.maximum(need, 1), 1.0).min(axis=0),
        team=s.alloc.n_held[b, :t].copy(),
        cost=s.team_cost[b, :t].copy(),
    )


def headline(view: View) -> str:
    earned = "" if view.makespan else f", value {view.collected:.1f}, net {view.net:.2f}"
    return f"time {view.now:.1f} of {view.horizon:g}, {view.done} of {view.tasks} tasks done{earned}"


def render_text(view: View) -> str:
    """The mission for a terminal: a line a slot."""
    lines = [headline(view), f"{view.free} of {view.entities} entities free, {view.waiting} tasks to come"]
    if view.impossible:
        lines.append(f"{view.impossible} tasks need more than the whole fleet has")
    for t in np.flatnonzero(view.phase):
        share = f"{min(view.covered[t], 1.0):.0%}"
        lines.append(
            f"slot {t}: task {view.task[t]}, {PHASES[view.phase[t]]}, {share} covered by {view.team[t]}, "
            f"value {view.worth[t]:.2f}, cost {view.cost[t]:.2f}"
        )
    return "\n".join(lines)


def render_figure(view: View) -> "Figure":
    """The map, and how far each open slot is covered. The caller closes it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    figure.suptitle(headline(view), fontsize=10)
    where, slots = figure.subplots(1, 2, width_ratios=(3, 2))
    draw_map(where, view)
    shown = np.flatnonzero(view.phase)
    colours = [ORANGE if view.phase[t] == OPEN else BLUE for t in shown]
    slots.barh(np.arange(len(shown)), np.minimum(view.covered[shown], 1.0), color=colours)
    slots.set_yticks(np.arange(len(shown)), [f"task {view.task[t]}" for t in shown])
    slots.set_xlim(0, 1)
    slots.invert_yaxis()
    slots.set_xlabel("share of the need committed\n(blue: the team has left)", fontsize=9)
    return figure


def draw_map(axes: Any, view: View) -> None:
    """Entities and open tasks where they are; a square's size is the task's value."""
    for kind, colour, label in ((~view.busy, GREY, "free"), (view.busy, BLUE, "in a team")):
        axes.scatter(*view.xy[kind].T, s=12, color=colour, label=label)
    for phase, colour in ((OPEN, ORANGE), (CLOSED, BLUE)):
        chosen = view.phase == phase
        sizes = 30 + 90 * view.worth[chosen] / max(float(view.worth.max(initial=0.0)), 1e-9)
        axes.scatter(*view.slot_xy[chosen].T, s=sizes, marker="s", facecolor="none", edgecolor=colour)
    for t in np.flatnonzero(view.phase):
        axes.annotate(str(view.task[t]), view.slot_xy[t], fontsize=7)
    axes.legend(fontsize=7, loc="upper right")
    axes.set_aspect("equal", adjustable="datalim")
