"""K-SVM: two clusters of pages, hot and cold, and a support vector machine that tells new pages apart.

As gathered in facts/hybrid_storage.md 4: k-means on the pages' statistics of an epoch labels them, the
cluster used more is hot; a linear support vector machine (Pegasos, Shalev-Shwartz et al. 2011) learns the
labels of all epochs so far and scores the pages of the last. Pages move by background migration.
"""

from dataclasses import dataclass, field

import numpy as np

from allocenv.core.arrays import Array, BoolArray
from allocenv.problems.storage.baselines.epochs import COUNT, FEATURES, EpochMigration, PageUse, epoch_length
from allocenv.problems.storage.baselines.gradient import scaled
from allocenv.problems.storage.trace import Trace

ROUNDS = 20  # of k-means
STEPS, BATCH, REGULAR = 40, 256, 1e-3


def cluster_hot(inputs: Array) -> BoolArray:
    """Which rows [U, FEATURES] lie in the hotter of two clusters: [U]. Begins at the coldest and hottest row."""
    counts = inputs[:, COUNT]
    centres = inputs[[counts.argmin(), counts.argmax()]]
    hot = np.zeros(len(inputs), np.bool_)
    for _ in range(ROUNDS):
        distance = ((inputs[:, None] - centres) ** 2).sum(2)  # [U, 2]
        closer: BoolArray = distance[:, 1] < distance[:, 0]
        if not closer.any() or (closer == hot).all():
            break
        hot = closer
        centres = np.stack([inputs[~hot].mean(0), inputs[hot].mean(0)])
    return hot


@dataclass
class KSVMScorer:
    """Scores pages used in the epoch 1 where they lie on the hot side of a plane, all others 0."""

    seed: int = 0
    _plane: Array = field(init=False, repr=False)  # [FEATURES + 1], the last one the offset
    _steps: int = field(default=0, init=False, repr=False)
    _rng: np.random.Generator = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng([self.seed, 2])
        self._plane = np.zeros(FEATURES + 1)

    def score(self, use: PageUse, n_pages: int, capacity: int) -> Array:
        """The score of every page [M]."""
        inputs = np.column_stack([scaled(use.features), np.ones(len(use.pages))])
        self._learn(inputs, np.where(cluster_hot(inputs[:, :FEATURES]), 1.0, -1.0))
        score = np.zeros(n_pages)
        score[use.pages] = inputs @ self._plane > 0
        return score

    def _learn(self, inputs: Array, side: Array) -> None:
        for _ in range(STEPS):
            self._steps += 1
            rows = self._rng.integers(len(side), size=min(BATCH, len(side)))
            wrong = rows[side[rows] * (inputs[rows] @ self._plane) < 1]
            rate = 1 / (REGULAR * (self._steps + 1 / REGULAR))  # the added constant tames the first steps
            pull = (side[wrong, None] * inputs[wrong]).sum(0) / len(rows)
            self._plane += rate * (pull - REGULAR * self._plane)


def k_svm(trace: Trace, seed: int) -> EpochMigration:
    """K-SVM, untrained."""
    return EpochMigration(KSVMScorer(seed), epoch_length(trace))
