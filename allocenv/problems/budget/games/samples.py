"""Adaptive best-of-n with a verifier: which task gets the next samples, when is enough spent?

T tasks of a fixed model, a budget of samples for all. An action names a task that gets the next chunk of
samples, or stops (T). A task leaves once it is solved or has no samples left. Reward: 1 for each task newly
solved, less the price of the samples. An action that is not legal does nothing and costs ILLEGAL.
"""

from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from allocenv.core.arrays import Array, BoolArray, LongArray
from allocenv.problems.budget.drawing import View
from allocenv.problems.budget.sample_sets import HUMANEVAL_BETA, find_verified

ILLEGAL = 1.0
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


class Sampling:
    """B rows; see `Game`."""

    def __init__(self, n: int, how: Setting) -> None:
        passed = find_verified(how.source).passed
        check_setting(how, *passed.shape)
        self.n, self.how, self.all = n, how, passed
        t, s = how.tasks, passed.shape[1]
        self.passed = np.zeros((n, t, s), np.bool_)  # samples in the order in which they are drawn
        self.used: LongArray = np.zeros((n, t), np.int64)
        self.solved = np.zeros((n, t), np.bool_)
        self.spent: LongArray = np.zeros(n, np.int64)
        self.stopped = np.zeros(n, np.bool_)
        self.illegal: LongArray = np.zeros(n, np.int64)
        self.budget = how.average * t
        self.observation_space = spaces.Dict(
            {
                "tasks": spaces.Box(0.0, 10.0, (t, len(TASK)), np.float32),
                "context": spaces.Box(0.0, 10.0, (len(CONTEXT),), np.float32),
            }
        )
        self.action_space = spaces.Discrete(t + 1)

    def begin(self, b: int, rng: np.random.Generator) -> None:
        """See `Game`."""
        chosen = rng.choice(len(self.all), self.how.tasks, replace=False)
        self.passed[b] = rng.permuted(self.all[chosen], axis=1)
        self.used[b] = self.spent[b] = self.illegal[b] = 0
        self.solved[b] = self.stopped[b] = False

    def act(self, actions: Array, rows: BoolArray) -> tuple[Array, BoolArray, BoolArray]:
        """See `Game`."""
        actions, every = np.asarray(actions).astype(np.int64), np.arange(self.n)
        task = np.clip(actions, 0, self.how.tasks)
        legal = self.masks()[every, task] & (task == actions)
        stop = rows & legal & (task == self.how.tasks)
        draw = rows & legal & ~stop
        b, t = every[draw], task[draw]
        first = self.used[b, t]
        n = np.minimum(self.how.chunk, np.minimum(self.all.shape[1] - first, self.budget - self.spent[b]))
        place = np.arange(self.all.shape[1])
        hit = (self.passed[b, t] & (place >= first[:, None]) & (place < (first + n)[:, None])).any(axis=1)
        self.used[b, t] += n
        self.spent[b] += n
        self.solved[b, t] = hit
        rewards = np.zeros(self.n)
        rewards[b] = hit - self.how.price * n
        wrong = rows & ~legal
        rewards[wrong] = -ILLEGAL
        self.illegal[wrong] += 1
        self.stopped |= stop
        over = rows & (self.stopped | ~self.masks()[:, :-1].any(axis=1))
        return rewards, over, rows & ~over & (self.spent + self.illegal >= 2 * self.budget)

    def masks(self) -> BoolArray:
        """See `Game`: unsolved tasks with samples left, while the budget lasts; stop always."""
        open_ = ~self.solved & (self.used < self.all.shape[1]) & (self.spent < self.budget)[:, None]
        return np.concatenate([open_, np.ones((self.n, 1), np.bool_)], axis=1)

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
        price = np.full(self.n, min(10.0 * self.how.price, 10.0))
        context = np.stack([left, self.solved.mean(axis=1), price], axis=1)
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
    if not 0 <= how.price < np.inf:
        raise ValueError(f"Expected a price of at least 0, got {how.price}.")


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
