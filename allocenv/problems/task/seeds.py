"""What do trainings with different seeds come to on held-out missions? For the bars on learnt results."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from allocenv.core.arrays import Array
from allocenv.core.bench import Session
from allocenv.problems.task.mission import Mission
from allocenv.problems.task.problem import Task


class Seeds(NamedTuple):
    """S trainings judged on n missions."""

    figures: Array  # [S, n]  what was earned
    seconds: Array  # [S]  wall time of the training, start of the program and its evaluations included

    @property
    def means(self) -> Array:
        """Of each training: [S]."""
        means: Array = self.figures.mean(axis=1)
        return means

    @property
    def values(self) -> dict[str, list[Any]]:
        """For a JSON file."""
        return {"figures": self.figures.tolist(), "seconds": self.seconds.tolist()}

    def __str__(self) -> str:
        nets = ", ".join(f"{mean:.2f}" for mean in self.means)
        return f"{len(self.means)} training seeds: {nets} (at most {self.seconds.max():.0f} s each)"


def trained_seeds(session: Session, problem: Task, missions: Sequence[Mission], n: int, minutes: float) -> Seeds:
    """Train the preset's config with seeds 0 to n - 1, each cut off after so many minutes, and judge them."""
    figures, seconds = [], []
    for seed in range(n):
        began = time.perf_counter()
        _, solver = session.trained(f"configs/task/teams_{problem.preset}.toml", minutes, seed)
        seconds.append(time.perf_counter() - began)
        rng = np.random.default_rng(seed)
        held = [problem.holding([mission]) for mission in missions]
        pairs = zip(held, missions, strict=True)
        figures.append([-solver(one, mission, 1.0, rng).objective for one, mission in pairs])
    return Seeds(np.array(figures), np.array(seconds))
