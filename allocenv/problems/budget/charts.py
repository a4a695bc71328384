"""Where do the rollouts go? By success rate and over time, as matplotlib figures."""

from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from allocenv.core.arrays import Array, LongArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#1f5fa8", "#f58025", "#2e8b57", "#b03060", "#7a5ca8", "#8c6d31", "#3fb6c6", "#888888")
MOST = len(COLOURS)  # lines that can be told apart
PLAIN, GREY = "uniform", "#555555"


def figure_of_plan(rates: Array, rollouts: LongArray, even: float) -> "Figure":
    """Each prompt's rollouts [P] against its expected success rate [P]; `even`: those of equal groups."""
    figure, (left, right) = _empty("Rollouts by expected success rate", (9.5, 3.8))
    left.scatter(rates, rollouts, s=9, alpha=0.5, color=COLOURS[0], linewidths=0)
    left.axhline(even, color=GREY, linestyle=":", linewidth=1.2, label="equal groups")
    left.set_ylabel("rollouts of a prompt")
    left.legend(frameon=False, fontsize=8)
    edges = np.linspace(0, 1, 21)
    middle, width = (edges[:-1] + edges[1:]) / 2, edges[1] * 0.45
    prompts, given = np.histogram(rates, edges)[0], np.histogram(rates, edges, weights=rollouts)[0]
    right.bar(middle - width / 2, prompts / max(prompts.sum(), 1), width, color=GREY, label="prompts")
    right.bar(middle + width / 2, given / max(given.sum(), 1), width, color=COLOURS[1], label="rollouts")
    right.set_ylabel("share")
    right.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("expected success rate")
        _finish(axes)
    return figure


def figure_by_rate(edges: Array, means: Mapping[str, Array], title: str) -> "Figure":
    """Mean rollouts of a prompt by its true success rate: rule -> [K] for K + 1 edges."""
    figure, (axes,) = _empty(title, (8.5, 4), 1)
    middle = (edges[:-1] + edges[1:]) / 2
    _lines(axes, middle, means)
    axes.set_xlabel("true success rate")
    axes.set_ylabel("rollouts of a prompt, mean of seed 0")
    axes.set_ylim(bottom=0)
    _finish(axes)
    _legend(axes)
    return figure


def figure_over_time(
    visits: LongArray, effective: Mapping[str, Array], hard: Mapping[str, Array], title: str
) -> "Figure":
    """Shares of the rollouts by pass over the prompts [V]: in effective groups, and on hard prompts.

    Args:
        visits: [V].
        effective: rule -> [V] expected share of rollouts in groups with both outcomes.
        hard: rule -> [V] share of rollouts on prompts with a true rate below 0.1.
        title: what was replayed.
    """
    figure, (left, right) = _empty(title, (11.5, 4))
    for axes, courses, what in ((left, effective, "in effective groups"), (right, hard, "on hard prompts (p < 0.1)")):
        _lines(axes, visits, courses)
        axes.set_xlabel("pass over the prompts")
        axes.set_ylabel(f"share of rollouts {what}")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_formatter("{x:.0f}")
        _finish(axes)
    _legend(right)
    return figure


def png(figure: "Figure") -> bytes:
    """The figure as a file."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _lines(axes: "Axes", x: Array, of: Mapping[str, Array]) -> None:
    colours = iter(COLOURS)
    for name, y in of.items():
        colour = GREY if name == PLAIN else next(colours)
        style = ":" if name == PLAIN else "--" if name.startswith("oracle_") else "-"
        axes.plot(x, y, color=colour, linestyle=style, linewidth=1.4, label=name)


def _empty(title: str, size: tuple[float, float], parts: int = 2) -> "tuple[Figure, tuple[Axes, ...]]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(title, fontsize=9)
    return figure, tuple(figure.add_subplot(1, parts, i + 1) for i in range(parts))


def _finish(axes: "Axes") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)


def _legend(axes: "Axes") -> None:
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
