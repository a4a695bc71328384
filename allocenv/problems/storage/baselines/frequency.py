"""Which pages are used often? Migration by access counts: HPS and least frequently used.

HPS: Meswani et al., HPCA 2015 (as Sibyl, ISCA 2022, section 7, runs it): counts of an epoch, above a
threshold to the fastest device, halved at its end. LFU: the migration policy of Haura: the k most frequently
used of the slower device up, the least frequently used down. Both as gathered in
facts/hybrid_storage.md 4; both move pages by background migration.
"""

from dataclasses import dataclass, field

import numpy as np

from allocenv.core.arrays import Array
from allocenv.problems.storage.baselines.epochs import COUNT, EpochMigration, PageUse, epoch_length
from allocenv.problems.storage.trace import Trace

HPS_THRESHOLD = 2  # accesses, decayed; pages at it or below are cold
LFU_BLOCKS = 1024  # pages moved at most at the end of an epoch (Haura's default)


@dataclass
class DecayedCounts:
    """Scores of pages: accesses, multiplied by `decay` at the end of each epoch, less a threshold."""

    threshold: float = 0.0
    decay: float = 0.5
    _counts: Array | None = field(default=None, init=False, repr=False)

    def score(self, use: PageUse, n_pages: int, capacity: int) -> Array:
        """The score of every page [M]."""
        if self._counts is None:
            self._counts = np.zeros(n_pages)
        self._counts *= self.decay
        self._counts[use.pages] += use.features[:, COUNT]
        return self._counts - self.threshold


def hps(trace: Trace) -> EpochMigration:
    """Hybrid page scheduler: the pages of an epoch above the threshold, the best first."""
    return EpochMigration(DecayedCounts(HPS_THRESHOLD), epoch_length(trace))


def lfu_migration(trace: Trace) -> EpochMigration:
    """The k most frequently used pages up, the least frequently used down; counts are never forgotten."""
    return EpochMigration(DecayedCounts(decay=1.0), epoch_length(trace), LFU_BLOCKS)
