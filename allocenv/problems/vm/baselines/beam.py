"""Beam search over sequences of moves: many states side by side, the best of their children survive.

Lowerre, "The Harpy Speech Recognition System", 1976. Children are judged by the objective plus a slope towards
full chunks, for the last moves of a chunk gain nothing until the very last; states that differ in the order of
their moves only are one.
"""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, IntArray, LongArray
from allocenv.core.clock import perf_counter
from allocenv.core.kernel import kernel
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.objective import Rules
from allocenv.problems.vm.search.compact import (
    ACTIVE,
    BIN,
    FIRST,
    KIND,
    NEXT,
    SHAPE,
    VARIANT,
    Layout,
    apply,
    compact,
    copied,
    gain,
    guided,
    has_room,
    is_displaced,
    leave_gain,
    move_gain,
    permits,
    total_worth,
)

WIDTH = 96
CHILDREN = 2  # of a state: more of them crowd out other states
BEND = 0.05  # of the slope, see `guided`
_NOISE = 1e-6  # in chunks, draws among equal machines
_EPSILON = 1e-9


class Beam(NamedTuple):
    """States of one depth, in the order of their score."""

    layouts: list[Layout]  # with guided tables
    leave: Array  # [width, M] float64  what leaving is worth to the machine, guided
    entry: Array  # [width, S, N] float64  what coming is worth at best, guided; -inf: no room
    variant: LongArray  # [width, S, N]  as which variant
    score: Array  # [n] float64  guided worth less prices
    worth: Array  # [n] float64  true worth less prices
    mark: Array  # [n] uint64  the same for states that differ in the order of moves only


def beam(
    cluster: Cluster,
    rules: Rules,
    max_moves: int,
    seconds: float,
    rng: np.random.Generator,
    width: int = WIDTH,
) -> IntArray:
    """Moves [n, 3] of the best state met. Every VM moves at most once.

    The beam narrows where it would not finish all `max_moves` depths in time.
    """
    deadline = perf_counter() + seconds
    layout = compact(cluster, rules)
    if not layout.movable.any():
        return np.zeros((0, 3), np.int32)
    salt = int(rng.integers(2**63))
    now, spare = _first(layout, width), _first(layout, width, empty=True)
    best, best_worth, path = (0, 0), float(now.worth[0]), [np.zeros((1, 4), np.int64)]
    goal, narrow = (layout.base - rules.goal) / layout.unit, width
    for depth in range(1, max_moves + 1):
        began = perf_counter()
        if began > deadline or best_worth >= goal - _EPSILON:
            break
        born = _children(now, rng, salt)
        if len(born.parent) == 0:
            break
        chosen = _distinct(born, narrow)
        now, spare = _grown(layout, now, spare, born, chosen), now
        path.append(np.column_stack([born.parent[chosen], born.move[chosen]]))
        if now.worth.max() > best_worth + _EPSILON:
            best, best_worth = (depth, int(now.worth.argmax())), float(now.worth.max())
        pace = (perf_counter() - began) / len(chosen)
        narrow = max(1, min(width, int((deadline - perf_counter()) / (pace * max(max_moves - depth, 1)))))
    return _traced(path, *best)


class Born(NamedTuple):
    """Children that could be grown."""

    parent: LongArray  # [n]
    move: LongArray  # [n, 3]  (VM, PM, variant)
    score: Array  # [n]
    mark: Array  # [n] uint64


def _first(layout: Layout, width: int, empty: bool = False) -> Beam:
    """A beam with room for `width` states, the first of which is the start."""
    slope = layout._replace(tables=guided(layout, BEND))
    shapes, pms = len(layout.demand), len(layout.room)
    out = Beam(
        layouts=[copied(slope) for _ in range(width)],
        leave=np.zeros((width, len(layout.vms))),
        entry=np.full((width, shapes, pms), -np.inf),
        variant=np.zeros((width, shapes, pms), np.int64),
        score=np.zeros(1),
        worth=np.array([total_worth(layout)[0]]),
        mark=np.zeros(1, np.uint64),
    )
    if not empty:
        for pm in range(pms):
            _refresh(out.layouts[0], pm, out.leave[0], out.entry[0], out.variant[0])
    return out


def _children(now: Beam, rng: np.random.Generator, salt: int) -> Born:
    """The best children of each state."""
    kinds = int(now.layouts[0].vms[:, KIND].max()) + 1
    shapes, pms = now.entry.shape[1:]
    variants = now.layouts[0].demand.shape[1]
    moves = np.empty((len(now.score), CHILDREN, 3), np.int64)
    gains = np.full((len(now.score), CHILDREN), -np.inf)
    seen = np.empty((kinds, variants), np.int64)
    place = np.empty(shapes, np.int64)
    for i in range(len(now.score)):
        noise = rng.random(pms) * _NOISE
        _expand(now.layouts[i], now.leave[i], now.entry[i], now.variant[i], noise, seen, place, gains[i], moves[i])
    parent, child = np.nonzero(np.isfinite(gains))
    move = moves[parent, child]
    vms = np.stack([layout.vms[:, [KIND, BIN, VARIANT]] for layout in now.layouts[: len(now.score)]])
    old = vms[parent, move[:, 0]]
    new = np.column_stack([old[:, 0], move[:, 1:]])
    mark = now.mark[parent] + _marks(new, salt) - _marks(old, salt)
    return Born(parent, move, now.score[parent] + gains[parent, child], mark)


def _marks(places: LongArray, salt: int) -> Array:
    """A random-looking number for each (kind, PM, variant): Steele et al., "SplitMix", OOPSLA 2014."""
    z = np.uint64(salt) + (places @ np.array([2**40, 2**12, 1])).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mark: Array = z ^ (z >> np.uint64(31))
    return mark


def _distinct(born: Born, width: int) -> LongArray:
    """The best children, each state once."""
    order = np.argsort(-born.score, kind="stable")
    _, first = np.unique(born.mark[order], return_index=True)
    return order[np.sort(first)[:width]]


def _grown(layout: Layout, now: Beam, into: Beam, born: Born, chosen: LongArray) -> Beam:
    """The states of the chosen children, written over those in `into`."""
    worth = np.empty(len(chosen))
    for i, child in enumerate(chosen):
        parent, (vm, pm, variant) = int(born.parent[child]), born.move[child].tolist()
        old, new = now.layouts[parent], into.layouts[i]
        for name in ("room", "vms", "pms", "group_count"):
            getattr(new, name)[...] = getattr(old, name)
        for name in ("leave", "entry", "variant"):
            getattr(into, name)[i] = getattr(now, name)[parent]
        true = new._replace(tables=layout.tables)
        worth[i] = now.worth[parent] + move_gain(true, vm, pm, variant) - layout.price[vm]
        source = int(new.vms[vm, BIN])
        apply(new, vm, pm, variant)
        for machine in {source, pm}:
            _refresh(new, machine, into.leave[i], into.entry[i], into.variant[i])
    return into._replace(score=born.score[chosen], worth=worth, mark=born.mark[chosen])


def _traced(path: list[LongArray], depth: int, state: int) -> IntArray:
    """The moves that led to the state."""
    moves = []
    while depth > 0:
        parent, *move = path[depth][state].tolist()
        moves.append(move)
        depth, state = depth - 1, parent
    return np.array(moves[::-1], np.int32).reshape(-1, 3)


@kernel
def _refresh(x, pm, leave, entry, variant):
    """Bring what depends on the machine up to date."""
    if not x.pms[pm, ACTIVE]:
        return
    for shape in range(entry.shape[0]):
        entry[shape, pm] = -np.inf
        for v in range(x.n_variants[shape]):
            if has_room(x, pm, shape, -1, v):
                worth = gain(x, pm, shape, -1, v)
                if worth > entry[shape, pm]:
                    entry[shape, pm] = worth
                    variant[shape, pm] = v
    vm = x.pms[pm, FIRST]
    while vm >= 0:
        leave[vm] = leave_gain(x, vm)
        vm = x.vms[vm, NEXT]


@kernel
def _expand(x, leave, entry, variant, noise, seen, place, gains, moves):
    """List the best moves of VMs that have not moved yet; interchangeable ones of a place once."""
    seen[:] = -1
    for shape in range(place.size):
        place[shape] = -1
        best = -np.inf
        for pm in range(noise.size):
            if entry[shape, pm] + noise[pm] > best:
                place[shape], best = pm, entry[shape, pm] + noise[pm]
    for pm in range(noise.size):
        vm = x.pms[pm, FIRST]
        while vm >= 0:
            now, shape = x.vms[vm, VARIANT], x.vms[vm, SHAPE]
            if seen[x.vms[vm, KIND], now] != pm and not is_displaced(x, vm):
                seen[x.vms[vm, KIND], now] = pm
                to = _place(x, vm, place[shape], entry[shape])
                if to >= 0:
                    worth = leave[vm] + entry[shape, to] + noise[pm] - x.price[vm]
                    _keep(gains, moves, worth, vm, to, variant[shape, to])
                for v in range(x.n_variants[shape]):
                    if v != now and has_room(x, pm, shape, now, v) and permits(x, vm, pm):
                        _keep(gains, moves, gain(x, pm, shape, now, v) - x.price[vm], vm, pm, v)
            vm = x.vms[vm, NEXT]


@kernel
def _place(x, vm, best, entry):
    """The machine to which the VM comes best: the best of its shape, or where that is closed to it, of its own."""
    here = x.vms[vm, BIN]
    if best < 0 or (best != here and permits(x, vm, best)):
        return best
    best = -1
    for pm in range(entry.size):
        if entry[pm] > -np.inf and pm != here and (best < 0 or entry[pm] > entry[best]) and permits(x, vm, pm):
            best = pm
    return best


@kernel
def _keep(gains, moves, worth, vm, pm, variant):
    """Insert the move where it belongs among the best, if it does."""
    i = gains.size - 1
    if worth <= gains[i]:
        return
    while i > 0 and gains[i - 1] < worth:
        gains[i] = gains[i - 1]
        for c in range(3):
            moves[i, c] = moves[i - 1, c]
        i -= 1
    gains[i] = worth
    moves[i, 0], moves[i, 1], moves[i, 2] = vm, pm, variant
