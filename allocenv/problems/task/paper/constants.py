"""What are the published constants? Read from the data folder at run time: their repository has no licence.

`taskalloc_presets.json`; its README says what each column is.
"""

import json
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from allocenv.core.arrays import Array, IntArray
from allocenv.core.data import data_folder
from allocenv.core.files import InputError, read_text
from allocenv.problems.task.mission import Mission, build_mission

FILE = "task/taskalloc_presets.json"
VARIANTS = ("base", "alt_tasks", "agents_100", "alt_tasks_agents_100", "agents_30")


class Constants(NamedTuple):
    """What the published step functions take besides the state. Read-only."""

    agents: Array  # [M, 1 + K]  cost and abilities; electric: 0, power, x, y
    start: IntArray  # [M, 2]  where they begin
    tasks: Array  # [Q, 1 + K]  value and needs; electric: value, power, x, y of the request
    cells: IntArray  # [Q, 2]
    asks: IntArray  # [Q]  electric: the area that asks
    rate: Array  # [M]  electric: conveying cost
    horizon: int
    diagonal: bool  # moves in 8 directions (material), else second coordinate first
    shared: bool  # a team feeds every slot on its cell (rbf), else the first one
    decay: float  # of whole rows, each step once the age is low enough
    decay_age: int


@cache
def presets() -> dict[str, Any]:
    """The file as it is. Raises InputError where the data folder has none."""
    folder = data_folder()
    if folder is None:
        raise InputError("$ALLOCENV_DATA", "data folder", None, f"a folder with {FILE}")
    found: dict[str, Any] = json.loads(read_text(folder / FILE))
    return found


def constants(preset: str, variant: str = "base") -> Constants:
    """The constants of rbf, material or electric. Variants of rbf are those of the facts, section 7."""
    if variant not in VARIANTS or (variant != "base" and preset != "rbf"):
        raise ValueError(f"Expected a variant of rbf among {', '.join(VARIANTS)}, got {variant!r} of {preset}.")
    table = presets()[preset]
    if preset == "electric":
        return _electric(table)
    agents = np.array(table["alt_agents_100" if "agents_100" in variant else "agents"], np.float64)
    tasks = np.array(table["alt_tasks" if "alt_tasks" in variant else "tasks"], np.float64)
    if variant == "agents_30":
        agents = agents[:30]
    if preset == "rbf":
        start = np.full((len(agents), 2), table["grid"] // 2, np.int32)
        cells = np.array(table["task_cells"], np.int32)
        return _grid(table, agents, start, tasks, cells, False, 0.99, -10)
    start, cells = agents[:, 4:6].astype(np.int32), tasks[:, 4:6].astype(np.int32)
    return _grid(table, agents[:, :4], start, tasks[:, :4], cells, True, 1.0, -15)  # its decay has no effect


def _grid(
    table: Any, agents: Array, start: IntArray, tasks: Array, cells: IntArray, diagonal: bool, decay: float, age: int
) -> Constants:
    return Constants(
        agents=np.ascontiguousarray(agents),
        start=np.ascontiguousarray(start),
        tasks=np.ascontiguousarray(tasks),
        cells=np.ascontiguousarray(cells),
        asks=np.full(len(tasks), -1, np.int32),
        rate=np.zeros(len(agents)),
        horizon=int(table["horizon"]),
        diagonal=diagonal,
        shared=not diagonal,
        decay=decay,
        decay_age=age,
    )


def _electric(table: Any) -> Constants:
    areas = np.array(table["areas"], np.float64)
    asks = np.array(table["request_order"], np.int32)
    agents = areas.copy()
    agents[:, 0] = 0.0
    return Constants(
        agents=agents,
        start=areas[:, 2:].astype(np.int32),
        tasks=areas[asks] * 2,  # its position is doubled too
        cells=(areas[asks, 2:] * 2).astype(np.int32),
        asks=asks,
        rate=np.array(table["convey_cost"], np.float64),
        horizon=int(table["horizon"]),
        diagonal=False,
        shared=False,
        decay=0.9,
        decay_age=-10,
    )


def published(preset: str, variant: str = "base", faithful: bool = False) -> Mission:
    """The published instance: for paper mode (`faithful`), or with its quirks of position and owner mended."""
    if preset == "almighty":
        return almighty()
    x = constants(preset, variant)
    name = f"{preset}-{variant}"
    if preset != "electric":
        return build_mission(
            x.agents[:, 0], x.agents[:, 1:], x.tasks[:, 0], x.tasks[:, 1:], slots=presets()[preset]["slots"],
            xy=x.start, task_xy=x.cells, name=name,
        )  # fmt: skip
    where = x.tasks[:, 2:] if faithful else x.tasks[:, 2:] / 2
    return build_mission(
        x.agents[:, 0], x.agents[:, 1:2], x.tasks[:, 0], x.tasks[:, 1:2], slots=presets()[preset]["slots"],
        xy=x.agents[:, 2:], rate=x.rate, task_xy=where, task_rate=x.rate[x.asks],
        owner=-1 if faithful else x.asks, name=name,
    )  # fmt: skip


def almighty(abilities: int = 8) -> Mission:
    """Three specialists for each ability and one generalist, cost 1; a task of value 3 for each ability and one of
    value 20 for all (facts/task_allocation.md section 1). Optimum 35 for 8 abilities."""
    one = np.eye(abilities)
    return build_mission(
        np.ones(3 * abilities + 1),
        np.concatenate([np.repeat(one, 3, axis=0), np.ones((1, abilities))]),
        np.array([3.0] * abilities + [20.0]),
        np.concatenate([one, np.ones((1, abilities))]),
        slots=abilities + 1,
        name="almighty-base",
    )
