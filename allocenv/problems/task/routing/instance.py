"""What is a coalition routing problem?

Axes: R robots, T tasks, K skills. A task starts when the robots there together have `need` in every skill, keeps
them for its duration, and the makespan is when the last robot is back at its depot (DCMRTA: Dai et al., ICRA 2024;
HeteroMRTA: Dai et al., RA-L 2025). DCMRTA has one skill, of which every robot has 1 and tasks need 1..5.
"""

from dataclasses import dataclass, field

import numpy as np

from allocenv.core.arrays import Array, LongArray


class RoutingError(ValueError):
    """A coalition routing problem that is none: names the field, what was found and what was expected."""


@dataclass(frozen=True, eq=False)
class Routing:
    """One coalition routing problem.

    Raises:
        RoutingError: shapes that do not agree, positions or times that are not finite, negative needs, abilities or
            durations, a velocity that is not positive.
    """

    start_xy: Array  # [R, 2] float64  where each robot starts and ends
    ability: LongArray  # [R, K]
    task_xy: Array  # [T, 2] float64
    need: LongArray  # [T, K]
    duration: Array  # [T] float64  time units
    velocity: float = 0.2  # length a time unit
    name: str = ""
    reference: dict[str, float] = field(default_factory=dict)  # published makespans and bounds, by method

    def __post_init__(self) -> None:
        for name, axes in (("start_xy", 2), ("task_xy", 2), ("duration", 1)):
            object.__setattr__(self, name, _finite(name, getattr(self, name), axes))
        for name in ("ability", "need"):
            object.__setattr__(self, name, _counts(name, getattr(self, name)))
        self._expect_shape("start_xy", (self.n_robots, 2))
        self._expect_shape("task_xy", (self.n_tasks, 2))
        self._expect_shape("need", (self.n_tasks, self.ability.shape[1]))
        self._expect_shape("duration", (self.n_tasks,))
        if self.n_robots == 0 or self.n_tasks == 0 or self.ability.shape[1] == 0:
            raise RoutingError("Expected at least one robot, one task and one skill.")
        if (self.duration < 0).any():
            raise RoutingError(f"Expected duration >= 0, got {self.duration.min()}.")
        if not (np.isfinite(self.velocity) and self.velocity > 0):
            raise RoutingError(f"Expected velocity > 0, got {self.velocity}.")

    @property
    def n_robots(self) -> int:
        return int(self.ability.shape[0])

    @property
    def n_tasks(self) -> int:
        return int(self.need.shape[0])

    @property
    def impossible_tasks(self) -> LongArray:
        """Tasks that even all robots together cannot cover."""
        return np.flatnonzero((self.need > self.ability.sum(0)).any(1))

    def travel(self) -> Array:
        """Travel times from each place to each task: [T + R, T] float64; place T + r is the depot of robot r."""
        places = np.concatenate([self.task_xy, self.start_xy])
        away: Array = np.linalg.norm(places[:, None] - self.task_xy[None], axis=2) / self.velocity
        return away

    def _expect_shape(self, name: str, shape: tuple[int, ...]) -> None:
        found = getattr(self, name).shape
        if found != shape:
            raise RoutingError(f"Expected {name} of shape {shape}, got {found}.")


def _finite(name: str, values: Array, axes: int) -> Array:
    try:
        out = np.array(values, np.float64, order="C")
    except (ValueError, TypeError):
        raise RoutingError(f"Expected {name} of numbers in rows of equal length.") from None
    if out.ndim != axes:
        raise RoutingError(f"Expected {name} with {axes} axes, got {out.ndim}.")
    if not np.isfinite(out).all():
        at = tuple(int(k) for k in np.argwhere(~np.isfinite(out))[0])
        raise RoutingError(f"Expected finite {name}, got {out[at]} at {at}.")
    out.flags.writeable = False
    return out


def _counts(name: str, values: Array) -> LongArray:
    given = _finite(name, values, 2)
    wrong = (given < 0) | (given != np.rint(given)) | (given > 2**31)
    if wrong.any():
        at = tuple(int(k) for k in np.argwhere(wrong)[0])
        raise RoutingError(f"Expected {name} of whole numbers >= 0, got {given[at]} at {at}.")
    out = given.astype(np.int64)
    out.flags.writeable = False
    return out
