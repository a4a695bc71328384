"""What do prompts, tasks or questions look like: rollouts and outcomes so far; as text, as a matplotlib figure."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from allocenv.core.arrays import Array, IntArray
from allocenv.problems.budget.dynamics import State

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDE = 32  # rollouts drawn of a prompt in text
SHOWN = 40  # prompts in text
ORANGE, BLUE = "#f58025", "#3787c0"


class View(NamedTuple):
    """The figures of one row."""

    title: str
    prompt: IntArray  # [M]
    believed: Array  # [M]  mean of the beliefs before the batch
    rollouts: IntArray  # [M]
    correct: IntArray  # [M]
    what: str = "prompt"  # one of the M
    good: str = "correct"  # what `correct` counts
    rest: str = "wrong"


def view_of_row(e: State, b: int) -> View:
    """The batch at hand of row b."""
    s, prompt = e.learner, e.learner.prompt[b].copy()
    wins = e.beliefs.prior[b, 0] + e.beliefs.correct[b, prompt]
    losses = e.beliefs.prior[b, 1] + e.beliefs.wrong[b, prompt]
    room = int((e.alloc.capacity[b] - e.alloc.used[b]).sum())
    title = (
        f"update {int(s.steps[b])}, {int(e.updates_left[b])} left; {room} rollouts left; "
        f"mean success rate {s.mean_rate[b]:.3f} ({100 * (s.mean_rate[b] - e.begun[b]):+.2f} points)"
    )
    return View(title, prompt, wins / (wins + losses), s.rollouts[b].copy(), s.correct[b].copy())


def render_text(view: View) -> str:
    """A line for each of the first: + a correct rollout, - a wrong one."""
    lines = [view.title]
    for i, p, n, k in zip(view.prompt, view.believed, view.rollouts, view.correct, strict=True):
        if len(lines) > SHOWN:
            lines.append(f"... and {len(view.prompt) - SHOWN} more")
            break
        lines.append(f"{view.what} {i:5}  believed {p:.2f}  {('+' * k + '-' * (n - k))[:WIDE]}")
    return "\n".join(lines)


def render_figure(view: View) -> "Figure":
    """Rollouts of each over what was believed of it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.6), dpi=110, layout="constrained")
    axes = figure.subplots()
    order = np.argsort(view.believed, kind="stable")
    x, k, n = np.arange(len(order)), view.correct[order], view.rollouts[order]
    axes.bar(x, k, color=BLUE, label=view.good)
    axes.bar(x, n - k, bottom=k, color=ORANGE, label=view.rest)
    axes.set_ylim(0, max(8, n.max() + 1))
    axes.set_xlabel(f"{view.what}s at hand, by what is believed of them")
    axes.set_ylabel("so far")
    axes.legend(loc="upper right", fontsize=8)
    axes.set_title(view.title, fontsize=10)
    return figure
