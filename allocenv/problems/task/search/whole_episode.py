"""Search over whole episodes, which knows every arrival: its names begin with `oracle_`.

A candidate is a limit for each task and a price for each entity (logarithms); it is followed through the whole
episode in the environment, and many candidates are at once, a row each. The cross-entropy method (Rubinstein, 1999),
a genetic algorithm on the same numbers and annealing chains (Kirkpatrick et al., 1983) vary them.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from allocenv.core.arrays import Array, IntArray
from allocenv.core.batch import Batch
from allocenv.core.clock import perf_counter
from allocenv.core.solver import never
from allocenv.core.state_dict import copy_arrays, load_arrays
from allocenv.problems.task.dynamics import State
from allocenv.problems.task.mission import Mission
from allocenv.problems.task.search.followed import Followed, Numbers
from allocenv.problems.task.search.settings import Setting, cover_costs, limits, settings

if TYPE_CHECKING:
    from allocenv.problems.task.problem import Task

ROWS = 128
STEP_SECONDS = 1.2e-4  # of that many candidates
SPREAD_LIMIT, SPREAD_PRICE = 0.3, 0.3  # of the logarithms, at the start
SHARE = 0.85  # of the time limit: what is left is for taking the actions of the best candidate once more


class Found(NamedTuple):
    """The best candidate of a search."""

    objective: float
    actions: IntArray  # [n, 2]
    episodes: int  # played
    setting: Setting  # the rule of thumb that it started from


class Variation(Protocol):
    """How new candidates come from old ones."""

    def ask(self) -> Array:
        """Candidates [ROWS, M + Q], of mean 0 at the start."""

    def tell(self, candidates: Array, objectives: Array, left: float) -> None:
        """What they reached [ROWS]; `left`: the share of the time that is left."""


class CrossEntropy:
    """A normal distribution for each number, fitted to the best eighth."""

    def __init__(self, spread: Array, rng: np.random.Generator) -> None:
        self.rng, self.mean, self.deviation = rng, np.zeros_like(spread), spread.copy()
        self.least = 0.1 * spread
        self.best, self.lowest = np.zeros_like(spread), np.inf

    def ask(self) -> Array:
        drawn = self.mean + self.deviation * self.rng.normal(size=(ROWS, len(self.mean)))
        drawn[0] = self.best
        return np.asarray(drawn)

    def tell(self, candidates: Array, objectives: Array, left: float) -> None:
        order = np.argsort(objectives)
        if objectives[order[0]] < self.lowest:
            self.lowest, self.best = float(objectives[order[0]]), candidates[order[0]].copy()
        elite = candidates[order[: ROWS // 8]]
        self.mean = 0.3 * self.mean + 0.7 * elite.mean(axis=0)
        self.deviation = np.maximum(0.3 * self.deviation + 0.7 * elite.std(axis=0), self.least * left)


class Genetic:
    """Tournaments of two among the best half, uniform crossover, a few numbers drawn anew."""

    def __init__(self, spread: Array, rng: np.random.Generator) -> None:
        self.rng, self.spread = rng, spread
        self.people = spread * rng.normal(size=(ROWS, len(spread)))
        self.people[0] = 0.0
        self.objectives = np.full(ROWS, np.inf)

    def ask(self) -> Array:
        if not np.isfinite(self.objectives).all():
            return self.people
        n = len(self.spread)
        rivals = self.rng.integers(0, ROWS, (2, 2, ROWS))
        parents = np.where(self.objectives[rivals[0]] < self.objectives[rivals[1]], rivals[0], rivals[1])
        child = np.where(self.rng.random((ROWS, n)) < 0.5, self.people[parents[0]], self.people[parents[1]])
        change = self.rng.random((ROWS, n)) < 3.0 / n
        mutated: Array = child + change * self.spread * self.rng.normal(size=(ROWS, n))
        return mutated

    def tell(self, candidates: Array, objectives: Array, left: float) -> None:
        both = np.concatenate([self.people, candidates])
        reached = np.concatenate([self.objectives, objectives])
        order = np.argsort(reached, kind="stable")[:ROWS]
        self.people, self.objectives = both[order], reached[order]


class Annealing:
    """A chain in each row; every move draws a few numbers anew, and the temperature falls with the time left."""

    def __init__(self, spread: Array, rng: np.random.Generator) -> None:
        self.rng, self.spread = rng, spread
        self.places = np.zeros((ROWS, len(spread)))
        self.objectives = np.full(ROWS, np.inf)
        self.heat = 0.0

    def ask(self) -> Array:
        n = len(self.spread)
        change = self.rng.random((ROWS, n)) < 3.0 / n
        return self.places + change * self.spread * self.rng.normal(size=(ROWS, n))

    def tell(self, candidates: Array, objectives: Array, left: float) -> None:
        if not self.heat:
            self.heat = max(float(objectives.std()), 1e-9)
        chance = np.exp(-np.maximum(objectives - self.objectives, 0.0) / (0.3 * self.heat * left + 1e-12))
        moves = self.rng.random(ROWS) < chance
        self.places[moves], self.objectives[moves] = candidates[moves], objectives[moves]
        worst, best = np.argsort(self.objectives)[[-1, 0]]  # the worst chain goes on where the best one is
        self.places[worst], self.objectives[worst] = self.places[best], self.objectives[best]


VARIATIONS: dict[str, Callable[[Array, np.random.Generator], Variation]] = {
    "oracle_search": CrossEntropy,
    "oracle_genetic": Genetic,
    "oracle_annealing": Annealing,
}


class _Rollouts:
    """Play candidates of one mission, a row each; all arrays are made once."""

    def __init__(self, problem: "Task", mission: Mission, late: Callable[[], bool]) -> None:
        self.problem, self.mission, self.late = problem, mission, late
        self.batch = Batch(problem, ROWS)
        self.batch.load([mission] * ROWS)
        self.start = copy_arrays(self.batch.state)
        self.cover = cover_costs(mission)
        self.mean_cost = float(mission.cost.mean()) or 1.0
        m, q = problem.shape.entities, problem.shape.tasks
        self.numbers = Numbers(np.ones((ROWS, m)), np.zeros((ROWS, q)), np.zeros(ROWS), np.zeros(ROWS))
        self.act = Followed(self.numbers)
        self.episodes = 0

    def of_settings(self, chosen: list[Setting]) -> Array:
        """What rules of thumb reach (at most ROWS of them)."""
        padded = [*chosen, *([chosen[0]] * (ROWS - len(chosen)))]
        return self._play(padded, np.zeros((ROWS, self.mission.n_entities + self.mission.n_tasks)))[: len(chosen)]

    def of_candidates(self, setting: Setting, candidates: Array) -> Array:
        """What candidates [ROWS, M + Q] around a setting reach."""
        return self._play([setting] * ROWS, candidates)

    def _play(self, chosen: list[Setting], candidates: Array) -> Array:
        """What is reached at the end, or by the time it is late."""
        m, q = self.mission.n_entities, self.mission.n_tasks
        base = np.array([limits(self.cover, self.mission.value, setting) for setting in dict.fromkeys(chosen)])
        row = {setting: i for i, setting in enumerate(dict.fromkeys(chosen))}
        which = [row[setting] for setting in chosen]
        self.numbers.price[:, :m] = np.exp(candidates[:, :m])
        self.numbers.limit[:, :q] = base[which] * np.exp(candidates[:, m:])
        self.numbers.haste[:] = [setting.haste * self.mean_cost for setting in chosen]
        self.numbers.tau[:] = [setting.tau for setting in chosen]
        load_arrays(self.batch.state, self.start)
        if self.act.scratch is not None:
            self.act.scratch.expected[:] = -1
        model: State = self.batch.state.model
        while not ((model.over | (model.steps_left <= 0)).all() or self.late()):
            self.batch.step(self.act(self.batch))
        self.episodes += ROWS
        return self.batch.costs()


def search(
    problem: "Task",
    mission: Mission,
    variation: str,
    seconds: float,
    seed: int = 0,
    stop: Callable[[], bool] = never,
    most: int | None = None,
    beat: float = np.inf,
) -> Found:
    """The best candidate within a wall time, or after `most` episodes: at least the best rule of thumb.

    Where it reaches no less than `beat` there are no actions: nobody wants them.
    """
    began, limit = perf_counter(), SHARE * seconds

    def late() -> bool:
        return stop() or (most is None and perf_counter(STEP_SECONDS) - began > limit)

    rng = np.random.default_rng(seed)
    play = _Rollouts(problem, mission, late)
    thumbs = settings(problem.rules)
    reached = play.of_settings(thumbs)
    setting = thumbs[int(np.argmin(reached))]
    lowest, best = float(reached.min()), np.zeros(mission.n_entities + mission.n_tasks)
    spread = np.concatenate([np.full(mission.n_entities, SPREAD_PRICE), np.full(mission.n_tasks, SPREAD_LIMIT)])
    varied = VARIATIONS[variation](spread, rng)
    while not late():
        spent = (perf_counter() - began) / limit if most is None else play.episodes / most
        if spent >= 1.0:
            break
        candidates = varied.ask()
        objectives = play.of_candidates(setting, candidates)
        varied.tell(candidates, objectives, 1.0 - spent)
        if objectives.min() < lowest:
            lowest, best = float(objectives.min()), candidates[int(np.argmin(objectives))].copy()
    if lowest >= beat:
        return Found(lowest, np.zeros((0, 2), np.int32), play.episodes, setting)
    actions, objective = _followed(problem, mission, play, setting, best)
    return Found(objective, actions, play.episodes, setting)


def _followed(
    problem: "Task", mission: Mission, play: _Rollouts, setting: Setting, candidate: Array
) -> tuple[IntArray, float]:
    """The actions [n, 2] that the candidate takes, to the end, and what they reach."""
    m, q = mission.n_entities, mission.n_tasks
    row = Numbers(*(array[:1].copy() for array in play.numbers))
    row.price[0, :m] = np.exp(candidate[:m])
    row.limit[0, :q] = limits(play.cover, mission.value, setting) * np.exp(candidate[m:])
    row.haste[0], row.tau[0] = setting.haste * play.mean_cost, setting.tau
    batch = Batch(problem, 1)
    batch.load([mission])
    act, actions = Followed(row), []
    while problem.steps_left(batch.state, 0) > 0:
        actions.append(act(batch)[0])
        batch.step(actions[-1][None])
    return np.array(actions, np.int32).reshape(-1, 2), float(batch.costs()[0])
