"""On what the numbers are learnt: fresh missions for every generation, and what sets of numbers earn there."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from allocenv.core.arrays import Array
from allocenv.problems.task.mission import Mission
from allocenv.problems.task.teams.numbers import as_parts, from_parts, patience
from allocenv.problems.task.teams.policy import LearntPolicy, earned, expect_teams

if TYPE_CHECKING:
    from allocenv.problems.task.problem import Task

TASKS, NEEDS = (6, 120), (0.4, 4.0)  # ranges of varied missions: how many tasks, how large needs and values
LARGEST_NEED = 0.45  # as a share of what the fleet has, as the generators have it
LEAST = 0.05  # of the value of all tasks: what returns are counted in where the first earns less


@dataclass(frozen=True)
class TeamCourse:
    """How the numbers of a problem's learnt policy are trained; a `Course` of the agent `evolution`.

    `varied` is the share of missions whose list of tasks is longer or shorter and whose needs are larger or smaller
    than the problem's own: from them the policy learns what pressure and load mean. Fleet, slots and abilities stay.
    """

    problem: "Task"
    missions: int = 24  # a generation
    varied: float = 0.0
    patience: float = 0.3  # where learning starts
    haste: float = 0.0
    slot_time: float = 0.0  # above 0: teams from ever shorter reach are tried

    def __post_init__(self) -> None:
        expect_teams(self.problem)
        ends = {
            "missions": (1, 10_000),
            "varied": (0, 1),
            "patience": (0, 100),
            "haste": (0, 100),
            "slot_time": (0, 100),
        }
        for name, (low, high) in ends.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"Expected {name} from {low} to {high}, got {getattr(self, name)}.")

    def start(self) -> Array:
        """The patience rule, in numbers: [N_NUMBERS]."""
        return patience(self.patience, self.haste, self.slot_time)

    def returns(self, numbers: Array, rng: np.random.Generator) -> Array:
        """What each set earns on each of fresh missions, as shares of what the first set earns: [P, missions]."""
        varied = round(self.varied * self.missions)
        drawn = [self.problem.draw(rng) for _ in range(self.missions - varied)]
        drawn += [self.varied_mission(rng) for _ in range(varied)]
        nets = earned(self.problem, drawn, numbers)
        least = LEAST * np.array([mission.value.sum() for mission in drawn])
        shares: Array = nets / np.maximum(nets[0], least)
        return shares

    def varied_mission(self, rng: np.random.Generator) -> Mission:
        """A mission of the same fleet with another load."""
        n, factor = (np.exp(rng.uniform(*np.log(ends))) for ends in (TASKS, NEEDS))
        mission = replace(self.problem, n_tasks=int(n)).draw(rng)
        most = np.floor(LARGEST_NEED * mission.ability.sum(axis=0))
        need = np.maximum(np.minimum(np.rint(mission.need * factor), most), 1).astype(np.int32)
        value = mission.value * need.sum(axis=1) / mission.need.sum(axis=1)
        return replace(mission, need=need, value=value)

    def parts(self, numbers: Array) -> dict[str, Array]:
        return as_parts(numbers)

    def whole(self, parts: Mapping[str, Any]) -> Array:
        return from_parts({name: np.asarray(part) for name, part in parts.items()})

    def policy(self, numbers: Array) -> LearntPolicy:
        return LearntPolicy(numbers)
