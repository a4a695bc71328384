"""How do the policies that plan once an epoch work? Score the pages, then swap them in the background.

At the end of an epoch every page gets a score: how much it should be used in the next one. The best that
the fastest device can hold go there, the worst there make room, both through `dynamics.migrate`; a swap
happens only where the page that comes up scores above the one that goes down. Inside an epoch every request
is served where its pages are. What the published policies differ in is the score.
"""

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from allocenv.core.arrays import Array, BoolArray, IntArray
from allocenv.core.kernel import kernel
from allocenv.problems.storage.dynamics import STAY, may_migrate, migrate, serve
from allocenv.problems.storage.simulation import Simulation
from allocenv.problems.storage.trace import Trace

EPOCHS = 100  # of a trace, where that makes epochs of the lengths HPS and RNN-HSS try
SHORTEST, LONGEST = 1_000, 10_000  # requests
COUNT, SIZE, WRITES, SEQUENTIAL = range(4)
FEATURES = 4


class PageUse(NamedTuple):
    """What an epoch's requests did to the pages they touched."""

    pages: IntArray  # [U] rising
    features: Array  # [U, FEATURES] accesses; mean pages of the requests; shares of writes, of sequential requests


class Scorer(Protocol):
    """The part of an epoch-based policy that its paper is about."""

    def score(self, use: PageUse, n_pages: int, capacity: int) -> Array:
        """The score of every page [M] for the next epoch, from what the one that ends did; 0 and below: cold."""


@kernel
def replay_targets(x, rules, s, b, targets, latency, n):
    """Serve the next n requests with the targets [n]; writes the latency of each [n]."""
    for i in range(n):
        latency[i] = serve(x, rules, s, b, targets[i])


@kernel
def swap(x, rules, s, b, up, down):
    """Migrate pages: `down` [N] to the next slower device, `up` [N] to the fastest; -1 is passed over."""
    for i in range(len(up)):
        if down[i] >= 0 and may_migrate(rules, s, b, down[i], 1):
            migrate(x, rules, s, b, down[i], 1)
        has_room = s.alloc.used[b, 0, 0] < rules.capacity[0]
        if has_room and may_migrate(rules, s, b, up[i], 0):
            migrate(x, rules, s, b, up[i], 0)


def epoch_length(trace: Trace) -> int:
    """Requests of an epoch."""
    return int(np.clip(len(trace) // EPOCHS, SHORTEST, LONGEST))


def use_of(trace: Trace, begin: int, end: int) -> PageUse:
    """What requests begin..end-1 did to their pages."""
    part = trace.part(begin, end)
    r = part.requests
    after = r.address[r.first] + r.pages
    sequential = np.concatenate([[False], r.address[r.first[1:]] == after[:-1]])
    pages, place = np.unique(part.page_accesses, return_inverse=True)
    per_access = np.stack([np.ones(len(r.pages)), r.pages, r.write, sequential], axis=1)
    repeated = np.repeat(per_access, r.pages, axis=0)  # [P, FEATURES]
    sums: Array = np.stack([np.bincount(place, repeated[:, f], len(pages)) for f in range(FEATURES)], axis=1)
    sums[:, 1:] /= sums[:, :1]
    return PageUse(pages.astype(np.int32), sums)


def choose_swaps(score: Array, on_fastest: BoolArray, capacity: int, at_most: int) -> tuple[IntArray, IntArray]:
    """Pages to bring up and, beside each, the page that makes room for it or -1: [N] both, the best first."""
    below = np.flatnonzero((score > 0) & ~on_fastest)
    above = np.flatnonzero(on_fastest)
    coming = below[np.argsort(-score[below], kind="stable")[:at_most]]
    room = capacity - len(above)
    leaving = above[np.argsort(score[above], kind="stable")]
    down = np.concatenate([np.full(room, -1), leaving])[: len(coming)]
    coming = coming[: len(down)]
    pays = (down < 0) | (score[coming] > score[down])
    return coming[pays].astype(np.int32), down[pays].astype(np.int32)


@dataclass
class EpochMigration:
    """A policy that migrates by a score once an epoch, as a Replayer.

    Args:
        scorer: what the paper is about.
        length: requests of an epoch, counted from the trace's first one.
        at_most: pages that come up at the end of one epoch.
    """

    scorer: Scorer
    length: int
    at_most: int = 2**31 - 1
    _targets: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.length < 1:
            raise ValueError(f"Expected length >= 1, got {self.length}.")
        self._targets = np.full(self.length, STAY)

    def __call__(self, run: Simulation, n: int) -> None:
        end = run.at + n
        while run.at < end:
            if run.at and run.at % self.length == 0:
                self._migrate(run)
            count = min(end, (run.at // self.length + 1) * self.length) - run.at
            latency = run.next_latencies(count)
            replay_targets(run.trace.requests, run.rules, run.state, 0, self._targets, latency, count)

    def _migrate(self, run: Simulation) -> None:
        capacity = int(run.rules.capacity[0])
        use = use_of(run.trace, run.at - self.length, run.at)
        score = self.scorer.score(use, run.trace.n_pages, capacity)
        on_fastest = run.state.alloc.bin_of[0] == 0
        up, down = choose_swaps(score, on_fastest, capacity, self.at_most)
        swap(run.trace.requests, run.rules, run.state, 0, up, down)
