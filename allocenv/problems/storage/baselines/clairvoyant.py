"""How good could placement be, were the future known? Belady with bypass, plain and aware of what moves cost.

Belady (IBM Systems Journal 1966) holds the pages that are used next and refuses those used again later than
all held. He minimises misses; where moves cost something a page should enter only if it will be used often
enough to pay for it: at least m more times, with at most T page accesses from each use to the next.
`oracle_cost_aware` takes the best T and m of a grid, by replaying (facts/hybrid_storage.md 4 and 8).
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, IntArray, LongArray
from allocenv.core.kernel import inlined, kernel
from allocenv.problems.storage.caches.heap import sift_down, sift_up
from allocenv.problems.storage.dynamics import STAY, may_target, may_write, serve_by_page
from allocenv.problems.storage.rules import System
from allocenv.problems.storage.simulation import Simulation
from allocenv.problems.storage.trace import Trace

REUSE_DISTANCES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)  # T, in capacities of the fastest device
REUSES = (1, 2, 3, 4, 6, 10, 16)  # m
ANY_DISTANCE = 2**62
OUTSIDE = -1  # slot of a page that the heap does not hold
MANY = 127  # uses beyond which none are counted


class Future(NamedTuple):
    """What comes after each page access of a trace, and the longest request. Built once a trace."""

    begins: LongArray  # [T + 1]  number of the request's first page access
    next_access: IntArray  # [P]  when the page is accessed next: P where it is not
    request: IntArray  # [P + 1]  of each page access; T behind the end
    longest: int  # pages of the longest request


class Worth(NamedTuple):
    """How often each page access is followed by others soon enough."""

    uses: Array  # [P] int8, up to MANY
    wanted: int  # a page is admitted with at least so many


class Held(NamedTuple):
    """The pages on the fastest device, the one used last on top of a heap, and room for one request's plan."""

    heap: IntArray  # [capacity]
    slot: IntArray  # [M]  place in the heap, or OUTSIDE
    key: LongArray  # [M]  the later the next use the larger; of equals the first neighbour the largest
    size: LongArray  # [1]
    target: IntArray  # [longest]
    leaving: IntArray  # [longest]


def future_of(trace: Trace) -> Future:
    """The future of a trace."""
    accesses, pages = trace.page_accesses, trace.requests.pages
    begins = np.concatenate([[0], np.cumsum(pages, dtype=np.int64)])
    request = np.repeat(np.arange(len(pages) + 1, dtype=np.int32), np.append(pages, 1))
    next_access = np.empty(len(accesses), np.int32)
    _find_next(accesses, np.full(trace.n_pages, len(accesses), np.int32), next_access)
    return Future(begins, next_access, request, int(pages.max()))


def worth_of(future: Future, distance: int, wanted: int) -> Worth:
    """Uses that follow each page access within `distance` page accesses each."""
    uses = np.empty(len(future.next_access), np.int8)
    _count_uses(future.next_access, distance, uses)
    return Worth(uses, wanted)


@kernel
def _find_next(accesses, following, out):
    """Fill `out` [P] backwards; `following` [M]: the earliest access of each page seen so far."""
    for k in range(len(accesses) - 1, -1, -1):
        out[k] = following[accesses[k]]
        following[accesses[k]] = k


@kernel
def _count_uses(next_access, distance, out):
    """Fill `out` [P] backwards."""
    for k in range(len(next_access) - 1, -1, -1):
        after = next_access[k]
        soon = after < len(next_access) and after - k <= distance
        out[k] = min(out[after] + 1, MANY) if soon else 0


@kernel
def replay_clairvoyant(x, rules, s, b, future, worth, held, latency, n):
    """Serve the next n requests, knowing the future; writes the latency of each [n]."""
    for i in range(n):
        t = s.at[b]
        first, pages = x.first[t], x.pages[t]
        _look_ahead(future, held, first, pages, future.begins[t])
        leaving = _plan(rules, s, b, future, worth, held, first, pages, future.begins[t])
        latency[i] = serve_by_page(x, rules, s, b, held.target, held.leaving, leaving)
        _agree(s, b, held, first, pages, leaving)


@inlined
def _look_ahead(future, held, first, pages, access):
    """Give the request's pages the key of their next use."""
    n = len(held.key)
    for k in range(pages):
        page = first + k
        held.key[page] = future.request[future.next_access[access + k]] * np.int64(n) + (n - 1 - page)
        held.target[k] = STAY
        if held.slot[page] != OUTSIDE:
            sift_up(held.heap, held.slot, held.key, held.slot[page], page)


@kernel
def _plan(rules, s, b, future, worth, held, first, pages, access):
    """Choose targets for the request's pages and who leaves for them; how many leave.

    A page used sooner than the last one held takes its place. If that is one of the request too, it stays
    below or goes down by itself.
    """
    leaving = 0
    n = len(held.key)
    never = np.int64(len(future.begins) - 1) * n
    if not may_write(rules, s, b, 0, pages):
        return leaving
    below = 1
    while not may_target(rules, s, b, below, pages):
        below += 1
    for k in range(pages):
        page = first + k
        if held.slot[page] != OUTSIDE or held.key[page] >= never or worth.uses[access + k] < worth.wanted:
            continue
        if held.size[0] == rules.capacity[0]:
            last = held.heap[0]
            if held.key[page] // n >= held.key[last] // n:
                continue
            _drop(held, last)
            if not first <= last < first + pages:
                held.leaving[leaving] = last
                leaving += 1
            elif held.target[last - first] == 0:
                held.target[last - first] = STAY
            else:
                held.target[last - first] = below
        held.target[k] = 0
        _push(held, page)
    return leaving


@kernel
def _agree(s, b, held, first, pages, leaving):
    """Let the heap hold what the fastest device holds: endurance may have forbidden a move."""
    for k in range(leaving):
        if s.alloc.bin_of[b, held.leaving[k]] == 0:
            _push(held, held.leaving[k])
    for page in range(first, first + pages):
        on_fastest = s.alloc.bin_of[b, page] == 0
        if on_fastest and held.slot[page] == OUTSIDE:
            _push(held, page)
        elif not on_fastest and held.slot[page] != OUTSIDE:
            _drop(held, page)


@kernel
def _push(held, page):
    held.size[0] += 1
    sift_up(held.heap, held.slot, held.key, held.size[0] - 1, page)


@kernel
def _drop(held, page):
    slot = held.slot[page]
    held.slot[page] = OUTSIDE
    held.size[0] -= 1
    filler = held.heap[held.size[0]]
    if filler != page:
        sift_up(held.heap, held.slot, held.key, slot, filler)
        sift_down(held.heap, held.slot, held.key, held.size[0], held.slot[filler], filler)


@dataclass
class Clairvoyant:
    """Belady with bypass that admits what is used often enough, as a Replayer of a whole trace.

    Args:
        future: of the trace replayed.
        distance: page accesses from one use to the next, at most, for it to count.
        wanted: uses to come that admit a page; 1 with any distance is Belady's rule.
    """

    future: Future
    distance: int = ANY_DISTANCE
    wanted: int = 1
    _worth: Worth = field(init=False, repr=False)
    _held: Held | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self._worth = worth_of(self.future, self.distance, self.wanted)

    def __call__(self, run: Simulation, n: int) -> None:
        """Raises ValueError where the trace is another, or the run did not begin with it."""
        if self._held is None:
            if len(self.future.begins) != len(run.trace) + 1:
                raise ValueError(f"Expected {len(self.future.begins) - 1} requests, got {len(run.trace)}.")
            if run.at:
                raise ValueError(f"Expected a run at its first request, got one at {run.at}.")
            self._held = _held_by(run.trace.n_pages, int(run.rules.capacity[0]), self.future.longest)
        x, latency = run.trace.requests, run.next_latencies(n)
        replay_clairvoyant(x, run.rules, run.state, 0, self.future, self._worth, self._held, latency, n)


def _held_by(pages: int, capacity: int, longest: int) -> Held:
    return Held(
        heap=np.zeros(capacity, np.int32),
        slot=np.full(pages, OUTSIDE, np.int32),
        key=np.zeros(pages, np.int64),
        size=np.zeros(1, np.int64),
        target=np.zeros(longest, np.int32),
        leaving=np.zeros(longest, np.int32),
    )


def belady(trace: Trace) -> Clairvoyant:
    """Belady with bypass, for each page."""
    return Clairvoyant(future_of(trace))


def cost_aware(trace: Trace, system: System, begin: int | None = None) -> Clairvoyant:
    """The distance and number of uses of the grid with the least latency of the requests from `begin` on.

    Args:
        trace: replayed from its first request on, once for each point of the grid.
        system: the devices and their accounting.
        begin: the first request that counts; None: half of them.
    """
    future = future_of(trace)
    begin = len(trace) // 2 if begin is None else begin
    rules = system.rules(trace)

    def latency_of(policy: Clairvoyant) -> float:
        run = Simulation(trace, system)
        run.run(policy, begin)
        run.measure_from_here()
        run.run(policy)
        return float(run.state.latency[0])

    grid = [
        Clairvoyant(future, int(share * int(rules.capacity[0])), uses) for share in REUSE_DISTANCES for uses in REUSES
    ]
    best = min(grid, key=latency_of)
    return Clairvoyant(future, best.distance, best.wanted)
