"""Random generalised assignment problems of the literature's types.

Types A-D: Chu and Beasley, Computers and Operations Research 24 (1997), section 5; type E: Laguna et al., EJOR 82
(1995), as restated by Yagiura et al., INFORMS J. Computing 16 (2004), section 5.1. Type "orlib": gap1-gap12 of the
OR-Library (Osman, OR Spektrum 17, 1995): profits 15..25, weights 5..25, maximised.
"""

from typing import Literal, get_args

import numpy as np

from allocenv.core.arrays import LongArray
from allocenv.problems.task.gap.instance import GAP

Kind = Literal["A", "B", "C", "D", "E", "orlib"]
ORLIB_AGENTS = (5, 8, 10)
ORLIB_JOBS = (3, 4, 5, 6)  # jobs an agent


def generate(kind: Kind, n_agents: int, n_jobs: int, rng: np.random.Generator) -> GAP:
    """A random problem. Types D and E may lack a feasible assignment where jobs are few.

    Raises:
        ValueError: an unknown type, or no agents or jobs.
    """
    if kind not in get_args(Kind):
        raise ValueError(f"Expected a type of {get_args(Kind)}, got {kind!r}.")
    if n_agents < 1 or n_jobs < 1:
        raise ValueError(f"Expected at least one agent and one job, got {n_agents} and {n_jobs}.")
    shape = (n_agents, n_jobs)
    if kind == "D":
        weight = rng.integers(1, 101, shape)
        cost = 111 - weight + rng.integers(-10, 11, shape)
    elif kind == "E":
        exact = 1 - 10 * np.log(1 - rng.random(shape))
        weight = np.maximum(np.rint(exact), 1).astype(np.int64)
        cost = np.rint(1000 / exact - 10 * rng.random(shape)).astype(np.int64)
    else:
        weight = rng.integers(5, 26, shape)
        cost = rng.integers(15, 26, shape) if kind == "orlib" else rng.integers(10, 51, shape)
    capacity = _loose(cost, weight) if kind in ("A", "B") else 0.8 * weight.sum(1) / n_agents
    if kind == "B":
        capacity = 0.7 * capacity
    return GAP(cost, weight, np.floor(capacity).astype(np.int64), "max" if kind == "orlib" else "min", kind)


def generate_orlib_like(rng: np.random.Generator) -> GAP:
    """A random problem as gap1-gap12: 5, 8 or 10 agents and three to six jobs an agent."""
    n_agents = int(rng.choice(ORLIB_AGENTS))
    return generate("orlib", n_agents, n_agents * int(rng.choice(ORLIB_JOBS)), rng)


def _loose(cost: LongArray, weight: LongArray) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Capacities of type A: 0.6 of an even share, and 0.4 of the load were each job where it costs least."""
    n_agents, n_jobs = cost.shape
    load = np.bincount(cost.argmin(0), weight[cost.argmin(0), np.arange(n_jobs)], n_agents)
    return np.full(n_agents, 0.6 * 15 * n_jobs / n_agents + 0.4 * load.max())
