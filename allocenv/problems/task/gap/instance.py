"""What is a generalised assignment problem, and what is an assignment worth?

Axes: m agents, n jobs. Agent i does job j at cost[i, j] and spends weight[i, j] of capacity[i] on it.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from allocenv.core.arrays import Array, LongArray

Sense = Literal["min", "max"]
UNASSIGNED = -1
LARGEST = 2**31 - 1  # of a number: sums over jobs and agents then stay exact


class GAPError(ValueError):
    """A generalised assignment problem that is none: names the field, what was found and what was expected."""


@dataclass(frozen=True, eq=False)
class GAP:
    """One generalised assignment problem (Martello and Toth, Knapsack Problems, 1990, chapter 7).

    Raises:
        GAPError: shapes that do not agree, numbers that are no whole numbers or too large, negative weights
            or capacities, an unknown sense.
    """

    cost: LongArray  # [m, n]  cost, or profit where the sense is "max"
    weight: LongArray  # [m, n]  capacity units
    capacity: LongArray  # [m]
    sense: Sense = "min"
    name: str = ""

    def __post_init__(self) -> None:
        if self.sense not in ("min", "max"):
            raise GAPError(f"Expected sense 'min' or 'max', got {self.sense!r}.")
        for field, axes in (("cost", 2), ("weight", 2), ("capacity", 1)):
            object.__setattr__(self, field, _whole(field, getattr(self, field), axes))
        if self.weight.shape != self.cost.shape:
            raise GAPError(f"Expected weight of shape {self.cost.shape} as cost, got {self.weight.shape}.")
        if self.capacity.shape != self.cost.shape[:1]:
            raise GAPError(f"Expected a capacity for each of {self.n_agents} agents, got {len(self.capacity)}.")
        if 0 in self.cost.shape:
            raise GAPError(f"Expected at least one agent and one job, got {self.n_agents} and {self.n_jobs}.")
        _not_negative("weight", self.weight)
        _not_negative("capacity", self.capacity)

    @property
    def n_agents(self) -> int:
        return int(self.cost.shape[0])

    @property
    def n_jobs(self) -> int:
        return int(self.cost.shape[1])

    @property
    def minimised(self) -> LongArray:
        """What is minimised in either sense: [m, n]."""
        return self.cost if self.sense == "min" else -self.cost

    @property
    def impossible_jobs(self) -> LongArray:
        """Jobs that fit no agent, even one that does nothing else."""
        return np.flatnonzero((self.weight > self.capacity[:, None]).all(0))

    def value(self, agent_of: Array) -> int:
        """The sum of cost (profit) of an assignment [n]."""
        return int(self.cost[agent_of, np.arange(self.n_jobs)].sum())

    def load(self, agent_of: Array) -> LongArray:
        """What each agent spends of its capacity: [m]."""
        load = np.zeros(self.n_agents, np.int64)
        np.add.at(load, agent_of, self.weight[agent_of, np.arange(self.n_jobs)])
        return load

    def is_feasible(self, agent_of: Array) -> bool:
        """Whether each job has an agent and no agent is above its capacity."""
        agent_of = np.asarray(agent_of)
        if agent_of.shape != (self.n_jobs,) or (agent_of < 0).any() or (agent_of >= self.n_agents).any():
            return False
        return bool((self.load(agent_of) <= self.capacity).all())

    def gap(self, value: float, best: float) -> float:
        """How much worse a value is than the best known one, as a share of that one."""
        worse = value - best if self.sense == "min" else best - value
        return worse / max(abs(best), 1)


def _whole(field: str, values: Array, axes: int) -> LongArray:
    """The values as contiguous int64 that nobody else writes."""
    try:
        given = np.asarray(values)
    except ValueError:
        raise GAPError(f"Expected {field} with rows of equal length.") from None
    if given.ndim != axes:
        raise GAPError(f"Expected {field} with {axes} axes, got {given.ndim}.")
    if given.dtype.kind not in "iuf":
        raise GAPError(f"Expected {field} of whole numbers, got {given.dtype}.")
    wrong = ~np.isfinite(given) | (np.abs(given.astype(np.float64)) > LARGEST) | (given != np.rint(given))
    if wrong.any():
        at = tuple(int(k) for k in np.argwhere(wrong)[0])
        raise GAPError(f"Expected {field} of whole numbers up to {LARGEST}, got {given[at]} at {at}.")
    out = np.array(given, np.int64, order="C")
    out.flags.writeable = False
    return out


def _not_negative(field: str, values: LongArray) -> None:
    if (values < 0).any():
        at = tuple(int(k) for k in np.argwhere(values < 0)[0])
        raise GAPError(f"Expected {field} >= 0, got {values[at]} at {at}.")
