"""What is an allocation worth? The value of N rollouts of a prompt, known or expected, and what one more adds.

A value is V(N, p) = g(p) h(N, p) with g = p^a (1-p)^b and one of three shapes h. What one more rollout adds
is

    gradient   D(N) = g [p^N (1-p) + (1-p)^N p]   h = 1 - p^N - (1-p)^N: both outcomes are seen; h(0) = h(1) = 0
    hit        D(N) = g (1-p)^N p                 h = 1 - (1-p)^N: some rollout is correct
    variance   D(N) = g / (N (N-1)), N >= 2       h = 1 - 1/(N-1): variance of a leave-one-out baseline, removed

Where p is not known but p ~ Beta(x, y), the power g tilts the belief: E[g f(p)] = E[g] E'[f(p)] with p ~
Beta(x+a, y+b) under E'. Its terms follow a recurrence without any gamma function: E'[p^(N+1) (1-p)] = E'[p^N
(1-p)] (x'+N)/(x'+y'+N+1). A known rate follows the same one without the N. So there is one curve for all: two
terms, each multiplied by a ratio.

Sources: Knapsack RL (2509.25849; gradient, a=1, b=2); HORA (2605.07114; hit); VIP (2602.01601; variance,
a=b=1).
"""

from collections.abc import Mapping
from math import exp, lgamma
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from allocenv.core.arrays import Array, LongArray
from allocenv.core.kernel import inlined, kernel

GRADIENT, HIT, VARIANCE = range(3)
FIRST = (1, 0, 2)  # by shape: levels up to this one are worth nothing


class Value(NamedTuple):
    """Which function of the success rate an allocation maximises."""

    shape: int  # GRADIENT, HIT or VARIANCE
    success: float  # a, the exponent of p, at least 0
    failure: float  # b, the exponent of 1 - p, at least 0


VALUES: Mapping[str, Value] = {
    "infogain": Value(GRADIENT, 1, 2),  # as published (Knapsack RL)
    "real_run": Value(GRADIENT, 1, 1),  # nearest to the gains of the real run (exponents 1.03 and 1.26)
    "gradient": Value(GRADIENT, 0, 0),  # a gradient, of whatever use
    "hit": Value(HIT, 0, 0),
    "variance": Value(VARIANCE, 1, 1),
}


class Belief(NamedTuple):
    """What is believed about the success rates of M prompts: mixtures of K Betas, or of K known rates."""

    weight: Array  # [M, K]  of each part, sums to 1
    wins: Array  # [M, K]  first parameter of a Beta, or the rate p
    losses: Array  # [M, K]  second parameter, or 1 - p
    spread: float  # 1: Beta; 0: known rates


class Curves(NamedTuple):
    """What the next rollout of each prompt is worth: the sum of `win + loss` over its parts."""

    win: Array  # [M, K]  E[g p^N (1-p)] by weight
    loss: Array  # [M, K]  E[g (1-p)^N p] by weight
    a: Array  # [M, K]  the tilted Beta
    b: Array  # [M, K]
    spread: float


def value(shape: str, success: float = 0.0, failure: float = 0.0) -> Value:
    """A value of one's own: shape `gradient`, `hit` or `variance`, and the exponents of p and 1 - p.

    Raises:
        ValueError: unknown shape, a negative or infinite exponent.
    """
    shapes = ("gradient", "hit", "variance")
    if shape not in shapes:
        raise ValueError(f"Expected a shape among {', '.join(shapes)}, got {shape!r}.")
    if not (0 <= success < np.inf and 0 <= failure < np.inf):
        raise ValueError(f"Expected finite exponents of at least 0, got {success} and {failure}.")
    return Value(shapes.index(shape), float(success), float(failure))


def known(rates: ArrayLike) -> Belief:
    """The rates [M] are known.

    Raises:
        ValueError: a rate outside 0..1, or NaN.
    """
    p = np.asarray(rates, np.float64).reshape(-1, 1)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"Expected rates from 0 to 1, got {p[~((p >= 0) & (p <= 1))][0]}.")
    return Belief(np.ones_like(p), p, 1.0 - p, 0.0)


def beta(wins: ArrayLike, losses: ArrayLike) -> Belief:
    """The rates are Beta(wins, losses), [M] each.

    Raises:
        ValueError: a parameter that is not above 0, or shapes that differ.
    """
    a = np.asarray(wins, np.float64).reshape(-1, 1)
    return mixture(np.ones_like(a), a, np.asarray(losses, np.float64).reshape(-1, 1))


def mixture(weight: ArrayLike, wins: ArrayLike, losses: ArrayLike) -> Belief:
    """The rates are mixtures of K Betas, [M, K] each; weights are scaled to sum to 1.

    Raises:
        ValueError: a parameter that is not above 0, weights that are negative or all 0, or shapes that
        differ.
    """
    w, a, b = (np.ascontiguousarray(x, np.float64) for x in (weight, wins, losses))
    if w.ndim != 2 or not w.shape == a.shape == b.shape:
        raise ValueError(f"Expected three arrays [M, K] of one shape, got {w.shape}, {a.shape} and {b.shape}.")
    if not ((a > 0) & (b > 0) & (a + b < np.inf)).all():
        raise ValueError("Expected finite Beta parameters above 0.")
    total = w.sum(axis=1, keepdims=True)
    if not ((w >= 0).all() and (total > 0).all() and (total < np.inf).all()):
        raise ValueError("Expected weights of at least 0 that are not all 0.")
    return Belief(w / total, a, b, 1.0)


def mean(belief: Belief) -> Array:
    """The expected rates [M]."""
    rates: Array = (belief.weight * belief.wins / (belief.wins + belief.losses)).sum(axis=1)
    return rates


def rows(belief: Belief, which: Array) -> Belief:
    """The belief about some of the prompts."""
    return Belief(belief.weight[which], belief.wins[which], belief.losses[which], belief.spread)


def curves(of: Value, belief: Belief, levels: LongArray) -> Curves:
    """The curves of M prompts that have `levels` rollouts each."""
    win, loss, a, b = (np.empty(belief.wins.shape) for _ in range(4))
    made = Curves(win, loss, a, b, 1.0 if of.shape == VARIANCE else belief.spread)
    start_curves(of.shape, float(of.success), float(of.failure), belief, levels, made)
    return made


def next_gains(of: Value, belief: Belief, levels: LongArray) -> Array:
    """What one rollout more than `levels` adds, [M]."""
    made = curves(of, belief, levels)
    return np.where(levels < FIRST[of.shape], 0.0, (made.win + made.loss).sum(axis=1))


def worth(of: Value, belief: Belief, counts: LongArray) -> Array:
    """What `counts` rollouts are worth, [M]."""
    first = FIRST[of.shape]
    made, out = curves(of, belief, np.full_like(counts, first)), np.empty(len(counts))
    _sum(made, first, counts, out)
    return out


def worth_table(of: Value, belief: Belief, n_up: int) -> Array:
    """What 0..n_up rollouts are worth, [M, n_up + 1]."""
    m, first = len(belief.wins), FIRST[of.shape]
    made = curves(of, belief, np.full(m, first, np.int64))
    table = np.zeros((m, max(n_up, first) + 1))
    _tabulate(made, first, table)
    return table[:, : n_up + 1]


@inlined
def expected_power(a, b, spread, success, failure):
    """E[p^success (1-p)^failure]: whole powers one by one, a remainder by gamma functions."""
    product = 1.0
    while success >= 1.0:
        product *= a / (a + b)
        a += spread
        success -= 1.0
    while failure >= 1.0:
        product *= b / (a + b)
        b += spread
        failure -= 1.0
    if success + failure == 0.0:
        return product
    if spread == 0.0:
        return product * a**success * b**failure
    up = lgamma(a + success) + lgamma(b + failure) - lgamma(a + b + success + failure)
    return product * exp(up - lgamma(a) - lgamma(b) + lgamma(a + b))


@inlined
def gain(c, i):
    """What the next rollout of prompt i adds."""
    total = 0.0
    for k in range(c.win.shape[1]):
        total += c.win[i, k] + c.loss[i, k]
    return total


@inlined
def advance(c, i, n):
    """Step the curve of prompt i from n to n + 1 rollouts."""
    for k in range(c.win.shape[1]):
        a, b = c.a[i, k], c.b[i, k]
        scale = 1.0 / (a + b + c.spread * (n + 1.0))
        c.win[i, k] *= (a + c.spread * n) * scale
        c.loss[i, k] *= (b + c.spread * n) * scale


@kernel
def start_curves(shape, success, failure, belief, levels, c):
    """Write the curves of prompts that have `levels` rollouts each into `c`."""
    for i in range(levels.size):
        level = levels[i]
        for k in range(belief.wins.shape[1]):
            a, b = belief.wins[i, k], belief.losses[i, k]
            power = belief.weight[i, k] * expected_power(a, b, belief.spread, success, failure)
            if shape == VARIANCE:
                # D(N+1) / D(N) = (N-1) / (N+1): the recurrence of a = -1, b = 1
                c.a[i, k], c.b[i, k] = -1.0, 1.0
                c.win[i, k] = power / max(level * (level - 1), 1)
                c.loss[i, k] = 0.0
                continue
            a += belief.spread * success
            b += belief.spread * failure
            c.a[i, k], c.b[i, k] = a, b
            c.win[i, k] = power * b / (a + b) if shape == GRADIENT else 0.0
            c.loss[i, k] = power * a / (a + b)
        if shape != VARIANCE:
            for n in range(level):
                advance(c, i, n)


@kernel
def _sum(c, first, counts, out):
    for i in range(counts.size):
        out[i] = 0.0
        for n in range(first, counts[i]):
            out[i] += gain(c, i)
            advance(c, i, n)


@kernel
def _tabulate(c, first, table):
    for i in range(table.shape[0]):
        for n in range(first, table.shape[1] - 1):
            table[i, n + 1] = table[i, n] + gain(c, i)
            advance(c, i, n)
