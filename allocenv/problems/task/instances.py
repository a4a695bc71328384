"""Where do missions come from: generators calibrated to the published presets, or given missions."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from allocenv.core.arrays import Array
from allocenv.problems.task.dynamics import Shape
from allocenv.problems.task.mission import Mission, build_mission
from allocenv.problems.task.paper.constants import almighty

Range = tuple[int, int]


class Source(Protocol):
    """Anything that episodes can begin from."""

    @property
    def shape(self) -> Shape:
        """No mission of it is larger."""

    def draw(self, rng: np.random.Generator) -> Mission:
        """A mission."""


@dataclass(frozen=True, eq=False)
class Given:
    """Missions one has; drawn with equal chances."""

    missions: tuple[Mission, ...]

    def __post_init__(self) -> None:
        if not self.missions:
            raise ValueError("Expected at least one mission, got none.")

    @property
    def shape(self) -> Shape:
        return Shape(
            max(m.n_entities for m in self.missions),
            max(m.slots for m in self.missions),
            max(m.n_tasks for m in self.missions),
            max(m.n_abilities for m in self.missions),
        )

    def draw(self, rng: np.random.Generator) -> Mission:
        return self.missions[int(rng.integers(len(self.missions)))]


@dataclass(frozen=True)
class Ranges:
    """Ranges, ends included, from which each mission draws how large it is."""

    entities: Range
    slots: Range  # 0: as many as tasks
    tasks: Range
    abilities: Range

    def __post_init__(self) -> None:
        for name, most in (("entities", 10_000), ("slots", 10_000), ("tasks", 100_000), ("abilities", 64)):
            low, high = getattr(self, name)
            least = 0 if name == "slots" else 1
            if not least <= low <= high <= most:
                raise ValueError(f"Expected {name} from {least} to {most}, low before high, got {low} to {high}.")

    @property
    def shape(self) -> Shape:
        return Shape(self.entities[1], self.slots[1] or self.tasks[1], self.tasks[1], self.abilities[1])


@dataclass(frozen=True)
class Generated:
    """Missions of one kind, made up.

    `arrivals`: 0: all tasks are there at the start (a fixed list); else so many arrive in a unit of time (Poisson).
    """

    kind: str
    sizes: Ranges
    arrivals: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in GENERATORS:
            raise ValueError(f"Expected a kind among {', '.join(GENERATORS)}, got {self.kind!r}.")
        if not 0 <= self.arrivals < 1e6:
            raise ValueError(f"Expected arrivals from 0 to 1e6 in a unit of time, got {self.arrivals}.")

    @property
    def shape(self) -> Shape:
        return self.sizes.shape

    def draw(self, rng: np.random.Generator) -> Mission:
        m, t, q, k = (
            low if low == high else int(rng.integers(low, high + 1))
            for low, high in (self.sizes.entities, self.sizes.slots, self.sizes.tasks, self.sizes.abilities)
        )
        arrival = np.cumsum(rng.exponential(1.0 / self.arrivals, q)) if self.arrivals else np.zeros(q)
        return GENERATORS[self.kind](rng, m, t or q, q, k, arrival)


# Entities and tasks of RBF; Material's tasks have the same needs (taskalloc_presets.json, README of the data).
RBF_COSTS = np.repeat(np.arange(1, 9) / 10.0, (6, 13, 12, 8, 6, 8, 2, 5))  # how often each cost occurs
RBF_ABILITY = 46.0, 12.0  # abilities in all per cost: mean, deviation
SHARE = 3.3  # Dirichlet concentration of an entity's abilities: shares deviate by 0.15 (3 abilities)
NEED_SHARE = (4.8, 5.8, 3.8)  # of a task's needs: means 0.33, 0.40, 0.26, deviation 0.10
NEED = 4.8, 0.55, 30.0, 350.0  # a task's needs in all: log-normal, and its ends (median 122)
VALUE_PER_NEED = 0.038, 0.16  # RBF: median and relative deviation; Material: ten times as much (median 0.40)
GRID, MAP, MAP_TASKS = 7, 100, 61


def _rbf_like(
    rng: np.random.Generator, m: int, t: int, q: int, k: int, arrival: Array, cost: Array, total: Array, price: float
) -> dict[str, Any]:
    """Entities with these costs and abilities in all, and tasks whose values follow their needs."""
    ability = np.maximum(np.rint(total[:, None] * rng.dirichlet(np.full(k, SHARE), m)), 1.0)
    mean, deviation, low, high = NEED
    needs = np.clip(rng.lognormal(mean, deviation, q), low, high) * (k / 3.0)
    spread = np.resize(NEED_SHARE, k)
    # a fleet of 60 RBF entities has 356 of each ability, the largest need is 150
    largest = 0.45 * ability.sum(axis=0)
    need = np.maximum(np.rint(needs[:, None] * rng.dirichlet(spread, q) / 5.0) * 5.0, 5.0)
    need = np.maximum(np.minimum(need, np.floor(largest)), 1.0)
    value = price * need.sum(axis=1) * (3.0 / k) * np.clip(rng.normal(1.0, VALUE_PER_NEED[1], q), 0.6, 1.6)
    return {"cost": cost, "ability": ability, "need": need, "value": np.maximum(np.rint(value), 1.0)}


def rbf(rng: np.random.Generator, m: int, t: int, q: int, k: int, arrival: Array) -> Mission:
    """Everybody at the centre of a 7 x 7 grid, tasks on it."""
    cost = rng.choice(RBF_COSTS, m)
    total = cost * np.clip(rng.normal(*RBF_ABILITY, m), 22.0, 95.0) * (k / 3.0)
    parts = _rbf_like(rng, m, t, q, k, arrival, cost, total, VALUE_PER_NEED[0])
    cells = rng.integers(0, GRID, (q, 2))
    return build_mission(
        **parts, slots=t, xy=np.full((m, 2), GRID // 2), task_xy=cells, arrival=arrival, name="rbf"
    )  # fmt: skip


def material(rng: np.random.Generator, m: int, t: int, q: int, k: int, arrival: Array) -> Mission:
    """Trucks anywhere on a map of 100 x 100, whose abilities sum to five times their cost."""
    cost = rng.integers(1, 15, m).astype(np.float64)
    parts = _rbf_like(rng, m, t, q, k, arrival, cost, 5.0 * cost * (k / 3.0), 10.0 * VALUE_PER_NEED[0])
    return build_mission(
        **parts,
        slots=t,
        xy=rng.integers(0, MAP, (m, 2)),
        task_xy=rng.integers(0, MAP_TASKS, (q, 2)),
        arrival=arrival,
        name="material",
    )


def electric(rng: np.random.Generator, m: int, t: int, q: int, k: int, arrival: Array) -> Mission:
    """Areas lend each other power; an area whose own request is open lends none. A request is twice the area's
    power and value."""
    value = np.clip(np.rint(rng.normal(5.15, 2.3, m) * 2) / 2, 2.0, 10.0)
    power = np.clip(np.rint(18.0 + 4.5 * value + rng.normal(0.0, 11.0, m)), 10.0, 80.0)
    share = rng.dirichlet(np.full(k, SHARE), m) * k if k > 1 else np.ones((m, 1))
    ability = np.maximum(np.rint(power[:, None] * share), 1.0)
    xy = np.stack([rng.integers(16, 77, m), rng.integers(18, 99, m)], axis=1)
    rate = rng.integers(2, 6, m) / 100.0
    owner = np.concatenate([rng.permutation(m) for _ in range(-(-q // m))])[:q]
    return build_mission(
        np.zeros(m), ability, 2.0 * value[owner], 2.0 * ability[owner],
        slots=t, xy=xy, rate=rate, task_xy=xy[owner], task_rate=rate[owner], owner=owner, arrival=arrival,
        name="electric",
    )  # fmt: skip


def static(rng: np.random.Generator, m: int, t: int, q: int, k: int, arrival: Array) -> Mission:
    """The almighty trap with so many abilities; its other sizes follow from them, and it has no random element."""
    return almighty(k)


def dcmrta(rng: np.random.Generator, m: int, t: int, q: int, k: int, arrival: Array) -> Mission:
    """DCMRTA's test set: 1 to 5 equal robots a task, service of 0 to 5, unit square, one depot."""
    depot = rng.random(2)
    return build_mission(
        np.zeros(m), np.ones((m, 1)), np.ones(q), rng.integers(1, min(5, m) + 1, (q, 1)),
        slots=t, xy=np.tile(depot, (m, 1)), task_xy=rng.random((q, 2)), work=rng.uniform(0.0, 5.0, q),
        arrival=arrival, name="dcmrta",
    )  # fmt: skip


def heteromrta(rng: np.random.Generator, m: int, t: int, q: int, k: int, arrival: Array) -> Mission:
    """HeteroMRTA's test set: species of one skill each, equal numbers and one depot a species; tasks need skills."""
    skill = np.arange(m) * k // m if m >= k else np.arange(m)
    depots = rng.random((k, 2))
    need = (rng.random((q, k)) < 0.5) & (np.bincount(skill, minlength=k) > 0)
    have = np.unique(skill)
    nothing = ~need.any(axis=1)
    need[nothing, rng.choice(have, int(nothing.sum()))] = True
    return build_mission(
        np.zeros(m), np.eye(k)[skill], np.ones(q), need,
        slots=t, xy=depots[skill], task_xy=rng.random((q, 2)), work=rng.uniform(0.0, 5.0, q),
        arrival=arrival, name="heteromrta",
    )  # fmt: skip


GENERATORS = {
    "rbf": rbf,
    "material": material,
    "electric": electric,
    "almighty": static,
    "dcmrta": dcmrta,
    "heteromrta": heteromrta,
}
