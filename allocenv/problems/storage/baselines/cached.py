"""What if the fastest device is run like a cache? Admit every page, then let a replacement policy say who leaves.

The policies are those of `problems/storage/caches`, each with its source there. Tiering differs from caching in
what a replacement costs: the page that leaves is written below, as it lives nowhere else. Pages enter with the
request that asks for them and those that leave make room for it, both charged as `dynamics.serve_by_page`
says; a page that enters and leaves within one request does not move.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import IntArray
from allocenv.core.kernel import kernel
from allocenv.problems.storage.caches import CACHES, Cache, access, contains, new_cache
from allocenv.problems.storage.dynamics import STAY, may_target, serve_by_page
from allocenv.problems.storage.simulation import Simulation

STYLES = {
    name: what for name, what in CACHES.items() if name not in ("lru", "belady")
}  # those two are told apart elsewhere


class Plan(NamedTuple):
    """Room for one request's plan."""

    target: IntArray  # [longest]
    leaving: IntArray  # [longest]


@kernel
def replay_cached(x, rules, s, b, cache, plan, latency, n):
    """Serve the next n requests, keeping on the fastest device what the cache holds; latencies to [n]."""
    for i in range(n):
        t = s.at[b]
        leaving = _ask(rules, s, b, cache, plan, x.first[t], x.pages[t])
        latency[i] = serve_by_page(x, rules, s, b, plan.target, plan.leaving, leaving)


@kernel
def _ask(rules, s, b, cache, plan, first, pages):
    """Tell the cache of the request's pages; where they go and who leaves for them; how many leave."""
    below, leaving = 1, 0
    while not may_target(rules, s, b, below, pages):
        below += 1
    for page in range(first, first + pages):
        left = access(cache, page)
        if left >= 0 and not first <= left < first + pages and s.alloc.bin_of[b, left] == 0:
            plan.leaving[leaving] = left
            leaving += 1
    for k in range(pages):
        if contains(cache, first + k):
            plan.target[k] = 0
        else:
            plan.target[k] = below if s.alloc.bin_of[b, first + k] == 0 else STAY
    return leaving


@dataclass
class Cached:
    """Tiering by a cache-replacement policy, as a Replayer.

    Args:
        name: one of STYLES.
        seed: of hash functions.
    """

    name: str
    seed: int = 0
    _cache: Cache | None = field(default=None, init=False, repr=False)
    _plan: Plan | None = field(default=None, init=False, repr=False)

    def __call__(self, run: Simulation, n: int) -> None:
        """Raises ValueError where the run did not begin with it."""
        x = run.trace.requests
        if self._cache is None or self._plan is None:
            if run.at:
                raise ValueError(f"Expected a run at its first request, got one at {run.at}.")
            longest = int(x.pages.max())
            self._cache = new_cache(self.name, run.trace.n_pages, int(run.rules.capacity[0]), self.seed)
            self._plan = Plan(np.zeros(longest, np.int32), np.zeros(longest, np.int32))
        replay_cached(x, run.rules, run.state, 0, self._cache, self._plan, run.next_latencies(n), n)
