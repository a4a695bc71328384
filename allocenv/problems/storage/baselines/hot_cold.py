"""CDE: writes that are hot or random go to the fastest device, cold sequential ones to the slowest.

Cold-data eviction, Matsui et al. (Proc. IEEE 2017), as Sibyl (ISCA 2022, section 7) runs it. Placement only,
by the targets of writes: reads are served where their pages are, so that a trace without writes stays on the
slowest device; where the fastest is full its least recently used pages go down.
"""

from dataclasses import dataclass, field

import numpy as np

from allocenv.core.arrays import Array, IntArray
from allocenv.core.kernel import kernel
from allocenv.problems.storage.baselines.epochs import replay_targets
from allocenv.problems.storage.baselines.tuning import replayed
from allocenv.problems.storage.dynamics import STAY
from allocenv.problems.storage.rules import System
from allocenv.problems.storage.simulation import Simulation
from allocenv.problems.storage.trace import Trace

RANDOM_KIB = (4, 16, 64)
HOT_WRITES = (2, 4)


@dataclass
class CDE:
    """Cold-data eviction, as a Replayer.

    Args:
        random_kib: a write of at most that many, or one that does not continue the last request, is random.
        hot_writes: a page written so often, this time included, is hot.
    """

    random_kib: int = 16
    hot_writes: int = 4
    _writes: IntArray | None = field(default=None, init=False, repr=False)  # [M] so far

    def __call__(self, run: Simulation, n: int) -> None:
        if self._writes is None:
            self._writes = np.zeros(run.trace.n_pages, np.int32)
        targets: Array = np.empty(n, np.int64)
        x, small = run.trace.requests, self.random_kib * 1024 // run.trace.page_bytes
        cold = len(run.rules.capacity) - 1
        _choose(x, run.at, self._writes, small, self.hot_writes, cold, targets)
        replay_targets(x, run.rules, run.state, 0, targets, run.next_latencies(n), n)


@kernel
def _choose(x, begin, writes, small, hot, cold, targets):
    """Fill the targets [n] of the requests from `begin` on; counts `writes` [M] of first pages."""
    for i in range(len(targets)):
        t = begin + i
        targets[i] = STAY
        if x.write[t]:
            first = x.first[t]
            writes[first] += 1
            follows = t > 0 and x.address[first] == x.address[x.first[t - 1]] + x.pages[t - 1]
            is_random = x.pages[t] <= small or not follows
            targets[i] = 0 if is_random or writes[first] >= hot else cold


def tuned_cde(trace: Trace, system: System) -> CDE:
    """CDE with the limits that serve the first half of the trace best."""
    before = trace.halves()[0]
    grid = [(kib, writes) for kib in RANDOM_KIB for writes in HOT_WRITES]
    return CDE(*min(grid, key=lambda limits: replayed(before, system, CDE(*limits), 0).mean))
