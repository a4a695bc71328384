"""Replay a trace under a policy: state, clock and figures of one run.

A policy here is a `Replayer`: it serves the next n requests in compiled code, because a Python call per
request would be a thousand times slower than the simulation (facts/hybrid_storage.md 6).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import NamedTuple, Protocol

import numpy as np

from allocenv.core.arrays import Array, LongArray
from allocenv.core.bits import seeded
from allocenv.problems.storage.dynamics import State, begin, empty_state, forget_totals
from allocenv.problems.storage.rules import Rules, System
from allocenv.problems.storage.trace import Trace

CHUNK = 50_000  # requests between two signs of progress


class Replayer(Protocol):
    """A policy, with whatever it has learnt so far, bound to one simulation at a time."""

    def __call__(self, run: "Simulation", n: int) -> None:
        """Serve the next n requests and write the latency of each into `run.latency`."""


class Summary(NamedTuple):
    """Figures of the requests served since the last `measure_from_here`. Times in microseconds."""

    requests: int
    mean: float
    normalised: float  # mean / the mean had all been on an endless fastest device
    p50: float
    p99: float
    load: tuple[float, ...]  # busy share of each device
    on_fastest: float  # share of the requests' pages that were on the fastest device
    promoted: int  # pages
    demoted: int
    written_gb: tuple[float, ...]  # 10**9 bytes to each device
    dwpd: tuple[float, ...]  # drive writes per day at this rate
    seconds: float  # simulated
    wall: float  # spent simulating and deciding


@dataclass
class Simulation:
    """One run over a trace. `seed` seeds everything random in it."""

    trace: Trace
    system: System
    seed: int = 0
    rules: Rules = field(init=False)
    state: State = field(init=False)
    random: Array = field(init=False)  # [1] uint64 generator of the kernels
    latency: Array = field(init=False)  # [T] of each request served, microseconds

    def __post_init__(self) -> None:
        self.rules = self.system.rules(self.trace)
        self.state = empty_state(1, self.trace.n_pages, len(self.system.devices))
        begin(self.rules, self.state, 0, 0)
        self.state.noise[0] = seeded(self.seed)
        self.random = seeded(self.seed)
        self.latency = np.zeros(len(self.trace))
        self.measure_from_here()

    @property
    def at(self) -> int:
        """The number of the next request."""
        return int(self.state.at[0])

    def next_latencies(self, n: int) -> Array:
        """Where the latencies of the next n requests go: [n]."""
        return self.latency[self.at : self.at + n]

    def measure_from_here(self) -> None:
        """Count anew from the next request on; pages, clocks and what was learnt stay."""
        forget_totals(self.state, 0)
        self._from, self._began = self.at, float(self.state.done[0])
        self._written: LongArray = self.state.written[0].copy()
        self._wall = 0.0

    def run(self, policy: Replayer, n: int | None = None, progress: Callable[[int], None] | None = None) -> None:
        """Serve the next n requests, or all that are left."""
        end = len(self.trace) if n is None else min(self.at + n, len(self.trace))
        while self.at < end:
            count, began = min(CHUNK, end - self.at), perf_counter()
            policy(self, count)
            self._wall += perf_counter() - began
            if progress is not None:
                progress(count)

    def summary(self) -> Summary:
        """The figures since `measure_from_here`. Raises ValueError where nothing was served."""
        s, n = self.state, int(self.state.served[0])
        if n == 0:
            raise ValueError("Expected at least one request served, got 0.")
        latency = self.latency[self._from : self.at]
        p50, p99 = np.percentile(latency, [50, 99])
        elapsed = max(float(s.done[0]) - self._began, 1e-9)
        written = (s.written[0] - self._written) * self.trace.page_bytes / 1e9
        per_day = written / np.array([d.gigabytes for d in self.system.devices]) / (elapsed / 86_400e6)
        return Summary(
            requests=n,
            mean=float(s.latency[0]) / n,
            normalised=float(s.latency[0]) / float(s.baseline[0]),
            p50=float(p50),
            p99=float(p99),
            load=tuple((s.busy[0] / elapsed).tolist()),
            on_fastest=float(s.fast_pages[0]) / float(s.pages[0]),
            promoted=int(s.promoted[0]),
            demoted=int(s.demoted[0]),
            written_gb=tuple(written.tolist()),
            dwpd=tuple(per_day.tolist()),
            seconds=elapsed / 1e6,
            wall=self._wall,
        )


def second_half(trace: Trace, system: System, policy: Replayer, seed: int = 0) -> Summary:
    """Run over the first half, which may teach the policy, and report the second."""
    run = Simulation(trace, system, seed)
    run.run(policy, len(trace) // 2)
    run.measure_from_here()
    run.run(policy)
    return run.summary()
