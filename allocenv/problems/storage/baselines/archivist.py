"""Archivist: a small neural network, trained on the epoch that ends, chooses each page's device for the next.

Ren et al. (ICCD 2019), as Sibyl (ISCA 2022, section 7) describes it: features are how often, in what sizes, how
much written and how sequentially a page was used; no promotion or eviction inside an epoch. A page's label
is whether it was among the most used of the epoch that the features of the one before it should foretell.
Pages move by background migration at the end of an epoch.
"""

from dataclasses import dataclass, field

import numpy as np

from allocenv.core.arrays import Array
from allocenv.problems.storage.baselines.epochs import COUNT, FEATURES, EpochMigration, PageUse, epoch_length
from allocenv.problems.storage.baselines.gradient import Adam, glorot, scaled
from allocenv.problems.storage.trace import Trace

HIDDEN = 16
STEPS, BATCH, RATE = 40, 512, 0.01


class Network:
    """One hidden layer of tanh, one output through a sigmoid."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.weights = [glorot(rng, FEATURES, HIDDEN), np.zeros(HIDDEN), glorot(rng, HIDDEN, 1), np.zeros(1)]
        self.adam = Adam(self.weights, RATE)

    def probability(self, inputs: Array) -> Array:
        """That a page is hot: [U]."""
        return self._forward(inputs)[1]

    def learn(self, inputs: Array, hot: Array) -> None:
        """One step of Adam on the cross-entropy of a batch."""
        hidden, probability = self._forward(inputs)
        error = (probability - hot)[:, None] / len(inputs)  # [U, 1]
        back = (error @ self.weights[2].T) * (1 - hidden**2)
        self.adam.step([inputs.T @ back, back.sum(0), hidden.T @ error, error.sum(0)])

    def _forward(self, inputs: Array) -> tuple[Array, Array]:
        w1, b1, w2, b2 = self.weights
        hidden = np.tanh(inputs @ w1 + b1)
        return hidden, 1 / (1 + np.exp(-(hidden @ w2 + b2)[:, 0]))


@dataclass
class ArchivistScorer:
    """Scores pages used in the epoch by their probability to be hot in the next, less one half."""

    seed: int = 0
    _network: Network = field(init=False, repr=False)
    _rng: np.random.Generator = field(init=False, repr=False)
    _before: PageUse | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng([self.seed, 1])
        self._network = Network(self._rng)

    def score(self, use: PageUse, n_pages: int, capacity: int) -> Array:
        """The score of every page [M]."""
        if self._before is not None:
            self._learn(self._before, hot_pages(use, n_pages, capacity))
        self._before = use
        score = np.zeros(n_pages)
        score[use.pages] = self._network.probability(scaled(use.features)) - 0.5
        return score

    def _learn(self, before: PageUse, hot: Array) -> None:
        inputs, labels = scaled(before.features), hot[before.pages]
        for _ in range(STEPS):
            batch = self._rng.integers(len(labels), size=min(BATCH, len(labels)))
            self._network.learn(inputs[batch], labels[batch])


def hot_pages(use: PageUse, n_pages: int, capacity: int) -> Array:
    """Which pages were used more than once in the epoch and are among the `capacity` most used: [M] 0 or 1."""
    hot = np.zeros(n_pages)
    most = np.argsort(-use.features[:, COUNT], kind="stable")[:capacity]
    hot[use.pages[most[use.features[most, COUNT] > 1]]] = 1
    return hot


def archivist(trace: Trace, seed: int) -> EpochMigration:
    """Archivist, untrained."""
    return EpochMigration(ArchivistScorer(seed), epoch_length(trace))
