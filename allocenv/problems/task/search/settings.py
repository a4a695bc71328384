"""Which numbers are worth starting from? The cover costs of tasks, and rules of thumb made of them."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from allocenv.core.arrays import Array, LongArray
from allocenv.core.batch import Batch
from allocenv.problems.task.cover import cover_cost, workspace
from allocenv.problems.task.mission import NO_OWNER, Mission
from allocenv.problems.task.rules import NONE, Rules
from allocenv.problems.task.search.followed import Followed, Numbers

if TYPE_CHECKING:
    from allocenv.problems.task.problem import Task

PATIENCES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6, 1.0, 3.0)
HASTES = (0.0, 0.03, 0.1, 0.3)  # in mean costs of an entity
TAUS = (1e6, 20.0, 5.0)


class Setting(NamedTuple):
    """A rule of thumb."""

    patience: float
    haste: float = 0.0
    tau: float = 1e6


def settings(rules: Rules) -> list[Setting]:
    """The rules of thumb; travel counts where there is any."""
    if rules.metric == NONE:
        return [Setting(d) for d in PATIENCES]
    return [Setting(d, haste, tau) for d in PATIENCES for haste in HASTES for tau in TAUS]


def cover_costs(mission: Mission) -> Array:
    """The least cost of covering each task, everybody free where he starts; inf: impossible: [Q].

    Where costs depend on where entities are (`rate`, and they travel) this is no bound; see `bound.py`.
    """
    m, k = mission.n_entities, mission.n_abilities
    work = workspace(1, m, k)
    found = np.zeros(mission.n_tasks)
    for q in range(mission.n_tasks):
        needed = np.flatnonzero(mission.need[q])
        able = np.flatnonzero(np.arange(m) != mission.owner[q]) if mission.owner[q] != NO_OWNER else np.arange(m)
        work.cost[0, : len(able)] = costs_at(mission, q)[able]
        work.ability[0, : len(able), : len(needed)] = mission.ability[able][:, needed] / mission.need[q, needed]
        found[q] = cover_cost(work, 0, len(able), len(needed)) if len(able) else np.inf
    return found


def costs_at(mission: Mission, task: int) -> Array:
    """What each entity costs at the task, from where it starts: [M]."""
    straight = np.sqrt(((mission.task_xy[task] - mission.xy) ** 2).sum(axis=1))
    cost: Array = mission.cost + 0.5 * (mission.rate + mission.task_rate[task]) * straight
    return cost


def limits(cover: Array, value: Array, setting: Setting) -> Array:
    """What the teams of tasks may cost at most: [Q]."""
    if setting.haste > 0:  # travel counts as cost: what is left of the value decides
        return np.where(np.isfinite(cover), np.minimum(value, (1.0 + 3.0 * setting.patience) * cover), 0.0)
    return np.where(np.isfinite(cover), (1.0 + setting.patience) * cover, 0.0)


def numbers_of(mission: Mission, cover: Array, chosen: "list[Setting]", shape: tuple[int, int]) -> Numbers:
    """One row a setting, for states of `shape` (M, Q)."""
    n = len(chosen)
    limit = np.zeros((n, shape[1]))
    for row, setting in enumerate(chosen):
        limit[row, : mission.n_tasks] = limits(cover, mission.value, setting)
    mean = float(mission.cost.mean()) or 1.0
    haste = np.array([setting.haste * mean for setting in chosen])
    return Numbers(np.ones((n, shape[0])), limit, haste, np.array([setting.tau for setting in chosen]))


def played(problem: "Task", missions: "list[Mission]", numbers: Numbers) -> tuple[Array, LongArray]:
    """The objective of each mission, a row each, played to its end by the row's numbers, and the rounds: [n], [n]."""
    batch = Batch(problem, len(missions))
    batch.load(missions)
    act = Followed(numbers)
    model = batch.state.model
    while not (model.over | (model.steps_left <= 0)).all():
        batch.step(act(batch))
    assert act.scratch is not None
    return batch.costs(), act.scratch.rounds


def tuned(problem: "Task", missions: "list[Mission]") -> Setting:
    """The rule of thumb that does best on these (training) missions."""
    held = problem.holding(missions)
    shape = held.shape.entities, held.shape.tasks
    choices = settings(problem.rules)
    covers = [cover_costs(mission) for mission in missions]
    totals = []
    for setting in choices:
        rows = [numbers_of(m, c, [setting], shape) for m, c in zip(missions, covers, strict=True)]
        stacked = Numbers(*(np.concatenate(parts) for parts in zip(*rows, strict=True)))
        totals.append(float(played(held, missions, stacked)[0].mean()))
    return choices[int(np.argmin(totals))]
