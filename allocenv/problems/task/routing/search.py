"""What does annealing over orders of tasks find?

A state is an order of the tasks and, for each, how its team is chosen; its value is the makespan of serving them in
that order, and a little of the robots' mean time home, so that there is a way down where the makespan stands still.
A change is timed from the first task it touches.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, LongArray
from allocenv.core.bits import next_bits, seeded
from allocenv.core.clock import perf_counter
from allocenv.core.kernel import kernel
from allocenv.core.solver import never
from allocenv.problems.task.routing.greedy import greedy
from allocenv.problems.task.routing.instance import Routing
from allocenv.problems.task.routing.schedule import (
    RULES,
    Fleet,
    Layout,
    Timing,
    choose,
    fleet_of,
    go,
    layout_of,
    serve,
)

CHUNK = 200  # tries between two looks at the clock
STEPS = 50  # temperatures of a search that is given its tries, about
TRIES_A_SECOND = 60_000.0


class Schedule(NamedTuple):
    """How the search cools; temperatures in time units."""

    hot: float = 0.3
    cold: float = 0.02
    mean_share: float = 0.3  # of the mean time home in the value
    restarts: int = 30_000  # tries a cycle, about


DEFAULT = Schedule()


class Found(NamedTuple):
    """The best schedule of a search."""

    order: LongArray  # [T]
    rules: LongArray  # [T]  by task: how its team is chosen
    makespan: float
    tries: int

    def timing(self, problem: Routing) -> Timing:
        """When everything happens, and who does it."""
        return serve(problem, self.order, self.rules)


class Walk(NamedTuple):
    """Where the search is."""

    order: LongArray  # [T]
    rules: LongArray  # [T]  by task
    ready: Array  # [T + 1, R] float64  of the robots, before each task of the order
    place: LongArray  # [T + 1, R]
    trial: LongArray  # [T]  the order tried
    best_order: LongArray  # [T]
    best_rules: LongArray  # [T]
    value: Array  # [3] float64  value now; makespan now; best makespan
    random: Array  # [1] uint64


def search(
    problem: Routing,
    seconds: float,
    seed: int,
    start: tuple[Array, Array] | None = None,
    tries: int | None = None,
    schedule: Schedule = DEFAULT,
    stop: Callable[[], bool] = never,
) -> Found:
    """The best schedule found within `seconds` of wall time, or `tries` tries.

    With `tries` the same seed gives the same schedule; the time limit then still holds.

    Args:
        start: (order, rules) to begin with; by default greedy's. The result is at least as good.

    Raises:
        ValueError: a task nobody can cover, or a start that is no order of the tasks.
    """
    began = perf_counter()
    layout, fleet = layout_of(problem), fleet_of(layout_of(problem))
    if start is None:
        known = greedy(problem)
        start = known.order, known.rules
    else:
        serve(problem, start[0], start[1])
    walk = begin(layout, fleet, start[0], start[1], schedule.mean_share, seed)
    chunk = CHUNK if tries is None else max(1, min(CHUNK, tries // STEPS))
    done, n, cycle = 0, 0, 0
    expected = tries if tries is not None else seconds * TRIES_A_SECOND
    cycles = max(1, int(expected / schedule.restarts))
    while not stop():
        now = perf_counter(n / TRIES_A_SECOND) - began
        share = now / seconds if tries is None else done / max(tries, 1)
        if share >= 1 or now >= seconds:
            break
        phase = share * cycles
        if int(phase) > cycle:
            cycle = int(phase)
            put(layout, fleet, walk, walk.best_order.copy(), walk.best_rules.copy(), schedule.mean_share)
        temperature = schedule.hot * (schedule.cold / schedule.hot) ** (phase - cycle)
        n = chunk if tries is None else min(chunk, tries - done)
        wander(layout, fleet, walk, n, temperature, schedule.mean_share)
        done += n
    return Found(walk.best_order.copy(), walk.best_rules.copy(), float(walk.value[2]), done)


def begin(layout: Layout, fleet: Fleet, order: Array, rules: Array, mean_share: float, seed: int) -> Walk:
    """A walk that stands at the order."""
    n, r = len(layout.need), len(layout.ability)
    walk = Walk(
        order=np.zeros(n, np.int64),
        rules=np.zeros(n, np.int64),
        ready=np.zeros((n + 1, r)),
        place=np.tile(n + np.arange(r), (n + 1, 1)),
        trial=np.zeros(n, np.int64),
        best_order=np.zeros(n, np.int64),
        best_rules=np.zeros(n, np.int64),
        value=np.full(3, np.inf),
        random=seeded(seed),
    )
    put(layout, fleet, walk, np.asarray(order, np.int64), np.asarray(rules, np.int64), mean_share)
    return walk


@kernel
def _serve_from(x, f, t, order, first, mean_share, limit):
    """Serve the order from its first-th task on; returns value and makespan, or inf once above the limit."""
    n, n_robots = order.size, f.ready.size
    for r in range(n_robots):
        f.ready[r] = t.ready[first, r]
        f.place[r] = t.place[first, r]
    alone = 0.0
    for p in range(first, n):
        task = order[p]
        start = choose(x, f, task, t.rules[task])
        go(x, f, task, start)
        alone = max(alone, start + x.duration[task])
        for r in range(n_robots):
            if f.member[r]:
                alone = max(alone, f.ready[r] + x.travel[n + r, task])  # no way home is shorter
        if alone > limit:
            return np.inf, np.inf
    last, total = alone, 0.0
    for r in range(n_robots):
        if f.place[r] < n:
            home = f.ready[r] + x.travel[n + r, f.place[r]]
            last = max(last, home)
            total += home
    return last + mean_share * total / n_robots, last


@kernel
def _keep(x, f, t, order, first, value, makespan):
    """Make the order the present one and renew what is known of it from its first-th task on."""
    n = order.size
    for r in range(f.ready.size):
        f.ready[r] = t.ready[first, r]
        f.place[r] = t.place[first, r]
    for p in range(first, n):
        task = order[p]
        t.order[p] = task
        go(x, f, task, choose(x, f, task, t.rules[task]))
        for r in range(f.ready.size):
            t.ready[p + 1, r] = f.ready[r]
            t.place[p + 1, r] = f.place[r]
    t.value[0] = value
    t.value[1] = makespan
    if makespan < t.value[2]:
        t.value[2] = makespan
        for p in range(n):
            t.best_order[p] = t.order[p]
            t.best_rules[p] = t.rules[p]


@kernel
def put(x, f, t, order, rules, mean_share):
    """Make this the present order."""
    for p in range(order.size):
        t.rules[p] = rules[p]
    value, makespan = _serve_from(x, f, t, order, 0, mean_share, np.inf)
    _keep(x, f, t, order, 0, value, makespan)


@kernel
def wander(x, f, t, tries, temperature, mean_share):
    """Make the tries at one temperature: swap or reinsert tasks, or choose a team in another way."""
    n = t.order.size
    for _ in range(tries):
        bits = next_bits(t.random)
        kind = bits & 0xF
        bits >>= 4
        p = (bits & 0xFFFF) * n >> 16
        bits >>= 16
        q = (bits & 0xFFFF) * n >> 16
        bits >>= 16
        limit = t.value[0] - temperature * np.log(((bits & 0xFFFF) + 0.5) / 65536.0)
        bits >>= 16
        for k in range(n):
            t.trial[k] = t.order[k]
        first, changed, before = p, -1, 0
        if kind < 3:
            changed = t.order[p]
            before = t.rules[changed]
            t.rules[changed] = (before + 1 + (bits & 1)) % RULES
        elif p == q:
            continue
        elif kind < 8:
            t.trial[p] = t.order[q]
            t.trial[q] = t.order[p]
            first = min(p, q)
        else:
            _reinsert(t, p, q)
            first = min(p, q)
        value, makespan = _serve_from(x, f, t, t.trial, first, mean_share, limit)
        if value <= limit:
            _keep(x, f, t, t.trial, first, value, makespan)
        elif changed >= 0:
            t.rules[changed] = before


@kernel
def _reinsert(t, p, q):
    """Put the p-th task of the order at place q of the order tried."""
    task = t.order[p]
    if p < q:
        for k in range(p, q):
            t.trial[k] = t.order[k + 1]
    else:
        for k in range(p, q, -1):
            t.trial[k] = t.order[k - 1]
    t.trial[q] = task
