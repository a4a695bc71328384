"""Random coalition routing problems as in the two benchmarks."""

import numpy as np

from allocenv.problems.task.routing.instance import Routing

MOST_TIME = 5.0  # duration of a task, drawn evenly from 0 up


def generate_dcmrta(rng: np.random.Generator, n_robots: int = 20, n_tasks: int = 50, most_needed: int = 5) -> Routing:
    """One depot, equal robots, tasks that need 1..most_needed of them at once (Dai et al., ICRA 2024)."""
    if most_needed > n_robots:
        raise ValueError(f"Expected most_needed <= n_robots = {n_robots}, got {most_needed}.")
    depot, task_xy = rng.random(2), rng.random((n_tasks, 2))
    need = rng.integers(1, most_needed + 1, (n_tasks, 1))
    duration = MOST_TIME * rng.random(n_tasks)
    start = np.tile(depot, (n_robots, 1))
    return Routing(start, np.ones((n_robots, 1), np.int64), task_xy, need, duration, name="dcmrta")


def generate_heteromrta(
    rng: np.random.Generator, n_species: int = 5, robots_each: int = 3, n_tasks: int = 20
) -> Routing:
    """A depot and a skill of its own for each species, tasks that need any set of skills (Dai et al., RA-L 2025)."""
    depot, task_xy = rng.random((n_species, 2)), rng.random((n_tasks, 2))
    need = rng.integers(0, 2, (n_tasks, n_species))
    empty = np.flatnonzero(need.sum(1) == 0)
    need[empty, rng.integers(0, n_species, len(empty))] = 1
    duration = MOST_TIME * rng.random(n_tasks)
    ability = np.repeat(np.eye(n_species, dtype=np.int64), robots_each, axis=0)
    start = np.repeat(depot, robots_each, axis=0)
    return Routing(start, ability, task_xy, need, duration, name="heteromrta")
