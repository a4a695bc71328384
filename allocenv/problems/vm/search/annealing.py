"""What does simulated annealing over assignments find?

A state is an assignment with about `max_moves` displaced VMs at most. Three things make it quick: the guide, which
bends the worth of a free amount so that VMs gather where a chunk is nearly full; the toll, a price of displaced
VMs that settles where the budget is just used up, so that weak moves are given up for better ones; and places
sorted by what is free.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import IntArray, LongArray
from allocenv.core.clock import perf_counter
from allocenv.core.solver import never
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.objective import Rules
from allocenv.problems.vm.search.compact import BIN, VARIANT, Layout, Plan, apply, compact, copied, guided, objective_at
from allocenv.problems.vm.search.greedy import greedy_moves
from allocenv.problems.vm.search.ordering import ordered
from allocenv.problems.vm.search.places import Places, places_of
from allocenv.problems.vm.search.tour import Tour, back_to_best, begin_at, tour_of, wander

CHUNK = 5_000  # tries between two looks at the clock, at most
LEAST_CHUNK = 250
TRIES_A_SECOND = 2e7
COUNTED_A_SECOND = 1.1e7  # tries that a counted second stands for: what clusters of 280 machines take
MAX_CYCLES = 24
STAGES = 24  # of the guide in a cycle


class Schedule(NamedTuple):
    """How the search cools. Amounts are chunks; tuned on churned clusters other than the benchmark's."""

    hot: float = 0.08  # temperature at the start of a cycle (some cycles: twice, four times that)
    cold: float = 0.015  # and at its end
    bend: float = -0.5  # of the guide at the start
    last_bend: float = -0.1
    smooth: float = 0.5  # how much the guide counts shares of two-node chunks
    lonely: float = 0.6  # what the guide still gives of an emptied machine's worth for each VM left on it
    toll: float = 0.3  # of a displaced VM at the start
    least_toll: float = 2.0  # in temperatures; keeps the VMs from wandering about where moves abound
    learn: float = 20.0  # how fast the toll follows the use of the budget, over a cycle
    slack: int = 4  # displaced VMs above the limit on the way
    cycle: int = 600  # tries of a cycle for each VM that may be moved, at least


DEFAULT = Schedule()


def anneal(
    cluster: Cluster,
    rules: Rules,
    max_moves: int,
    seconds: float,
    seed: int,
    start: tuple[IntArray, IntArray] | None = None,
    tries: int | None = None,
    schedule: Schedule = DEFAULT,
    stop: Callable[[], bool] = never,
) -> Plan:
    """The best plan of at most `max_moves` moves found within `seconds` of wall time, or `tries` tries.

    With `tries` the same seed gives the same plan; the time limit then still holds. `start` is an assignment
    (bin_of, variant_of) to begin with; the plan is at least as good.

    Raises:
        ValueError: max_moves < 1, or a start with more moves than that or over a capacity.
    """
    started = perf_counter()
    if max_moves < 1:
        raise ValueError(f"Expected max_moves >= 1, got {max_moves}.")
    home = compact(cluster, rules)
    layout = copied(home)
    tour = tour_of(layout, max_moves, schedule.slack, schedule.bend, (schedule.smooth, schedule.lonely), seed)
    begin_at(layout, tour, *(start or _greedy_start(home, max_moves, rules.goal)))
    places = places_of(cluster, layout)
    setup = perf_counter() - started
    until = started + max(seconds - setup, 0.8 * seconds)  # the end takes about as long as the beginning
    done = _cool(layout, places, tour, schedule, max_moves, rules.goal, until, tries, stop)
    moves, after = _plan(home, tour, max_moves, rules.goal)
    objective, price = objective_at(after)
    return Plan(
        bin_of=after.vms[:, BIN].astype(np.int32),
        variant_of=after.vms[:, VARIANT].astype(np.int32),
        moves=moves,
        objective=objective,
        price=price,
        tries=done,
        seconds=perf_counter() - started,
    )


def _greedy_start(home: Layout, max_moves: int, goal: float) -> tuple[LongArray, LongArray]:
    layout = copied(home)
    greedy_moves(layout, max_moves, goal)
    return layout.vms[:, BIN], layout.vms[:, VARIANT]


def _cool(
    layout: Layout,
    places: Places,
    tour: Tour,
    schedule: Schedule,
    max_moves: int,
    goal: float,
    until: float,
    tries: int | None,
    stop: Callable[[], bool],
) -> int:
    """Cool in cycles until the time is over, all tries are made or the goal is reached; how many were made."""
    started = perf_counter()
    expected = tries if tries is not None else (until - started) * TRIES_A_SECOND
    cycles = max(1, min(MAX_CYCLES, int(expected / (schedule.cycle * max(len(tour.movers), 1)))))
    done, n, cycle, stage, before, toll = 0, 0, 0, -1, 0.0, schedule.toll
    while len(tour.movers) and layout.base - layout.unit * tour.worth[1] > goal:
        now = perf_counter(n / COUNTED_A_SECOND)
        share = (now - started) / (until - started) if tries is None else done / tries
        if now >= until or share >= 1 or stop():
            break
        if int(share * cycles) > cycle:
            cycle += 1
            back_to_best(layout, places, tour)
        phase = share * cycles - cycle
        hot = schedule.hot * (1, 2, 1, 4)[cycle % 4]
        temperature = hot * (schedule.cold / hot) ** phase
        if int(phase * STAGES) != stage:
            stage = int(phase * STAGES)
            tour.guide[...] = guided(layout, schedule.bend + (schedule.last_bend - schedule.bend) * phase)
        n = CHUNK if tries is None else min(CHUNK, max(LEAST_CHUNK, tries // 200), tries - done)
        crowd = wander(layout, places, tour, n, temperature, toll, max_moves) / n
        toll += schedule.learn * (share - before) * cycles * (crowd / max_moves - 1)
        toll = max(schedule.least_toll * temperature, min(toll, 1.0))
        done, before = done + n, share
    return done


def _plan(home: Layout, tour: Tour, max_moves: int, goal: float) -> tuple[IntArray, Layout]:
    """The best plan in a legal order, after greedy has used what the budget leaves."""
    layout = copied(home)
    for vm, pm, variant in tour.best[: tour.best[-1, 0]]:
        apply(layout, vm, pm, variant)
    greedy_moves(layout, max_moves - int(tour.best[-1, 0]), goal)
    return ordered(home, layout.vms[:, BIN], layout.vms[:, VARIANT], max_moves)
