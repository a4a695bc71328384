"""Anything that plans: given an instance and a time limit, the best sequence of actions it found."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np

from allocenv.core.arrays import IntArray
from allocenv.core.problem import Instance, Problem


@dataclass(frozen=True)
class Solution:
    """Actions that the environment accepts one after the other, and what they lead to."""

    actions: IntArray  # [n, 2]  (slot, placement), each legal at its turn
    objective: float  # at the end, as the environment computes it (minimised)
    bound: float = -np.inf  # no sequence of actions can get below it; -inf: unknown
    found_by: str = ""
    seconds: float = 0.0  # wall time until it was found
    optimal: bool = False  # shown in another way than by `bound`: nothing ranks better

    @property
    def proven(self) -> bool:
        """Whether nothing better exists."""
        return self.optimal or self.objective <= self.bound + 1e-9


def never() -> bool:
    """Do not stop."""
    return False


class Solver(Protocol):
    """A heuristic, a search, an exact solver or a trained policy used to plan."""

    def __call__(
        self,
        problem: Problem,
        instance: Instance,
        seconds: float,
        rng: np.random.Generator,
        start: Solution | None = None,
        stop: Callable[[], bool] = never,
    ) -> Solution:
        """The best solution found within `seconds` of wall time or until `stop`, at least as good as `start`."""


class Entry(NamedTuple):
    """A solver and its part in the portfolio.

    `quick` ones run first, once; `anytime` ones use whatever time there is, on any number of threads with
    different seeds; an `exact` one starts from the best of them and may prove it optimal.
    """

    solver: Solver
    part: Literal["quick", "anytime", "exact", "none"]
    learnt: bool = False
