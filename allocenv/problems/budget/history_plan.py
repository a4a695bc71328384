"""What does a history say about each prompt, and what do the next rollouts bring? The figures of a plan."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.special import betainc

from allocenv.core.arrays import Array, BoolArray, LongArray
from allocenv.problems.budget.allocator import Allocator
from allocenv.problems.budget.history import History
from allocenv.problems.budget.rules.rule import spread_evenly
from allocenv.problems.budget.values import VALUES, Belief, mean, worth

SURE = 0.9  # a verdict needs so much probability
HOPELESS, SOLVED = 0.05, 0.95  # rates
LEVELS = (0.05, 0.95)  # of the credible interval
HALVINGS = 40
ESTIMATORS = {"posterior": "beta", "rasch": "rasch"}


class Expected(NamedTuple):
    """What an allocation promises under the belief."""

    value: float  # a prompt
    effective_prompts: float  # share whose group has both outcomes
    effective_rollouts: float  # share of rollouts in such groups
    rollouts: int
    tokens: float  # NaN: not known


class Plan(NamedTuple):
    """An allocation for P prompts and all that is said of it."""

    ids: list[str]  # [P]
    visits: LongArray  # [P]
    correct: LongArray  # [P]
    tried: LongArray  # [P]
    rate: Array  # [P]  expected
    low: Array  # [P]  credible interval of 90 %
    high: Array  # [P]
    rollouts: LongArray  # [P]
    effective: Array  # [P]  probability that the group has both outcomes
    hopeless: BoolArray  # [P]
    solved: BoolArray  # [P]
    tokens: Array | None  # [P]  of one rollout
    expected: Expected
    uniform: Expected
    allocator: Allocator  # that has learnt the history


def make_plan(history: History, allocator: Allocator, total: int, costs: bool) -> Plan:
    """Learn the history and allocate `total` rollouts, or with `costs` the tokens that so many equal ones take.

    Raises:
        ValueError: a total that the bounds do not allow, or costs without tokens in the history.
    """
    for visits in batches(history):
        told = history.tokens[visits]
        known = told > 0
        for some, tokens in ((visits[known], told[known]), (visits[~known], None)):
            ids = [history.ids[prompt] for prompt in history.prompt[some].tolist()]
            allocator.observe(ids, history.correct[some], history.rollouts[some], tokens, allow_new=True)
    ids, n = history.ids, len(history.ids)
    even = spread_evenly(total, np.ones(n, bool))
    lengths = allocator.expected_tokens(ids) if (history.tokens > 0).any() else None
    if costs and lengths is None:
        raise ValueError("--costs: expected a column tokens in the history, found none.")
    if costs and lengths is not None:
        rollouts = allocator.allocate(ids, float(even @ lengths), lengths)
    else:
        rollouts = allocator.allocate(ids, total)
    belief = allocator.posterior(ids)
    return Plan(
        ids=ids,
        visits=np.bincount(history.prompt, minlength=n),
        correct=_sums(history.prompt, history.correct, n),
        tried=_sums(history.prompt, history.rollouts, n),
        rate=mean(belief),
        low=quantile(belief, LEVELS[0]),
        high=quantile(belief, LEVELS[1]),
        rollouts=rollouts,
        effective=worth(VALUES["gradient"], belief, rollouts),
        hopeless=below(belief, np.full(n, HOPELESS)) >= SURE,
        solved=below(belief, np.full(n, SOLVED)) <= 1 - SURE,
        tokens=lengths,
        expected=_expected(allocator, belief, rollouts, lengths),
        uniform=_expected(allocator, belief, even, lengths),
        allocator=allocator,
    )


def batches(history: History) -> Iterator[LongArray]:
    """Visits in the order of time, in runs in which no prompt comes twice."""
    begin, seen = 0, set[int]()
    for i, prompt in enumerate(history.prompt.tolist()):
        if prompt in seen:
            yield np.arange(begin, i)
            begin, seen = i, set()
        seen.add(prompt)
    yield np.arange(begin, len(history.prompt))


def below(belief: Belief, x: Array) -> Array:
    """The probability [M] that a rate is at most x [M]."""
    at = x[:, None]
    parts = betainc(belief.wins, belief.losses, at) if belief.spread else belief.wins <= at
    return np.asarray((belief.weight * parts).sum(axis=1))


def quantile(belief: Belief, level: float) -> Array:
    """The rates [M] below which the true ones lie with probability `level`."""
    low, high = np.zeros(len(belief.wins)), np.ones(len(belief.wins))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        enough = below(belief, middle) >= level
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return high


def _expected(allocator: Allocator, belief: Belief, rollouts: LongArray, lengths: Array | None) -> Expected:
    both = worth(VALUES["gradient"], belief, rollouts)
    return Expected(
        value=float(worth(allocator.value, belief, rollouts).mean()),
        effective_prompts=float(both.mean()),
        effective_rollouts=float((both * rollouts).sum() / max(int(rollouts.sum()), 1)),
        rollouts=int(rollouts.sum()),
        tokens=float("nan") if lengths is None else float(rollouts @ lengths),
    )


def _sums(of: LongArray, what: LongArray, n: int) -> LongArray:
    out = np.zeros(n, np.int64)
    np.add.at(out, of, what)
    return out
