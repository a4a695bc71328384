"""Does a policy that was trained at one size serve others? Cells of entities, slots and distribution by methods.

`DISTRIBUTIONS`: `rbf` draws as the preset does; `uneven` redraws needs and values of the same missions: needs differ
1.6 times as much, and values follow them less.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from time import process_time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from allocenv.core.arrays import Array
from allocenv.problems.task.instance_sets import ZERO_SHOT_ENTITIES, ZERO_SHOT_SLOTS
from allocenv.problems.task.mission import Mission

if TYPE_CHECKING:
    from allocenv.problems.task.problem import Task

Method = Callable[["Task", Sequence[Mission]], Array]  # what it earns on each mission
UNEVEN_NEED, UNEVEN_VALUE = 0.6, 0.4  # deviation of the factors' logarithm; relative deviation
MOST_NEED = 0.45  # as a share of what the fleet has
DISTRIBUTIONS = ("rbf", "uneven")


class Cell(NamedTuple):
    """One size and distribution."""

    distribution: str
    entities: int
    slots: int
    missions: int
    nets: dict[str, float]  # mean of each method
    seconds: dict[str, float]  # processor time of each method a mission


def zero_shot(
    problem: "Task",
    methods: Mapping[str, Method],
    n: int = 20,
    entities: Sequence[int] = ZERO_SHOT_ENTITIES,
    slots: Sequence[int] = ZERO_SHOT_SLOTS,
    distributions: Sequence[str] = DISTRIBUTIONS,
) -> Iterator[Cell]:
    """Every cell, on its first n held-out missions (at most 20). Raises ValueError for an unknown distribution."""
    for distribution in distributions:
        if distribution not in DISTRIBUTIONS:
            raise ValueError(f"Expected a distribution among {', '.join(DISTRIBUTIONS)}, got {distribution!r}.")
        for m in entities:
            for t in slots:
                missions = [mission for _, mission in problem.instance_set(f"zero_shot_{m}x{t}")][:n]
                if distribution == "uneven":
                    missions = [uneven(mission, i) for i, mission in enumerate(missions)]
                nets, seconds = {}, {}
                for name, method in methods.items():
                    began = process_time()
                    nets[name] = float(method(problem, missions).mean())
                    seconds[name] = (process_time() - began) / len(missions)
                yield Cell(distribution, m, t, len(missions), nets, seconds)


def uneven(mission: Mission, seed: int) -> Mission:
    """The mission with needs and values that differ more."""
    rng = np.random.default_rng([940_000, seed])
    factor = np.exp(rng.normal(0.0, UNEVEN_NEED, mission.n_tasks))
    most = np.maximum(np.floor(MOST_NEED * mission.ability.sum(axis=0)), 1.0)
    need = np.maximum(np.minimum(np.rint(mission.need * factor[:, None]), most), 1.0).astype(np.int32)
    worth = mission.value * need.sum(axis=1) / mission.need.sum(axis=1)
    value = worth * np.clip(rng.normal(1.0, UNEVEN_VALUE, mission.n_tasks), 0.3, 2.0)
    return replace(mission, need=need, value=value)


def table(cells: Sequence[Cell], against: str) -> str:
    """The cells as Markdown: nets, and how the first other method compares with `against`."""
    names = list(cells[0].nets)
    ours = next(name for name in names if name != against)
    lines = [
        f"| distribution | entities x slots | {' | '.join(names)} | {ours} by {against} |",
        "|---|---|" + "---|" * (len(names) + 1),
    ]
    ratios = []
    for cell in cells:
        ratios.append(cell.nets[ours] / max(cell.nets[against], 1e-9))
        nets = " | ".join(f"{cell.nets[name]:.1f}" for name in names)
        lines.append(f"| {cell.distribution} | {cell.entities} x {cell.slots} | {nets} | {ratios[-1]:.3f} |")
    lines.append(
        f"\nLeast {min(ratios):.3f}, mean {np.mean(ratios):.3f}, {sum(r >= 1 for r in ratios)} of {len(cells)}"
    )
    return "\n".join(lines) + "\n"
