"""What a cluster looks like before and after its migrations: as text for a terminal, as a matplotlib figure.

Both show the objective's first term: of each cell (NUMA node, GPU, or the machine as a whole) how many whole
chunks its free amount holds, and what is left over of it that no chunk can use.
"""

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray, LongArray
from allocenv.core.resource_state import ResourceState
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.dynamics import State
from allocenv.problems.vm.objective import ON_HOST, UNITS, Rules

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

UNIT_NAMES = {"cpu": "core", "memory": "GiB", "gpu": "GPU"}
MOST_BINS = 16  # of the histogram
MOST_CHUNKS = 3  # a cell with as many whole chunks or more has the darkest blue
ORANGE = ("#f4f4f4", "#fde3c8", "#fdbe85", "#f58025", "#a63603")  # nothing left over ... almost a chunk
BLUE = ("#f4f4f4", "#a6cee8", "#3787c0", "#08306b")  # no whole chunk ... MOST_CHUNKS
INACTIVE = "#bdbdbd"
OUTLINE = "#222222"
GAP = 0.5  # between machines, in cells
PANEL = 1.45  # width of a panel divided by its height


class View(NamedTuple):
    """The free amounts of the first term's resource, before and after."""

    before: LongArray  # [K, N]
    after: LongArray  # [K, N]
    exists: BoolArray  # [K, N]  the machine has the cell
    active: BoolArray  # [N]
    chunk: int  # what one chunk takes of a cell
    nodes: int  # cells that one chunk takes; 0: it is the machine's
    unit: int  # the integers that one core (GiB, GPU) is
    unit_name: str
    cells: str  # what a cell is called
    moves: int


def view_of_clusters(cluster: Cluster, rules: Rules, after: Cluster) -> View:
    """The cluster, and the same one with its VMs elsewhere."""
    moved = (cluster.bin_of != after.bin_of) | (cluster.variant_of != after.variant_of)
    rows = _rows(rules)
    return View(
        before=(cluster.capacity - cluster.used)[rows],
        after=(after.capacity - after.used)[rows],
        exists=cluster.capacity[rows] > 0,
        active=cluster.active,
        moves=int(moved.sum()),
        **_words(rules, cluster),
    )


def view_of_row(rules: Rules, state: State, b: int, example: Cluster) -> View:
    """The cluster of row b at the start of its episode and now; `example` names its resources."""
    alloc = state.alloc
    rows, n = _rows(rules), int(alloc.n_bins[b])
    capacity = alloc.capacity[b, rows, :n].astype(np.int64)
    return View(
        before=capacity - _used_at_home(alloc, state, b)[rows, :n],
        after=capacity - alloc.used[b, rows, :n],
        exists=capacity > 0,
        active=state.active[b, :n],
        moves=int(state.moves[b]),
        **_words(rules, example),
    )


def fragment_rate(view: View, free: LongArray) -> float:
    """The share of the free amount on active machines that no chunk can use (VMR2L, section 3)."""
    total = int(free[:, view.active].sum())
    return 1.0 - n_chunks(view, free) * view.chunk * max(view.nodes, 1) / total if total else 0.0


def n_chunks(view: View, free: LongArray) -> int:
    """How many more chunks the active machines could take."""
    fit = free[:, view.active] // view.chunk
    if view.nodes == 2:  # pairs on distinct cells
        return int(np.minimum(fit.sum(axis=0) // 2, fit.sum(axis=0) - fit.max(axis=0)).sum())
    return int(fit.sum())


def render_text(view: View) -> str:
    """The cluster in five lines: fragment rate, chunks, and how many cells have how much left over."""
    before, after = _histogram(view, view.before), _histogram(view, view.after)
    heads = _bin_names(view)
    wide = max(len(text) for text in [*heads, *map(str, [*before, *after])]) + 1
    line = lambda name, values: f"{name:<10}" + "".join(f"{value!s:>{wide}}" for value in values)  # noqa: E731
    return "\n".join(
        [
            f"{headline(view)}",
            f"{_chunk_name(view)} chunks that fit: {n_chunks(view, view.before)} -> {n_chunks(view, view.after)}",
            line("left over", heads) + f"  (up to so many {_plural(view.unit_name)})",
            line("before", before) + f"  ({view.cells})",
            line("after", after),
        ]
    )


def headline(view: View) -> str:
    """What the migrations did to the fragment rate, in one line."""
    rate = f"{fragment_rate(view, view.before):.4f} -> {fragment_rate(view, view.after):.4f}"
    return f"{_chunk_name(view)} fragment rate {rate}, {view.moves} {'move' if view.moves == 1 else 'moves'}"


def figure_before_after(cluster: Cluster, rules: Rules, after: Cluster) -> "Figure":
    """The cluster and what its migrations made of it: a matplotlib Figure without pyplot."""
    return render_figure(view_of_clusters(cluster, rules, after))


def render_figure(view: View) -> "Figure":
    """Every machine before and after, and how much is left over on how many cells.

    A machine is a block with one row a cell: what is left over of it on the left half (orange), its whole chunks
    on the right half (blue). Machines stand in the order of what was left over before, in both panels.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.2), dpi=110, layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=(3.2, 1.5))
    above, below = parts
    figure.suptitle(headline(view).replace("->", "→"), fontsize=13, weight="bold")
    panels = above.subplots(1, 2)
    order = np.argsort(-_left_over(view, view.before).sum(axis=0), kind="stable")
    changed = (view.before != view.after).any(axis=0)
    _draw_machines(panels[0], view, view.before, order, np.zeros_like(changed), "before")
    _draw_machines(panels[1], view, view.after, order, changed, "after (outlined: machines that changed)")
    bars, keys = below.subplots(1, 2, width_ratios=(2.2, 1))
    _draw_histogram(bars, view)
    _draw_keys(keys, view)
    return figure


def _draw_machines(axes: "Axes", view: View, free: LongArray, order: Array, outlined: BoolArray, title: str) -> None:
    from matplotlib.collections import PolyCollection

    cells, n = free.shape
    columns = _columns(n, cells)
    halves, frames = [], []
    colours: list[Any] = []
    for i, pm in enumerate(order):
        x, y = (i % columns) * (2 + GAP), (i // columns) * (cells + GAP)
        if outlined[pm]:
            frames.append(_box(x, y, 2, cells))
        for k in np.flatnonzero(view.exists[:, pm]):
            halves += [_box(x, y + k, 1, 1), _box(x + 1, y + k, 1, 1)]
            colours += _colours(view, int(free[k, pm]), bool(view.active[pm]))
    axes.add_collection(PolyCollection(halves, facecolors=colours, edgecolors="white", linewidths=0.3))
    if frames:
        width = 0.9 if n < 200 else 0.6
        axes.add_collection(PolyCollection(frames, facecolors="none", edgecolors=OUTLINE, linewidths=width))
    axes.set_xlim(-GAP, columns * (2 + GAP))
    axes.set_ylim(-(-n // columns) * (cells + GAP), -GAP)
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_title(title, fontsize=10)


def _colours(view: View, free: int, active: bool) -> tuple[Any, Any]:
    """The colours of what is left over of a cell, and of its whole chunks."""
    if not active:
        return INACTIVE, INACTIVE
    rest, whole = free % view.chunk, free // view.chunk
    return _shade(ORANGE, rest / view.chunk), _shade(BLUE, min(whole, MOST_CHUNKS) / MOST_CHUNKS)


def _shade(colours: tuple[str, ...], share: float) -> Any:
    return _scale(colours)(float(share))


@cache
def _scale(colours: tuple[str, ...]) -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("", colours)


def _box(x: float, y: float, width: float, height: float) -> list[tuple[float, float]]:
    return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]


def _columns(n: int, cells: int) -> int:
    """How many machines stand side by side so that the panel has its shape."""
    return max(1, min(n, round(float(np.sqrt(n * PANEL * (cells + GAP) / (2 + GAP))))))


def _draw_histogram(axes: "Axes", view: View) -> None:
    """The cells of which something is left over; the others, usually most, are told in the title."""
    before, after = _histogram(view, view.before), _histogram(view, view.after)
    names = _bin_names(view)
    axes.set_title(f"{view.cells} with nothing left over: {before[0]} → {after[0]}", fontsize=10)
    before, after, names = before[1:], after[1:], names[1:]
    x = np.arange(len(before))
    axes.bar(x - 0.2, before, 0.4, color="#b5b5b5", label="before")
    axes.bar(x + 0.2, after, 0.4, color="#2b2b2b", label="after")
    axes.set_xticks(x, names, fontsize=8)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_xlabel(f"left over of a cell, up to so many {_plural(view.unit_name)}", fontsize=9)
    axes.set_ylabel(view.cells, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)


def _draw_keys(axes: "Axes", view: View) -> None:
    """What the two halves of a cell mean."""
    axes.set_axis_off()
    axes.set_xlim(0, 10)
    axes.set_ylim(0, 7)
    most = view.chunk / view.unit
    rest = [(f"{most * share:.3g}", _shade(ORANGE, share)) for share in (0, 0.25, 0.5, 0.75)]
    whole = [(str(i) if i < MOST_CHUNKS else f"{i}+", _shade(BLUE, i / MOST_CHUNKS)) for i in range(MOST_CHUNKS + 1)]
    _draw_key(axes, 5.6, f"left half of a cell: {_plural(view.unit_name)} left over", rest)
    _draw_key(axes, 2.4, f"right half: whole {_chunk_name(view)} chunks free", whole)
    if not view.active.all():
        axes.add_patch(_patch(0, 0, INACTIVE))
        axes.text(1.3, 0.45, "not active", fontsize=8, va="center")


def _draw_key(axes: "Axes", y: float, title: str, entries: list[tuple[str, Any]]) -> None:
    axes.text(0, y + 1.0, title, fontsize=9, va="center")
    for i, (label, colour) in enumerate(entries):
        axes.add_patch(_patch(i * 2.3, y - 1.0, colour))
        axes.text(i * 2.3 + 1.2, y - 0.5, label, fontsize=8, va="center")


def _patch(x: float, y: float, colour: Any) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), 1.0, 1.0, facecolor=colour, edgecolor="#999999", linewidth=0.5)


def _left_over(view: View, free: LongArray) -> LongArray:
    """What no chunk can use of each cell, zero on machines that are not active: [K, N]."""
    rest: LongArray = np.where(view.exists & view.active, free % view.chunk, 0)
    return rest


def _histogram(view: View, free: LongArray) -> LongArray:
    """Cells of active machines by what is left over of them: first those with nothing, then up to each `_step`."""
    last = len(_bin_names(view)) - 1
    rest = _left_over(view, free)[view.exists & view.active]
    return np.bincount(np.minimum(-(-rest // _step(view)), last), minlength=last + 1)


def _bin_names(view: View) -> list[str]:
    """The most that is left over in each bin, in units."""
    step = _step(view)
    last = max(-(-(view.chunk - step) // step), 1)
    digits = "g" if step % view.unit == 0 else ".2g"
    return [f"{i * step / view.unit:{digits}}" for i in range(last + 1)]


def _step(view: View) -> int:
    """The width of a bin: whole units where the chunk has enough of them."""
    if view.chunk >= 4 * view.unit:
        return view.unit * -(-view.chunk // (MOST_BINS * view.unit))
    return -(-view.chunk // MOST_BINS)


def _chunk_name(view: View) -> str:
    amount = view.chunk * max(view.nodes, 1) / view.unit
    pair = " (on two cells)" if view.nodes == 2 else ""
    return f"{amount:g}-{view.unit_name}{pair}"


def _plural(unit: str) -> str:
    return unit if unit == "GiB" else f"{unit}s"


def _rows(rules: Rules) -> Array:
    """The rows of `capacity` that hold the first term's resource, one a cell."""
    cells = 1 if rules.term_nodes[0] == ON_HOST else rules.n_cells
    rows: Array = rules.term_resource[0] + np.arange(cells) * rules.n_cell_resources
    return rows


def _words(rules: Rules, cluster: Cluster) -> dict[str, Any]:
    r, nodes = int(rules.term_resource[0]), int(rules.term_nodes[0])
    on_host = nodes == ON_HOST
    host_row = r - rules.n_cells * rules.n_cell_resources
    name = cluster.host_resources[host_row] if on_host else cluster.cell_resources[r]
    if on_host or rules.n_cells == 1:
        cells = "machines"
    else:
        cells = "GPUs" if name == "gpu" else "NUMA nodes"
    return {
        "chunk": int(rules.term_chunk[0]),
        "nodes": nodes,
        "unit": UNITS.get(name, 1),
        "unit_name": UNIT_NAMES.get(name, name),
        "cells": cells,
    }


def _used_at_home(alloc: ResourceState, state: State, b: int) -> LongArray:
    """What the VMs of row b took of each machine at the start: [R, N]."""
    m = int(alloc.n_items[b])
    used = np.zeros(alloc.used.shape[1:], np.int64)
    taken = alloc.demand[b, alloc.shape_of[b, :m], state.home_variant[b, :m]]
    np.add.at(used.T, state.home_bin[b, :m], taken)
    return used
