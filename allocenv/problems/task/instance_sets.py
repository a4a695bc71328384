"""The instances that policies are judged on: named, fixed, never trained on."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from allocenv.core.instance_sets import bare_name
from allocenv.problems.task.instances import Generated, Ranges
from allocenv.problems.task.mission import Mission
from allocenv.problems.task.presets import PRESET_RANGES, ROUTING, published_mission

if TYPE_CHECKING:
    from allocenv.problems.task.problem import Task

N_DEFAULT, N_HELD_OUT = 20, 200
HELD_OUT, TRAINING = 910_000, 920_000  # seeds; problems draw with [seed, row] of small numbers
ZERO_SHOT_ENTITIES, ZERO_SHOT_SLOTS = (20, 30, 60, 100, 200), (3, 5, 10, 20)

VERSION = 1  # raised whenever a name comes to hold something else
# Name -> what it holds; for `allocenv list task`.
INSTANCE_SETS = {
    "default": f"{N_DEFAULT} made-up missions of the preset; needs no data",
    "held_out": f"{N_HELD_OUT} made-up missions of the preset, other seeds",
    "training": f"{N_DEFAULT} more: to choose and tune by",
    "published": "the published instance of rbf, material, electric, almighty",
    "benchmark": "the instances of dcmrta or heteromrta with published results (34 each)",
    "zero_shot_NxT": "20 missions like rbf with N entities and T slots, such as zero_shot_100x10",
}


def instance_set(problem: "Task", name: str) -> Iterator[tuple[str, Mission]]:
    """Pairs (label, mission). Raises ValueError for an unknown name or version, InputError where data is not there."""
    name, preset = bare_name(name, VERSION), problem.preset
    seeds = {
        "default": (HELD_OUT, N_DEFAULT),
        "held_out": (HELD_OUT, N_HELD_OUT),
        "training": (TRAINING, N_DEFAULT),
    }
    if name in seeds:
        yield from _made(Generated(preset, PRESET_RANGES[preset]), name, *seeds[name])
    elif name == "published" and preset not in ROUTING:
        yield f"{preset}-published", published_mission(preset, name, problem.mode == "paper")
    elif name == "benchmark" and preset in ROUTING:
        from allocenv.problems.task.formats import benchmark

        for mission in benchmark(preset):
            yield mission.name, mission
    elif (sizes := _zero_shot(name)) is not None:
        yield from _made(Generated("rbf", sizes), name, HELD_OUT, N_DEFAULT)
    else:
        raise ValueError(f"Expected an instance set of {preset}, one of {', '.join(INSTANCE_SETS)}; got {name!r}.")


def _made(source: Generated, name: str, seed: int, n: int) -> Iterator[tuple[str, Mission]]:
    for i in range(n):
        yield f"{name}-{i}", source.draw(np.random.default_rng([seed, i]))


def _zero_shot(name: str) -> Ranges | None:
    """The sizes that a name such as zero_shot_100x10 asks for, six tasks to a slot."""
    prefix, _, size = name.rpartition("_")
    entities, _, slots = size.partition("x")
    if prefix != "zero_shot" or not (entities.isdecimal() and slots.isdecimal()):
        return None
    n, t = int(entities), int(slots)
    return Ranges((n, n), (t, t), (6 * t, 6 * t), (3, 3))
