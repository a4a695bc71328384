"""What do results look like? Latency over time, and latency against fast capacity, as matplotlib figures."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING

from allocenv.core.arrays import Array, LongArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#1f5fa8", "#f58025", "#2e8b57", "#b03060", "#7a5ca8", "#8c6d31", "#3fb6c6", "#888888")
MOST = len(COLOURS)  # lines that can be told apart


def figure_over_time(ends: LongArray, courses: Mapping[str, Array], fast_only: Array, title: str) -> "Figure":
    """Moving means of the latency.

    Args:
        ends: [K] requests served.
        courses: policy -> [K] microseconds.
        fast_only: [K] microseconds.
        title: trace and rules.
    """
    from matplotlib.ticker import LogLocator

    figure, axes = _empty(title)
    for colour, (name, course) in zip(COLOURS, courses.items(), strict=False):
        style = "--" if name.startswith("oracle_") else "-"
        axes.plot(ends, course, color=colour, linestyle=style, linewidth=1.4, label=name)
    axes.plot(ends, fast_only, color="#555555", linestyle=":", linewidth=1.2, label="Fast-Only")
    axes.set_xlabel("requests")
    axes.set_ylabel("latency, moving mean (µs), seed 0")
    axes.set_yscale("log")
    axes.yaxis.set_minor_locator(LogLocator(subs=(2, 3, 5)))
    for ticks in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        ticks("{x:g}")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    _finish(axes)
    return figure


def figure_of_sizes(shares: Sequence[float], means: Mapping[str, Sequence[float]], title: str) -> "Figure":
    """Mean latency / Fast-Only against the share of pages that the fastest device holds.

    Args:
        shares: [K].
        means: policy -> [K].
        title: trace and rules.
    """
    figure, axes = _empty(title)
    percent = [100 * share for share in shares]
    for colour, (name, values) in zip(COLOURS, means.items(), strict=False):
        style = "--" if name.startswith("oracle_") else "-"
        axes.plot(percent, values, color=colour, linestyle=style, marker="o", markersize=3, label=name)
    axes.axhline(1, color="#555555", linestyle=":", linewidth=1.2, label="Fast-Only")
    axes.set_xscale("log")
    axes.set_xticks(percent, [f"{p:g} %" for p in percent])
    axes.minorticks_off()
    axes.set_xlabel("share of the pages that the fastest device holds")
    axes.set_ylabel("mean latency / Fast-Only")
    axes.set_ylim(bottom=0)
    _finish(axes)
    return figure


def png(figure: "Figure") -> bytes:
    """The figure as a file."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _empty(title: str) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 4), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize=9)
    return figure, axes


def _finish(axes: "Axes") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
