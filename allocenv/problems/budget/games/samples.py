"""Adaptive best-of-n with a verifier: which task gets the next samples, when is enough spent?

T tasks of a fixed model, a budget of samples for all. An action names a task that gets the next chunk of
samples, or stops (T). A task leaves once it is solved or has no samples left. Reward: 1 for each task newly
solved, less the price of the samples. An action that is not legal does nothing and is penalised.
"""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray, LongArray
from allocenv.problems.budget.drawing import View
from allocenv.problems.budget.games.turns import Turns
from allocenv.problems.budget.sample_sets import HUMANEVAL_BETA, find_verified

TASK = (
    "posterior mean",
    "posterior deviation, x 2",
    "samples used / samples there are",
    "samples used / average budget / 4",
    "solved",
)
CONTEXT = ("budget left / budget", "share solved", "price x 10")


class Setting(NamedTuple):
    """The parameters of an episode."""

    tasks: int = 32  # T, drawn from the source for each episode
    average: int = 8  # samples a task
    chunk: int = 1  # samples of an action
    price: float = 0.0  # of a sample, in solved tasks
    source: str = "humaneval"  # or made_up; humaneval is made up too where its data is absent


class Sampling(Turns):
    """B rows; see `Game`."""

    def __init__(self, n: int, how: Setting) -> None:
        passed = find_verified(how.source).passed
        check_setting(how, *passed.shape)
        t, samples = how.tasks, passed.shape[1]
        super().__init__(n, t, how.average * t, how.price, {"tasks": (t, len(TASK)), "context": (len(CONTEXT),)})
        self.how, self.all = how, passed
        self.passed = np.zeros((n, t, samples), np.bool_)  # samples in the order in which they are drawn
        self.solved = np.zeros((n, t), np.bool_)

    def begin(self, b: int, rng: np.random.Generator) -> None:
        """See `Game`."""
        self.clear(b)
        chosen = rng.choice(len(self.all), self.how.tasks, replace=False)
        self.passed[b] = rng.permuted(self.all[chosen], axis=1)
        self.solved[b] = False

    def open(self) -> BoolArray:
        """Unsolved tasks with samples left."""
        left: BoolArray = ~self.solved & (self.used < self.all.shape[1])
        return left

    def take(self, b: LongArray, t: LongArray) -> Array:
        """The next chunk of samples of each task."""
        first, place = self.used[b, t], np.arange(self.all.shape[1])
        n = np.minimum(self.how.chunk, np.minimum(self.all.shape[1] - first, self.budget - self.spent[b]))
        hit = (self.passed[b, t] & (place >= first[:, None]) & (place < (first + n)[:, None])).any(axis=1)
        self.used[b, t] += n
        self.spent[b] += n
        self.solved[b, t] = hit
        gained: Array = hit - self.price * n
        return gained

    def observe(self) -> dict[str, Array]:
        """See `Game`: `TASK` of each task, and `CONTEXT`."""
        a, b = HUMANEVAL_BETA
        mean = (a + self.solved) / (a + b + self.used)
        tasks = np.stack(
            [
                mean,
                2.0 * np.sqrt(mean * (1 - mean) / (a + b + self.used + 1)),
                self.used / self.all.shape[1],
                np.minimum(self.used / (4.0 * self.how.average), 10.0),
                self.solved,
            ],
            axis=2,
        )
        left = 1 - self.spent / self.budget
        context = np.stack([left, self.solved.mean(axis=1), self.seen_price()], axis=1)
        return {"tasks": tasks.astype(np.float32), "context": context.astype(np.float32)}

    def metrics(self, b: int) -> dict[str, float]:
        """See `Game`."""
        return {
            "objective": 1.0 - float(self.solved[b].mean()),
            "solved": float(self.solved[b].mean()),
            "samples": float(self.spent[b]) / self.how.tasks,
            "illegal": float(self.illegal[b]),
        }

    def view(self, b: int) -> View:
        """See `Game`."""
        left = int(self.budget - self.spent[b])
        title = f"{int(self.solved[b].sum())} of {self.how.tasks} tasks solved; {left} samples left"
        numbers, solved = np.arange(self.how.tasks, dtype=np.int32), self.solved[b].astype(np.int32)
        believed = self.observe()["tasks"][b, :, 0]
        return View(title, numbers, believed, self.used[b].astype(np.int32), solved, "task")


def check_setting(how: Setting, tasks: int, samples: int) -> None:
    """Raise ValueError where a parameter is out of range."""
    for name, low, high in (("tasks", 1, tasks), ("average", 1, samples), ("chunk", 1, samples)):
        if not low <= getattr(how, name) <= high:
            raise ValueError(f"Expected {name} from {low} to {high}, got {getattr(how, name)}.")


def posterior_index(game: Sampling) -> LongArray:
    """The unsolved task of the largest posterior mean, [B]; stop where a sample costs more than it is worth."""
    a, b = HUMANEVAL_BETA
    worth = np.where(game.masks()[:, :-1], a / (a + b + game.used), -1.0)
    return _best_above(worth, game.how.price)


def oracle_index(game: Sampling) -> LongArray:
    """The unsolved task with the largest share of passing samples among those left, [B]."""
    place = np.arange(game.all.shape[1])
    left = place >= game.used[:, :, None]
    share = (game.passed & left).sum(axis=2) / np.maximum(left.sum(axis=2), 1)
    return _best_above(np.where(game.masks()[:, :-1], share, -1.0), game.how.price)


def _best_above(worth: Array, price: float) -> LongArray:
    best = worth.argmax(axis=1)
    top = np.take_along_axis(worth, best[:, None], axis=1)[:, 0]
    out: LongArray = np.where(top > 0, best, worth.shape[1])
    return np.where(top < price, worth.shape[1], out)
