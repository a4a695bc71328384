"""How fast could any policy serve a trace? The least total latency of a small trace, by min-cost flow.

A page is kept on the fast device from one of its accesses to the next, or not: each such gap that is kept takes
one page of capacity all along, and lets the access at its end be served fast (facts/hybrid_storage.md 4). Pages
of capacity flow along the requests, free or in a gap:

    free[t] -> after[t]     the page of request t is put on the fast device
    after[t] -> before[u]   it is kept until u, its next access
    before[u] -> after[u]   it stays, or
    before[u] -> free[u]    it leaves

For requests of one page, moves charged and devices without a moving head the bound is exact over all policies
of `dynamics.serve` and `dynamics.migrate` that know the future: it never pays to move a page between two of its
accesses, since to place it elsewhere at the access before or after costs less. It stays a lower bound with
a moving head (no seek is counted), in the open loop (no queue is counted) and under limits of wear or bandwidth.
"""

import numpy as np
from ortools.graph.python.min_cost_flow import SimpleMinCostFlow

from allocenv.core.arrays import Array, BoolArray, LongArray
from allocenv.problems.storage.caches.belady import NEVER, next_uses
from allocenv.problems.storage.dynamics import READ, WRITE
from allocenv.problems.storage.rules import System
from allocenv.problems.storage.trace import Trace

NS_PER_US = 1000  # the flow's costs are whole nanoseconds


def lower_bound(trace: Trace, system: System) -> float:
    """The least sum of the latencies of all requests, microseconds, when every page begins on the slow device.

    Raises:
        ValueError: not two devices, moves not charged, or a request of several pages.
    """
    if len(system.devices) != 2:
        raise ValueError(f"Expected 2 devices, got {len(system.devices)}.")
    if system.accounting != "charged":
        raise ValueError(f"Expected moves charged, got {system.accounting!r}.")
    if trace.requests.pages.max() > 1:
        raise ValueError(f"Expected requests of one page, got one of {trace.requests.pages.max()}.")
    rules, write = system.rules(trace), trace.requests.write
    first = np.rint(rules.timing.first * NS_PER_US).astype(np.int64)  # [2, 2]  read, write
    unaided = int(np.where(write, first[WRITE, 1], first[READ, 1]).sum())
    following = next_uses(trace.page_accesses, trace.n_pages)
    return (unaided + _flow_cost(first, write, following, int(rules.capacity[0]))) / NS_PER_US


def _flow_cost(first: LongArray, write: BoolArray, following: LongArray, capacity: int) -> int:
    """What the best use of the fast device adds to serving all requests [T] from the slow one; at most 0."""
    n = len(write)
    free, end = np.arange(n), n
    before, after = n + 1 + free, 2 * n + 1 + free
    again = following < NEVER
    into = following[again]
    (fast_read, slow_read), (fast_write, slow_write) = first.tolist()
    flow = SimpleMinCostFlow()

    def arcs(tail: Array, head: Array, room: int, cost: Array | int) -> None:
        flow.add_arcs_with_capacity_and_unit_cost(
            tail, head, np.full(len(tail), room), np.broadcast_to(np.asarray(cost, np.int64), len(tail))
        )

    arcs(free, free + 1, capacity, 0)
    # A read brings a page by writing it, too; a write goes to either device.
    arcs(free, after, 1, np.where(write, fast_write - slow_write, fast_write))
    arcs(after[again], before[into], 1, np.where(write[into], 0, fast_read - slow_read))
    arcs(after[~again], np.full(int((~again).sum()), end), 1, 0)
    arcs(before[~write], after[~write], 1, 0)
    arcs(before, free, 1, np.where(write, 0, slow_write))
    flow.set_node_supply(0, capacity)
    flow.set_node_supply(end, -capacity)
    status = flow.solve()
    if status != SimpleMinCostFlow.OPTIMAL:
        raise RuntimeError(f"Expected an optimal flow, got status {status}.")
    return int(flow.optimal_cost())
