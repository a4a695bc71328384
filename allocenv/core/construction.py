"""What a problem offers whose solutions a scorer of candidates builds, decision by decision, so that it can learn."""

from typing import Any, NamedTuple, Protocol

import numpy as np

from allocenv.core.arrays import Array


class Explored(NamedTuple):
    """What came of drawing whole solutions of one instance."""

    cost: Array  # [B] float64  lower is better; in units that compare instances
    gradient: Array  # [B, W] float64  of the log probability of each solution, by the scorer's weights


class Construction(Protocol):
    """One family of instances and how solutions of them are built.

    A scorer has one hidden layer of `n_hidden` units with max(0, x) and W weights in one flat array; with
    `n_hidden` 0 it is linear in the features, W = n_features.
    """

    @property
    def n_features(self) -> int:
        """Of a candidate."""

    def n_weights(self, n_hidden: int) -> int:
        """W."""

    def first_weights(self, n_hidden: int, rng: np.random.Generator) -> Array:
        """[W] float64  where training starts."""

    def draw(self, rng: np.random.Generator) -> Any:
        """A made-up instance."""

    def explore(self, instance: Any, weights: Array, n_hidden: int, samples: int, seed: int) -> Explored:
        """Draw solutions by the softmax of the scores."""

    def cost(self, instance: Any, weights: Array, n_hidden: int, samples: int, temperature: float, seed: int) -> float:
        """Of the best of some solutions, the first of which is built greedily; none is repaired."""


class Scorer(NamedTuple):
    """A trained scorer of candidates."""

    weights: Array  # [W] float64
    n_hidden: int
    temperature: float  # of the softmax that samples are drawn from
