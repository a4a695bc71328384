"""The charts of the report, as SVG whose lines and letters take the page's colour.

Colours are Okabe and Ito's (2008), told apart by colour-blind readers; markers differ as well. Every figure of a chart
also stands in a table of the page.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from typing import Any

import numpy as np

from allocenv.core.results import Results
from allocenv.core.statistics import profile
from allocenv.evaluate.table import Line, gaps

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c", "#7a5fb5")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
INK = "#010203"  # replaced by the page's own colour
MOST = 8  # contenders that a chart has room for
SIZE = (7.2, 3.6)  # inches


def shown(lines: Sequence[Line]) -> list[str]:
    """The contenders of a chart: the best ones, and the last for scale."""
    names = [line.contender for line in lines]
    return names if len(names) <= MOST else [*names[: MOST - 1], names[-1]]


def quality_over_time(results: Results, lines: Sequence[Line]) -> str:
    """Mean gap to the best known against the wall time it took; several points where several limits were given."""
    with _chart("time") as (axes, out):
        for name, style in zip(shown(lines), _styles(), strict=False):
            points = []
            for limit in sorted({row.limit for row in results.rows if row.contender == name}):
                rows = [row for row in results.rows if row.contender == name and row.limit == limit]
                points.append((np.mean([row.wall for row in rows]), _mean_gap(results, rows)))
            axes.plot(*zip(*points, strict=True), label=name, **style)
        axes.set_xscale("log")
        _symlog(axes, "y")
        axes.set_ylim(bottom=-0.1)
        axes.set_xlabel("seconds an instance (measured)")
        axes.set_ylabel("gap to the best known, %")
        _legend(axes)
    return out[0]


def profiles(results: Results, lines: Sequence[Line]) -> str:
    """Share of the instances on which a contender's gap is at most so much."""
    final = results.final()
    of = {name: 100 * gaps(final, name).mean(axis=1) for name in shown(lines)}
    top = max(1e-3, float(np.nanmax([np.nanquantile(values, 0.95) for values in of.values()])))
    at = np.linspace(0.0, top, 200)
    with _chart("profile") as (axes, out):
        for (name, values), style in zip(of.items(), _styles(), strict=False):
            axes.plot(at, profile(values, at), label=name, color=style["color"], linewidth=1.6)
        axes.set_xlabel("gap to the best known, at most, %")
        axes.set_ylabel("share of instances")
        axes.set_ylim(-0.03, 1.03)
        _legend(axes)
    return out[0]


def by_instance_chart(results: Results, lines: Sequence[Line]) -> str:
    """The gap of every contender on every instance."""
    final = results.final()
    with _chart("instances") as (axes, out):
        for (i, name), style in zip(enumerate(shown(lines)), _styles(), strict=False):
            values = 100 * gaps(final, name).mean(axis=1)
            spread = np.linspace(-0.3, 0.3, len(values)) if len(values) > 1 else np.zeros(1)
            axes.plot(values, i + spread, linestyle="", **{k: v for k, v in style.items() if k != "linewidth"})
        axes.set_yticks(range(len(shown(lines))), shown(lines))
        axes.invert_yaxis()
        _symlog(axes, "x")
        axes.set_xlim(left=-0.1)
        axes.set_xlabel("gap to the best known, %; a mark an instance")
    return out[0]


def learning_curve(name: str, points: Sequence[tuple[float, float]], marks: dict[str, float]) -> str:
    """Held-out objective against minutes of training; opponents as lines."""
    with _chart(f"learning {name}") as (axes, out):
        style = next(_styles())
        axes.plot([minutes for minutes, _ in points], [value for _, value in points], label=name, **style)
        for (opponent, value), dash in zip(marks.items(), itertools.cycle((":", "--", "-.")), strict=False):
            axes.axhline(value, color=INK, linestyle=dash, linewidth=1, label=opponent)
        axes.set_xlabel("minutes of training")
        axes.set_ylabel("held-out objective, lower is better")
        _legend(axes)
    return out[0]


def _mean_gap(results: Results, rows: Sequence[Any]) -> float:
    from allocenv.evaluate.table import best_known

    best = dict(zip(results.labels, best_known(results), strict=True))
    scale = abs(float(np.nanmean(list(best.values())))) or 1.0
    return 100 * float(np.mean([row.objective - best[row.instance] for row in rows])) / scale


def _styles() -> Iterator[dict[str, Any]]:
    for colour, marker in zip(itertools.cycle(COLOURS), itertools.cycle(MARKERS), strict=False):
        yield {"color": colour, "marker": marker, "markersize": 4, "linewidth": 1.6}


def _symlog(axes: Any, which: str) -> None:
    """Logarithmic above one percent of the scale, straight around zero, where the best ones lie."""
    getattr(axes, f"set_{which}scale")("symlog", linthresh=1.0)


def _legend(axes: Any) -> None:
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))


@contextmanager
def _chart(salt: str) -> Iterator[tuple[Any, list[str]]]:
    """Axes to draw on, and a list that then holds the SVG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    ink: dict[Any, Any] = dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK
    )
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt, "font.size": 9, **ink}):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color=INK, alpha=0.12)
        out: list[str] = []
        yield axes, out
        text = StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
        out.append(_inline(text.getvalue()))


def _inline(svg: str) -> str:
    """An SVG file as part of a page: no prolog, sizes left to the page, hidden from readers of the caption."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.S)
    body = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", body, count=1)
    body = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", body, count=1)
    body = body.replace("<svg", '<svg aria-hidden="true" focusable="false"', 1)
    return body.replace(INK, "currentColor")
