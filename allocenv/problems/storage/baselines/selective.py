"""LRU that does not take everything: n-hit, random admission, sequential cut-off; and the fixed targets.

These rules are the strong opponents (facts/hybrid_storage.md 8): n-hit is Open CAS's `nhit` and dm-cache's
promotion threshold, the sequential cut-off bcache's, random admission the simplest of all (Einziger et al.,
TinyLFU, discuss it). A request is admitted to the fastest device as a whole or served where its pages are.
"""

from dataclasses import dataclass
from typing import NamedTuple

from allocenv.core.bits import next_bits
from allocenv.core.kernel import inlined, kernel
from allocenv.problems.storage.dynamics import STAY, serve
from allocenv.problems.storage.simulation import Simulation

NO_CUTOFF = 1 << 30


class Admission(NamedTuple):
    """When is a request admitted to the fastest device? All conditions must hold."""

    hits: int = 0  # earlier requests that touched its first page
    probability: float = 1.0
    cutoff: int = NO_CUTOFF  # pages of a sequential run up to this request, at most


@inlined
def admits(x, s, b, rule, run, random):
    """Whether the next request, which ends a sequential run of `run` pages, is admitted."""
    t = s.at[b]
    if run > rule.cutoff or s.accesses[b, x.first[t]] < rule.hits:
        return False
    return rule.probability >= 1.0 or (next_bits(random) >> 10) * (1.0 / (1 << 53)) < rule.probability


@kernel
def replay_selective(x, rules, s, b, rule, random, latency, n):
    """Serve the next n requests under LRU with selective admission; writes the latency of each [n]."""
    run = 0
    after = -1
    for i in range(n):
        t = s.at[b]
        address = x.address[x.first[t]]
        run = run + x.pages[t] if address == after else x.pages[t]
        after = address + x.pages[t]
        target = 0 if admits(x, s, b, rule, run, random) else STAY
        latency[i] = serve(x, rules, s, b, target)


@kernel
def replay_fixed(x, rules, s, b, target, latency, n):
    """Serve the next n requests, each with the same target; writes the latency of each [n]."""
    for i in range(n):
        latency[i] = serve(x, rules, s, b, target)


@dataclass(frozen=True)
class Selective:
    """LRU with selective admission, as a Replayer."""

    rule: Admission

    def __call__(self, run: Simulation, n: int) -> None:
        latency = run.next_latencies(n)
        replay_selective(run.trace.requests, run.rules, run.state, 0, self.rule, run.random, latency, n)


@dataclass(frozen=True)
class Fixed:
    """Every request to the same device, or (STAY) to wherever its pages are, as a Replayer."""

    target: int

    def __call__(self, run: Simulation, n: int) -> None:
        replay_fixed(run.trace.requests, run.rules, run.state, 0, self.target, run.next_latencies(n), n)
