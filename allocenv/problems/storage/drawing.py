"""What does a window look like: load and fill of the devices, latency so far; as text, as a matplotlib figure."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from allocenv.core.arrays import Array, LongArray
from allocenv.problems.storage.episode import PARTS, Episode
from allocenv.problems.storage.rules import System

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE = 24  # characters of a bar
ORANGE, BLUE, GREY = "#f58025", "#3787c0", "#bdbdbd"


class View(NamedTuple):
    """The figures of one row."""

    title: str
    devices: tuple[str, ...]
    used: Array  # [D]  pages
    capacity: Array  # [D]
    load: Array  # [D]  busy share of the time so far
    wait: Array  # [D]  until the queue is empty, microseconds
    served: int
    requests: int
    mean_us: float
    normalised: float  # by Fast-Only
    promoted: int
    demoted: int
    migrated: int
    ends: LongArray  # [k]  requests served at the end of each part of the window
    course: Array  # [k]  mean latency in each part, microseconds


def view_of_row(system: System, trace: str, e: Episode, b: int) -> View:
    """The devices of row b, and how they came through the window so far."""
    s = e.model
    begin, n, served = int(e.begin[b]), int(e.end[b] - e.begin[b]), int(s.served[b])
    elapsed = max(float(s.done[b] - e.began[b]), 1e-9)
    first = -(-np.arange(PARTS + 1) * n // PARTS)  # of each part: where `episode.part_of` goes up
    began = first[:-1] < served
    counts = np.minimum(first[1:], served)[began] - first[:-1][began]
    filled = counts > 0
    return View(
        title=f"{trace}, requests {begin} to {begin + n}, {system.label}",
        devices=tuple(d.name for d in system.devices),
        used=s.alloc.used[b, 0].copy(),
        capacity=s.alloc.capacity[b, 0].copy(),
        load=np.minimum(s.busy[b] / elapsed, 1.0),
        wait=np.maximum(s.free_at[b] - s.done[b], 0.0),
        served=served,
        requests=n,
        mean_us=float(s.latency[b]) / max(served, 1),
        normalised=float(s.latency[b]) / (float(s.baseline[b]) or 1.0),
        promoted=int(s.promoted[b]),
        demoted=int(s.demoted[b]),
        migrated=int(s.migrated[b]),
        ends=np.minimum(first[1:], served)[began][filled],
        course=e.course[b][began][filled] / counts[filled],
    )


def headline(view: View) -> str:
    """What became of the requests, in one line."""
    return (
        f"{view.served} of {view.requests} requests, {view.mean_us:.1f} us each = {view.normalised:.2f} x Fast-Only; "
        f"{view.promoted} pages up, {view.demoted} down, {view.migrated} in the background"
    )


def render_text(view: View) -> str:
    """The window in a few lines: one for each device."""
    lines = [view.title, headline(view)]
    wide = max(len(name) for name in view.devices)
    for d, name in enumerate(view.devices):
        fill = view.used[d] / view.capacity[d]
        lines.append(
            f"{name:<{wide}}  full {_bar(fill)} {fill:4.0%}  busy {_bar(view.load[d])} {view.load[d]:4.0%}"
            f"  {view.used[d]} of {view.capacity[d]} pages, wait {view.wait[d]:.0f} us"
        )
    return "\n".join(lines)


def render_figure(view: View) -> "Figure":
    """Fill and load of the devices on the left, latency over the window on the right."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.8), dpi=110, layout="constrained")
    figure.suptitle(f"{view.title}\n{headline(view)}", fontsize=10)
    parts: Any = figure.subplots(1, 2, width_ratios=(1, 1.6))
    _draw_devices(parts[0], view)
    _draw_course(parts[1], view)
    return figure


def _draw_devices(axes: "Axes", view: View) -> None:
    y = np.arange(len(view.devices))
    axes.barh(y - 0.2, view.used / view.capacity, 0.36, color=BLUE, label="full")
    axes.barh(y + 0.2, view.load, 0.36, color=ORANGE, label="busy")
    axes.set_yticks(y, view.devices)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    axes.invert_yaxis()
    axes.legend(loc="lower right", fontsize=8)


def _draw_course(axes: "Axes", view: View) -> None:
    axes.set_xlim(0, view.requests)
    axes.set_xlabel("requests of the window")
    axes.set_ylabel("mean latency in us")
    if view.served:
        axes.step(np.concatenate([[0], view.ends]), np.concatenate([view.course[:1], view.course]), color=BLUE)
        axes.axhline(view.mean_us, color=GREY, linewidth=1, zorder=0)
        axes.set_ylim(bottom=0)


def _bar(share: float) -> str:
    full = round(float(share) * WIDE)
    return "#" * full + "." * (WIDE - full)
