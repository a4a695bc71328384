"""Votes without a verifier: which problem gets the next vote, when is the leading answer sure enough?

T problems of a fixed model, a budget of votes for all; every problem has one vote to begin with. An action
names a problem that gets one more vote, or stops (T). Reward: the rise in the number of problems whose
leading answer (of equals the one met first) is correct, less the price of the vote; nobody but the reward
knows what is correct. An action that is not legal does nothing and is penalised.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import betainc

from allocenv.core.arrays import Array, BoolArray, LongArray
from allocenv.problems.budget.drawing import View
from allocenv.problems.budget.games.turns import Turns
from allocenv.problems.budget.sample_sets import find_votes

PROBLEM = (
    "votes / votes there are",
    "share of the leading answer",
    "share of the second",
    "posterior that the leading one leads",
    "different answers / votes there are",
)
CONTEXT = ("budget left / budget", "price x 10")


class Setting(NamedTuple):
    """The parameters of an episode."""

    problems: int = 32  # T, drawn from the source for each episode
    average: int = 4  # votes a problem, the first one included
    price: float = 0.01  # of a vote, in correct answers
    source: str = "math"  # or made_up; math is made up too where its data is absent


class Voting(Turns):
    """B rows; see `Game`."""

    def __init__(self, n: int, how: Setting) -> None:
        self.votes = find_votes(how.source)
        problems, samples = self.votes.answer.shape
        for name, low, high in (("problems", 1, problems), ("average", 1, samples)):
            if not low <= getattr(how, name) <= high:
                raise ValueError(f"Expected {name} from {low} to {high}, got {getattr(how, name)}.")
        t, answers = how.problems, int(self.votes.answer.max()) + 1
        super().__init__(n, t, how.average * t, how.price, {"problems": (t, len(PROBLEM)), "context": (len(CONTEXT),)})
        self.how, self.samples = how, samples
        self.answer: LongArray = np.zeros((n, t, samples), np.int64)  # votes in the order in which they come
        self.correct = np.zeros((n, t, samples), np.bool_)
        self.counts: LongArray = np.zeros((n, t, answers), np.int64)
        self.right = np.zeros((n, t), np.bool_)  # is the leading answer correct?

    def begin(self, b: int, rng: np.random.Generator) -> None:
        """See `Game`."""
        self.clear(b)
        chosen = rng.choice(len(self.votes.answer), self.how.problems, replace=False)
        order = rng.permuted(np.tile(np.arange(self.samples), (len(chosen), 1)), axis=1)
        self.answer[b] = np.take_along_axis(self.votes.answer[chosen], order, axis=1)
        self.correct[b] = np.take_along_axis(self.votes.correct[chosen], order, axis=1)
        self.counts[b] = 0
        self.used[b] = 1
        self.spent[b] = self.how.problems
        self.counts[b, np.arange(self.how.problems), self.answer[b, :, 0]] = 1
        self.right[b] = self.correct[b, :, 0]

    def open(self) -> BoolArray:
        """Problems with votes left."""
        left: BoolArray = self.used < self.samples
        return left

    def take(self, b: LongArray, t: LongArray) -> Array:
        """One more vote for each problem; by how much the number of right ones rises, less the price."""
        before = self.right[b, t]
        for row, problem in zip(b, t, strict=True):
            self._vote(int(row), int(problem))
        return self.right[b, t].astype(np.float64) - before - self.price

    def observe(self) -> dict[str, Array]:
        """See `Game`: `PROBLEM` of each problem, and `CONTEXT`."""
        lead, second = self.leaders()
        problems = np.stack(
            [
                self.used / self.samples,
                lead / np.maximum(self.used, 1),
                second / np.maximum(self.used, 1),
                self.sureness(),
                (self.counts > 0).sum(axis=2) / self.samples,
            ],
            axis=2,
        )
        context = np.stack([np.maximum(1 - self.spent / self.budget, 0.0), self.seen_price()], axis=1)
        return {"problems": problems.astype(np.float32), "context": context.astype(np.float32)}

    def metrics(self, b: int) -> dict[str, float]:
        """See `Game`."""
        return {
            "objective": 1.0 - float(self.right[b].mean()),
            "correct": float(self.right[b].mean()),
            "votes": float(self.spent[b]) / self.how.problems,
            "illegal": float(self.illegal[b]),
        }

    def view(self, b: int) -> View:
        """See `Game`."""
        lead = self.leaders()[0][b]
        title = (
            f"{int(self.right[b].sum())} of {self.how.problems} leading answers are right; "
            f"{int(max(self.budget - self.spent[b], 0))} votes left"
        )
        numbers, used = np.arange(self.how.problems, dtype=np.int32), self.used[b].astype(np.int32)
        sure = lead / np.maximum(used, 1)
        return View(title, numbers, sure, used, lead.astype(np.int32), "question", "for the leading answer", "others")

    def leaders(self) -> tuple[LongArray, LongArray]:
        """Votes of the leading answer and of the second, [B, T] each."""
        if self.counts.shape[2] == 1:
            return self.counts[:, :, 0], np.zeros_like(self.used)
        top = np.sort(self.counts, axis=2)
        return top[:, :, -1], top[:, :, -2]

    def sureness(self) -> Array:
        """P(the leading answer is more frequent than the second one), [B, T]."""
        lead, second = self.leaders()
        sure: Array = 1.0 - betainc(lead + 1.0, second + 1.0, 0.5)
        return sure

    def _vote(self, b: int, t: int) -> None:
        self.counts[b, t, self.answer[b, t, self.used[b, t]]] += 1
        self.used[b, t] += 1
        self.spent[b] += 1
        seen = self.answer[b, t, : self.used[b, t]]
        best = int(np.argmax(self.counts[b, t][seen]))  # of equals the one met first
        self.right[b, t] = self.correct[b, t, best]


def least_sure(game: Voting, threshold: float) -> LongArray:
    """The problem whose leading answer is least sure, [B]; stop once all reach the threshold."""
    sure = np.where(game.masks()[:, :-1], game.sureness(), np.inf)
    best = sure.argmin(axis=1)
    return np.where(sure.min(axis=1) < threshold, best, game.how.problems)
