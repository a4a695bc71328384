"""Anything that acts: a heuristic, a search, a trained network, an SB3 model."""

from typing import Protocol

from allocenv.core.arrays import IntArray
from allocenv.core.batch import Batch


class Policy(Protocol):
    """Chooses one (slot, placement) for each instance of a batch.

    A policy that reads more of `batch.state` than an agent could know carries `oracle_` in its name.
    """

    def __call__(self, batch: Batch) -> IntArray:
        """Actions [B, 2]."""
