"""What does local search over assignments find?

Annealing with shifts, swaps and ejection chains (a job pushes another one on to a third agent), over assignments
that may exceed capacities: an excess costs a price that rises while an agent stays above its capacity and falls
while none is (strategic oscillation; Yagiura, Ibaraki and Glover, INFORMS J. Computing 16, 2004). Jobs only try
the agents that are cheap at the prices of capacity.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, LongArray
from allocenv.core.bits import next_bits, seeded
from allocenv.core.clock import perf_counter
from allocenv.core.kernel import kernel
from allocenv.core.solver import never
from allocenv.problems.task.gap.instance import GAP
from allocenv.problems.task.gap.lagrangian import Prices, capacity_prices, reduced_costs

CHUNK = 20_000  # tries between two looks at the clock
STEPS = 50  # temperatures of a search that is given its tries, about
TOLLS_EVERY = 4  # tries a job between two looks at the capacities
TRIES_A_SECOND = 1.5e7
MOST_TOLL = 40.0  # times the least: above, the search freezes


class Schedule(NamedTuple):
    """How the search cools. Temperatures in units of the typical gap from a job's cheapest to its second agent."""

    hot: float = 0.4
    cold: float = 0.1
    cycle: int = 20_000  # tries a cycle for each job, about
    candidates: int = 6  # agents a job tries, at most
    raises: float = 1.02  # price of an excess, when its agent is found above its capacity
    crowded: float = 1.0  # agents that are above their capacity at a time, about


DEFAULT = Schedule()


class Found(NamedTuple):
    """The best assignment of a search."""

    agent_of: LongArray  # [n]
    feasible: bool  # if not, the one with the least excess and cost
    value: int  # cost or profit
    tries: int


class Layout(NamedTuple):
    """The problem as the search reads it: rows are jobs."""

    cost: LongArray  # [n, m]  minimised
    weight: LongArray  # [n, m]
    capacity: LongArray  # [m]
    candidates: LongArray  # [n, K]  agents, cheapest first at the prices of capacity


class Walk(NamedTuple):
    """Where the search is."""

    agent_of: LongArray  # [n]
    load: LongArray  # [m]
    held: LongArray  # [m, n]  jobs of each agent, the first `n_held` of them
    n_held: LongArray  # [m]
    place: LongArray  # [n]  index in `held`
    toll: Array  # [m] float64  price of a unit of excess
    least_toll: Array  # [m] float64  below it an excess would pay
    total: LongArray  # [2]  cost and excess now
    best: LongArray  # [n]
    best_total: LongArray  # [2]  cost and excess of the best: less excess first, then less cost
    random: Array  # [1] uint64


def search(
    problem: GAP,
    seconds: float,
    seed: int,
    start: Array | None = None,
    tries: int | None = None,
    prices: Prices | None = None,
    schedule: Schedule = DEFAULT,
    stop: Callable[[], bool] = never,
) -> Found:
    """The best assignment found within `seconds` of wall time, or `tries` tries.

    With `tries` the same seed gives the same assignment; the time limit then still holds.

    Args:
        start: an assignment [n] to begin with, feasible or not; the result is at least as good.
        prices: of capacity, where known.

    Raises:
        ValueError: a job that fits no agent, or a start that is no assignment.
    """
    began = perf_counter()
    if len(problem.impossible_jobs):
        raise ValueError(f"Expected jobs that fit an agent; jobs {problem.impossible_jobs.tolist()} fit none.")
    prices = prices or capacity_prices(problem)
    reduced = reduced_costs(problem, prices)
    layout = layout_of(problem, reduced, schedule.candidates)
    unit = _unit(reduced)
    walk = begin(layout, layout.candidates[:, 0] if start is None else start, prices.capacity, unit, seed)
    share_above = min(schedule.crowded / problem.n_agents, 0.25)
    lowers = schedule.raises ** (-share_above / (1.0 - share_above))
    chunk = max(CHUNK if tries is None else min(CHUNK, tries // STEPS), TOLLS_EVERY * problem.n_jobs)
    done, n, cycle = 0, 0, -1
    expected = tries if tries is not None else seconds * TRIES_A_SECOND
    cycles = max(1, int(expected / (schedule.cycle * problem.n_jobs)))
    while not stop():
        now = perf_counter(n / TRIES_A_SECOND) - began
        share = now / seconds if tries is None else done / max(tries, 1)
        if share >= 1 or now >= seconds:
            break
        phase = share * cycles
        if int(phase) > cycle:
            cycle = int(phase)
            put(layout, walk, walk.best.copy())
            walk.toll[:] = 2.0 * walk.least_toll
        hot = schedule.hot * (1.0, 0.5, 0.25)[cycle % 3]
        temperature = unit * hot * (schedule.cold / hot) ** (phase - cycle)
        n = chunk if tries is None else min(chunk, tries - done)
        wander(layout, walk, n, temperature, schedule.raises, lowers)
        done += n
    feasible = int(walk.best_total[1]) == 0
    return Found(walk.best.copy(), feasible, problem.value(walk.best), done)


def layout_of(problem: GAP, reduced: Array, most: int) -> Layout:
    """The problem for the search; candidates are agents that the job fits, at most `most` a job."""
    ranked = np.where((problem.weight <= problem.capacity[:, None]).T, reduced, np.inf)
    order = np.argsort(ranked, axis=1, kind="stable")[:, :most]
    fits = np.isfinite(np.take_along_axis(ranked, order, 1))
    candidates = np.where(fits, order, order[:, :1])
    return Layout(
        np.ascontiguousarray(problem.minimised.T),
        np.ascontiguousarray(problem.weight.T),
        problem.capacity.copy(),
        np.ascontiguousarray(candidates),
    )


def begin(layout: Layout, agent_of: Array, price: Array, unit: float, seed: int) -> Walk:
    """A walk that stands at the assignment."""
    n, m = layout.cost.shape
    agent_of = np.asarray(agent_of, np.int64)
    if agent_of.shape != (n,) or (agent_of < 0).any() or (agent_of >= m).any():
        raise ValueError(f"Expected a start with one of {m} agents for each of {n} jobs.")
    least = price + 0.2 * unit / max(float(layout.weight.mean()), 1.0)
    walk = Walk(
        agent_of=agent_of.copy(),
        load=np.zeros(m, np.int64),
        held=np.zeros((m, n), np.int64),
        n_held=np.zeros(m, np.int64),
        place=np.zeros(n, np.int64),
        toll=2.0 * least,
        least_toll=least,
        total=np.zeros(2, np.int64),
        best=agent_of.copy(),
        best_total=np.array([0, np.iinfo(np.int64).max]),
        random=seeded(seed),
    )
    put(layout, walk, agent_of)
    walk.best_total[:] = walk.total
    return walk


def _unit(reduced: Array) -> float:
    """The typical gap from a job's cheapest agent to its second one."""
    if reduced.shape[1] == 1:
        return 1.0
    second = np.partition(reduced, 1, axis=1)[:, 1]
    return float(max(second.mean(), 1e-3))


@kernel
def put(x, t, agent_of):
    """Assign every job as given."""
    n, m = x.cost.shape
    t.total[0] = 0
    t.total[1] = 0
    for i in range(m):
        t.load[i] = 0
        t.n_held[i] = 0
    for j in range(n):
        i = agent_of[j]
        t.agent_of[j] = i
        t.load[i] += x.weight[j, i]
        t.total[0] += x.cost[j, i]
        t.place[j] = t.n_held[i]
        t.held[i, t.n_held[i]] = j
        t.n_held[i] += 1
    for i in range(m):
        t.total[1] += max(t.load[i] - x.capacity[i], 0)


@kernel
def _send(x, t, j, i):
    """Give job j to agent i."""
    a = t.agent_of[j]
    t.total[0] += x.cost[j, i] - x.cost[j, a]
    t.total[1] -= max(t.load[a] - x.capacity[a], 0) + max(t.load[i] - x.capacity[i], 0)
    t.load[a] -= x.weight[j, a]
    t.load[i] += x.weight[j, i]
    t.total[1] += max(t.load[a] - x.capacity[a], 0) + max(t.load[i] - x.capacity[i], 0)
    last = t.held[a, t.n_held[a] - 1]
    t.held[a, t.place[j]] = last
    t.place[last] = t.place[j]
    t.n_held[a] -= 1
    t.place[j] = t.n_held[i]
    t.held[i, t.n_held[i]] = j
    t.n_held[i] += 1
    t.agent_of[j] = i


@kernel
def _record(t):
    """Keep the assignment where it is the best: less excess first, then less cost."""
    if t.total[1] < t.best_total[1] or (t.total[1] == t.best_total[1] and t.total[0] < t.best_total[0]):
        for j in range(t.best.size):
            t.best[j] = t.agent_of[j]
        t.best_total[0] = t.total[0]
        t.best_total[1] = t.total[1]


@kernel
def _toll(x, t, i, change):
    """What a change of its load costs agent i in tolls."""
    before = max(t.load[i] - x.capacity[i], 0)
    return t.toll[i] * (max(t.load[i] + change - x.capacity[i], 0) - before)


@kernel
def wander(x, t, tries, temperature, raises, lowers):
    """Make the tries at one temperature; the tolls follow the excess on the way."""
    n, m = x.cost.shape
    k_most = x.candidates.shape[1]
    look = TOLLS_EVERY * n
    for n_try in range(tries):
        bits = next_bits(t.random)
        j = (bits & 0xFFFFF) * n >> 20
        bits >>= 20
        # squared: cheap agents are tried more often
        u = bits & 0x3FF
        i = x.candidates[j, u * u * k_most >> 20]
        bits >>= 10
        threshold = -np.log(((bits & 0x3FFF) + 0.5) / 16384.0) * temperature
        bits >>= 14
        a = t.agent_of[j]
        if i != a:
            shift = x.cost[j, i] - x.cost[j, a]
            leave = _toll(x, t, a, -x.weight[j, a])
            alone = shift + leave + _toll(x, t, i, x.weight[j, i])
            if alone <= threshold:
                _send(x, t, j, i)
                if t.total[1] <= t.best_total[1]:
                    _record(t)
            elif t.n_held[i] > 0:
                more = next_bits(t.random)
                k = t.held[i, (more & 0xFFFFF) * t.n_held[i] >> 20]
                more >>= 20
                enter = _toll(x, t, i, x.weight[j, i] - x.weight[k, i])
                best_delta = x.cost[k, a] - x.cost[k, i] + shift + enter
                best_delta += _toll(x, t, a, x.weight[k, a] - x.weight[j, a])
                to = a
                for _ in range(min(k_most, 4)):
                    u = more & 0x3FF
                    more >>= 10
                    other = x.candidates[k, u * u * k_most >> 20]
                    if other != i and other != a:
                        delta = x.cost[k, other] - x.cost[k, i] + shift + enter + leave
                        delta += _toll(x, t, other, x.weight[k, other])
                        if delta < best_delta:
                            best_delta, to = delta, other
                if best_delta <= threshold and x.weight[k, to] <= x.capacity[to]:
                    _send(x, t, j, i)
                    _send(x, t, k, to)
                    if t.total[1] <= t.best_total[1]:
                        _record(t)
        if n_try % look == look - 1:
            for i in range(m):
                if t.load[i] > x.capacity[i]:
                    t.toll[i] = min(t.toll[i] * raises, MOST_TOLL * t.least_toll[i])
                else:
                    t.toll[i] = max(t.toll[i] * lowers, t.least_toll[i])
