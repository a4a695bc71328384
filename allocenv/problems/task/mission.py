"""What is one instance: the fleet, the list of tasks, and how many of them may be open at once.

Axes: M entities, Q tasks in the order of their arrival, K abilities.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from allocenv.core.arrays import Array, IntArray, LongArray
from allocenv.core.files import InputError

NO_OWNER = -1
MAX_AMOUNT = 10**8  # of an ability: sums over a fleet stay far within an int32


@dataclass(frozen=True, eq=False)
class Mission:
    """One concrete situation. Build it with `build_mission`, which checks and fills in defaults.

    What entity i costs when it serves task t is
    `cost[i] + (rate[i] + task_rate[t]) / 2 * distance(xy[i], task_xy[t])`; rates are 0 but for conveyed goods.
    """

    name: str
    slots: int  # tasks that may be open at once
    cost: Array  # [M]
    ability: IntArray  # [M, K]  whole units
    xy: Array  # [M, 2]  where the entity starts, and what it returns to where the makespan counts
    rate: Array  # [M]
    value: Array  # [Q]
    need: IntArray  # [Q, K]  whole units
    task_xy: Array  # [Q, 2]
    work: Array  # [Q]  how long the team works once it is complete
    arrival: Array  # [Q]  nondecreasing
    task_rate: Array  # [Q]
    owner: IntArray  # [Q]  the entity that cannot serve while the task is open, or NO_OWNER
    entity_names: tuple[str, ...] = ()
    task_names: tuple[str, ...] = ()
    saved: Mapping[str, Array] | None = field(default=None, repr=False)  # arrays of a row in mid-episode

    @property
    def n_entities(self) -> int:
        return len(self.cost)

    @property
    def n_tasks(self) -> int:
        return len(self.value)

    @property
    def n_abilities(self) -> int:
        return int(self.need.shape[1])

    @property
    def impossible(self) -> LongArray:
        """The tasks that the whole fleet together cannot cover: indices."""
        fleet = np.tile(self.ability.sum(axis=0, dtype=np.int64), (self.n_tasks, 1))
        owned = np.flatnonzero(self.owner != NO_OWNER)
        fleet[owned] -= self.ability[self.owner[owned]]
        found: LongArray = np.flatnonzero((fleet < self.need).any(axis=1))
        return found

    def task_name(self, task: int) -> str:
        return self.task_names[task] if self.task_names else f"task {task}"

    def entity_name(self, entity: int) -> str:
        return self.entity_names[entity] if self.entity_names else f"entity {entity}"


def build_mission(
    cost: Any,
    ability: Any,
    value: Any,
    need: Any,
    *,
    slots: int,
    xy: Any = None,
    rate: Any = 0.0,
    task_xy: Any = None,
    work: Any = 1.0,
    arrival: Any = 0.0,
    task_rate: Any = 0.0,
    owner: Any = NO_OWNER,
    entity_names: tuple[str, ...] = (),
    task_names: tuple[str, ...] = (),
    name: str = "mission",
) -> Mission:
    """A checked mission; arrays as in `Mission`, scalars stand for equal entries. Tasks are sorted by arrival.

    Raises:
        InputError: a number that is not finite, negative or out of range, shapes that do not agree, a task that
            needs nothing, an owner that does not exist. Tasks that nobody can cover are no error: see `impossible`.
    """
    costs = _floats(name, "cost", cost, None)
    m = len(costs)
    values = _floats(name, "value", value, None)
    q = len(values)
    if m == 0 or q == 0:
        raise InputError(name, "entities and tasks", (m, q), "at least one of each")
    abilities, needs = _whole(name, "ability", ability, m), _whole(name, "need", need, q)
    if abilities.shape[1] != needs.shape[1]:
        raise InputError(name, "need", f"{needs.shape[1]} abilities", f"{abilities.shape[1]}, as the entities have")
    for i in np.flatnonzero(needs.sum(axis=1) == 0):
        raise InputError(name, f"need of task {i}", needs[i].tolist(), "at least one ability above 0")
    if not 1 <= slots <= 10_000:
        raise InputError(name, "slots", slots, "1 to 10000")
    owners = np.broadcast_to(np.asarray(owner, np.int32), q).copy()
    for i in np.flatnonzero((owners < NO_OWNER) | (owners >= m)):
        raise InputError(name, f"owner of task {i}", int(owners[i]), f"{NO_OWNER} or an entity below {m}")
    arrivals = _floats(name, "arrival", arrival, q)
    order = np.argsort(arrivals, kind="stable")
    return Mission(
        name=name,
        slots=int(slots),
        cost=costs,
        ability=abilities,
        xy=_points(name, "xy", xy, m),
        rate=_floats(name, "rate", rate, m),
        value=values[order],
        need=needs[order],
        task_xy=_points(name, "task_xy", task_xy, q)[order],
        work=_floats(name, "work", work, q)[order],
        arrival=arrivals[order],
        task_rate=_floats(name, "task_rate", task_rate, q)[order],
        owner=owners[order],
        entity_names=entity_names,
        task_names=tuple(task_names[i] for i in order) if task_names else (),
    )


def shuffled(mission: Mission, rng: np.random.Generator) -> Mission:
    """The mission with the tasks of the second half of its queue in another order, at the same arrivals.

    Tasks that are open from the start stay; where all are, nothing changes.
    """
    known = max(mission.slots, mission.n_tasks // 2)
    order = np.arange(mission.n_tasks)
    order[known:] = rng.permutation(order[known:])
    names = tuple(mission.task_names[t] for t in order) if mission.task_names else ()
    of_tasks = ("value", "need", "task_xy", "work", "task_rate", "owner")
    return replace(mission, task_names=names, **{field: getattr(mission, field)[order] for field in of_tasks})


def _floats(name: str, field: str, value: Any, n: int | None) -> Array:
    """Non-negative numbers [n]."""
    array = np.array(value, np.float64)
    if n is not None and array.ndim == 0:
        array = np.full(n, float(array))
    if array.ndim != 1 or (n is not None and len(array) != n):
        raise InputError(name, field, f"shape {array.shape}", f"{'one number each' if n is None else f'{n} numbers'}")
    for i in np.flatnonzero(~(np.isfinite(array) & (array >= 0) & (array <= 1e9))):
        raise InputError(name, f"{field} {i}", float(array[i]), "a number from 0 to 1e9")
    return array


def _points(name: str, field: str, value: Any, n: int) -> Array:
    array = np.zeros((n, 2)) if value is None else np.array(value, np.float64)
    if array.shape != (n, 2):
        raise InputError(name, field, f"shape {array.shape}", f"({n}, 2)")
    for i in np.flatnonzero(~(np.isfinite(array) & (np.abs(array) <= 1e9)).all(axis=1)):
        raise InputError(name, f"{field} {i}", array[i].tolist(), "two finite numbers")
    return array


def _whole(name: str, field: str, value: Any, n: int) -> IntArray:
    array = np.array(value, np.float64)
    if array.ndim != 2 or len(array) != n or array.shape[1] == 0:
        raise InputError(name, field, f"shape {array.shape}", f"({n}, abilities)")
    bad = ~(np.isfinite(array) & (array >= 0) & (array <= MAX_AMOUNT) & (array == np.rint(array)))
    for i in np.flatnonzero(bad.any(axis=1)):
        raise InputError(name, f"{field} {i}", array[i].tolist(), f"whole numbers from 0 to {MAX_AMOUNT}")
    return array.astype(np.int32)
