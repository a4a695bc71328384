"""How fast could any policy serve a trace? The least total latency of a small trace, by min-cost flow.

A page is kept on the fast device from one of its accesses to the next, or not: each such gap that is kept takes
one page of capacity all along, and lets the access at its end be served fast (facts/hybrid_storage.md 4). Pages
of capacity flow along the requests t, free or in a gap of one page from access k to its next access l:

    free[t] -> after[k]     the page is put on the fast device
    after[k] -> before[l]   it is kept
    before[l] -> after[l]   it stays, or
    before[l] -> free[u]    it leaves

For requests of one page, moves charged and devices without a moving head the bound is exact over all policies
of `dynamics.serve` and `dynamics.migrate` that know the future: it never pays to move a page between two of its
accesses, since to place it elsewhere at the access before or after costs less.
It stays a lower bound, not an exact one, with a moving head (no seek is counted), in the open loop (no queue is
counted), under limits of wear or bandwidth, and for requests of several pages (see `_lines` and `_move_us`).
"""

from typing import NamedTuple

import numpy as np
from ortools.graph.python.min_cost_flow import SimpleMinCostFlow

from allocenv.core.arrays import Array, BoolArray, LongArray
from allocenv.problems.storage.caches.belady import NEVER, next_uses
from allocenv.problems.storage.devices import Timing
from allocenv.problems.storage.dynamics import READ, WRITE
from allocenv.problems.storage.rules import System
from allocenv.problems.storage.trace import Trace

FAST, SLOW = 0, 1
NS_PER_US = 1000  # the flow's costs are whole nanoseconds


class Costs(NamedTuple):
    """What the requests cost at least, ns."""

    fast: LongArray  # [T]  with all pages on the fast device
    slow_page: LongArray  # [T]  more for each page that is read from the slow device, or is there after a write
    up: LongArray  # [T]  for each page moved to the fast device after a read
    down: LongArray  # [T]  for each page moved to the slow device after a read


def lower_bound(trace: Trace, system: System) -> float:
    """The least sum of the latencies of all requests, microseconds, when every page begins on the slow device.

    About 10 s for 20,000 page accesses, and growing with their square.

    Raises:
        ValueError: not two devices, or moves not charged.
    """
    if len(system.devices) != 2:
        raise ValueError(f"Expected 2 devices, got {len(system.devices)}.")
    if system.accounting != "charged":
        raise ValueError(f"Expected moves charged, got {system.accounting!r}.")
    rules, r = system.rules(trace), trace.requests
    costs = _costs(rules.timing, r.pages, r.write)
    request = np.repeat(np.arange(len(trace)), r.pages)
    following = next_uses(trace.page_accesses, trace.n_pages)
    unaided = int((costs.fast + costs.slow_page * r.pages).sum())
    return (unaided + _flow_cost(costs, r.write, request, following, int(rules.capacity[FAST]))) / NS_PER_US


def _costs(timing: Timing, pages: Array, write: BoolArray) -> Costs:
    """The costs of requests of some pages [T], computed once for each size."""
    most = int(pages.max())
    sizes, which = np.unique(pages, return_inverse=True)
    lines = np.array([[_line(timing, op, int(n)) for n in sizes] for op in (READ, WRITE)])  # [2, sizes, 2]
    fast, slow_page = lines[write.astype(np.int64), which].T
    evict = _move_us(timing, READ, FAST, most) + _move_us(timing, WRITE, SLOW, most)
    return Costs(
        fast=_ns(fast),
        slow_page=_ns(np.where(write, np.minimum(slow_page, evict), slow_page)),
        up=_ns(_move_us(timing, WRITE, FAST, pages)),
        down=_ns(np.minimum(_move_us(timing, WRITE, SLOW, pages), evict)),
    )


def _move_us(timing: Timing, op: int, device: int, n: Array | int) -> Array:
    """What each page of an I/O that moves at most n of them costs at least: all n in one run share its start."""
    further = timing.further[op, device]
    return np.asarray(further + (timing.first[op, device] - further) / n)


def _line(timing: Timing, op: int, n: int) -> tuple[float, float]:
    """(a, b): a request of n pages takes at least a + b k where the slow device serves k of them.

    Both devices work in parallel, each on at least one run. Of the lines below these n + 1 times, the one that
    is highest halfway; for one page it meets both times.
    """
    k = np.arange(n + 1)
    fast, slow = (
        np.where(count > 0, timing.first[op, d] + (count - 1) * timing.further[op, d], 0.0)
        for d, count in ((FAST, n - k), (SLOW, k))
    )
    time = np.maximum(fast, slow)
    left, right = k[k < n / 2], k[k >= n / 2]
    slopes = (time[right][None, :] - time[left][:, None]) / (right[None, :] - left[:, None])
    halfway = time[left][:, None] + slopes * (n / 2 - left[:, None])
    # To move a page up just before it is read takes a read of the slow device as well: b is no more than that.
    b = float(np.clip(slopes.flat[halfway.argmin()], 0.0, timing.first[op, SLOW]))
    return float((time - b * k).min()), b


def _ns(us: Array) -> LongArray:
    """Whole nanoseconds, rounded down but for errors of floating point."""
    return np.floor(us * NS_PER_US + 1e-6).astype(np.int64)


def _flow_cost(costs: Costs, write: BoolArray, request: LongArray, following: LongArray, capacity: int) -> int:
    """What the best use of the fast device adds to serving all from the slow one, ns; at most 0.

    Args:
        costs: of the requests [T].
        write: [T].
        request: [P] of each page access.
        following: [P] the next access of its page, or NEVER.
        capacity: pages of the fast device.
    """
    n_requests, n = len(write), len(request)
    time, access = np.arange(n_requests), np.arange(n)
    end, before, after = n_requests, n_requests + 1 + access, n_requests + 1 + n + access
    again, writes, slow_page = following < NEVER, write[request], costs.slow_page[request]
    into = following[again]
    flow = SimpleMinCostFlow()

    def arcs(tail: Array, head: Array, room: int, cost: Array | int) -> None:
        flow.add_arcs_with_capacity_and_unit_cost(
            tail, head, np.full(len(tail), room), np.broadcast_to(np.asarray(cost, np.int64), len(tail))
        )

    arcs(time, time + 1, capacity, 0)
    # A write goes to either device; a page that was read is written once more to move.
    arcs(request, after, 1, np.where(writes, -slow_page, costs.up[request]))
    arcs(after[again], before[into], 1, np.where(writes[into], 0, -slow_page[into]))
    arcs(after[~again], np.full(int((~again).sum()), end), 1, 0)
    arcs(before[~writes], after[~writes], 1, 0)
    arcs(before, request, 1, np.where(writes, 0, costs.down[request]))
    flow.set_node_supply(0, capacity)
    flow.set_node_supply(end, -capacity)
    status = flow.solve()
    if status != SimpleMinCostFlow.OPTIMAL:
        raise RuntimeError(f"Expected an optimal flow, got status {status}.")
    return int(flow.optimal_cost())
