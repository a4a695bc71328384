"""How many rollouts does each prompt get, at equal costs? The exact solution of the multiple-choice knapsack.

Maximise sum_i V_i(n_i) subject to sum_i n_i = total and low_i <= n_i <= up_i.

Why greedy is exact. D(N) = V(N+1) - V(N) falls with N (for the gradient D(N+1) - D(N) = -g [p^N (1-p)^2 +
(1-p)^N p^2] < 0, likewise for the other shapes), and a mean of falling curves falls: so V_i is concave, known
or expected. Let n be what comes of taking the largest gain again and again, m any other allocation of the
same total. Then some i has n_i > m_i and some j has n_j < m_j. Prompt i's last rollout was taken though j's
rollout n_j + 1 was there: D_i(n_i - 1) >= D_j(n_j), and by concavity D_i(m_i) >= D_i(n_i - 1) >= D_j(n_j) >=
D_j(m_j - 1). Moving one rollout from j to i in m loses nothing and brings m nearer to n; repeated, m becomes
n.

The one exception: a gradient needs two rollouts, V(0) = V(1) = 0. With low_i = 0 the chord from 0 to 2 has
slope p (1-p) g = D(2), so with the first two rollouts as one item of two gains the slopes fall again and the
same proof holds, but where one rollout is left and the largest gain is such a pair. With s the pair's slope
per rollout (what a rollout is worth at the margin) every allocation loses against total + s by what each
prompt loses against its best at price s. One rollout too many or too few of an odd size must be lost
somewhere, and the cheapest places are few:

    another prompt takes it      loses s - (its gain)
    it is wasted                 loses s
    a prompt gives one back      loses (its last gain) - s, and the pair is taken
    a pair is given back         loses 2 (its slope - s), and a closed prompt of slope r takes three: 3 (s - r)

Source: derived; the problem is that of Knapsack RL (2509.25849), which solves it by dynamic programming.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from allocenv.core.arrays import Array, BoolArray, LongArray
from allocenv.core.kernel import kernel
from allocenv.problems.budget.allocation.heap import sink
from allocenv.problems.budget.values import (
    GRADIENT,
    VARIANCE,
    Belief,
    Curves,
    Value,
    advance,
    curves,
    gain,
    next_gains,
)

MANY = 128  # prompts from which on a sample is worth its time
STRIDE = 8  # one prompt in so many is in the sample
MARGIN = 1.2  # on the price it tells


class Bounds(NamedTuple):
    """The fewest and the most rollouts of each prompt."""

    low: LongArray  # [M]
    up: LongArray  # [M]


def bounds(m: int, low: ArrayLike, up: ArrayLike) -> Bounds:
    """Bounds of m prompts from one number for all or one each.

    Raises:
        ValueError: a bound that is no whole number of at least 0, or low above up.
    """
    lows, ups = (_whole(m, name, x) for name, x in (("low", low), ("up", up)))
    if (lows > ups).any():
        i = int(np.argmax(lows > ups))
        raise ValueError(f"Expected low <= up, got {lows[i]} > {ups[i]} for prompt {i}.")
    return Bounds(lows, ups)


def allocate(of: Value, belief: Belief, total: int, low: ArrayLike = 2, up: ArrayLike = 128) -> LongArray:
    """The rollouts [M] of largest expected value; they sum to `total`. O(M + total log M).

    Of equal gains the prompt with fewer rollouts goes first, then the one that comes first.

    Args:
        of: the value, such as VALUES["infogain"].
        belief: about the M success rates.
        total: rollouts to give away.
        low: fewest rollouts of a prompt, for all or [M]. 0 lets prompts be left out.
        up: most rollouts of a prompt, for all or [M].

    Raises:
        ValueError: bad bounds, a total below the sum of `low` or above the sum of `up`, or low < 2 for
        `variance`.
    """
    limits = bounds(len(belief.wins), low, up)
    require_concave(of, limits.low)
    require_total(total, int(limits.low.sum()), int(limits.up.sum()), len(limits.low))
    paired = pairs(of, limits)
    levels = limits.low.copy()
    left = _fill_up(of, belief, levels, limits.up, paired, int(total) - int(levels.sum()))
    if left:
        _place_odd(of, belief, levels, limits, paired)
    return levels


def require_concave(of: Value, low: LongArray) -> None:
    """Raise ValueError where the value is not defined below the fewest rollouts."""
    if of.shape == VARIANCE and (low < 2).any():
        raise ValueError(f"Expected low >= 2 for the value `variance`, got {low.min()}.")


def require_total(total: int, least: int, most: int, m: int) -> None:
    """Raise ValueError where no allocation has this total."""
    if not least <= total <= most or total != int(total):
        raise ValueError(
            f"Expected a whole total from {least} to {most} for {m} prompts and their bounds, got {total}."
        )


def pairs(of: Value, limits: Bounds) -> BoolArray:
    """Prompts [M] whose first two rollouts are one item."""
    two: BoolArray = (limits.low == 0) & (limits.up >= 2) & (of.shape == GRADIENT)
    return two


def _whole(m: int, name: str, x: ArrayLike) -> LongArray:
    if type(x) is int and x >= 0:
        return np.full(m, x, np.int64)
    given = np.asarray(x)
    if given.shape not in ((), (m,)) or given.dtype.kind not in "iu":
        raise ValueError(f"Expected {name}: one whole number or one for each of {m} prompts, got {x!r}.")
    if (given < 0).any():
        raise ValueError(f"Expected {name} >= 0, got {given.min()}.")
    return np.array(np.broadcast_to(given, (m,)), np.int64)


def _fill_up(of: Value, belief: Belief, levels: LongArray, up: LongArray, paired: BoolArray, room: int) -> int:
    """Give `room` rollouts away in place. Returns 1 where one is left and the best item is a pair, else 0.

    Most of what many prompts get is taken without a heap: whatever gains more than a price that leaves some
    rollouts over belongs to every greedy allocation. A sample of the prompts tells such a price; were it too
    low, the heap would do it all.
    """
    at = np.where((levels == 0) & (of.shape == GRADIENT), 1, levels)
    worthless = (at > levels) & ~paired
    if len(levels) >= MANY:
        made, taken = curves(of, belief, at), levels.copy()
        price = _sampled_price(of, belief, at, up, room)
        left = take_above(made, taken, up, paired, worthless, price, room)
        if left >= 0:
            levels[:] = taken
            return _top_up(made, levels, up, paired, worthless, left)[0]
    return _top_up(curves(of, belief, at), levels, up, paired, worthless, room)[0]


def _sampled_price(of: Value, belief: Belief, at: LongArray, up: LongArray, room: int) -> float:
    """A little more than the gain of the last rollout, judged by some of the prompts as if none were paired."""
    weight, wins, losses = (np.ascontiguousarray(x[::STRIDE]) for x in belief[:3])
    levels, top = at[::STRIDE].copy(), up[::STRIDE].copy()
    share = min(room * len(levels) // len(at), int((top - levels).clip(0).sum()))
    made = curves(of, Belief(weight, wins, losses, belief.spread), levels)
    alone = np.zeros(len(levels), bool)
    return MARGIN * _top_up(made, levels, top, alone, alone, share)[1]


def _top_up(
    made: Curves, levels: LongArray, up: LongArray, paired: BoolArray, worthless: BoolArray, room: int
) -> tuple[int, float]:
    """As `_fill_up`, by the heap alone; also the gain on top of the heap at the end."""
    key = np.zeros(len(up))
    left: int = fill_by_heap(made, levels, up, paired, worthless, room, key, np.empty(len(up), np.int32))
    return left, float(key[0]) if len(key) else 0.0


@kernel
def take_above(c, levels, up, paired, worthless, price, room):
    """Give every prompt what gains more than `price` a rollout. Returns what is left, -1: there was not enough."""
    for i in range(levels.size):
        while levels[i] < up[i] and not worthless[i]:
            two = paired[i] and levels[i] == 0
            if gain(c, i) * (0.5 if two else 1.0) <= price:
                break
            room -= 2 if two else 1
            if room < 0:
                return -1
            n = 1 if two else levels[i]
            advance(c, i, n)
            levels[i] = n + 1
    return room


@kernel
def fill_by_heap(c, levels, up, paired, worthless, room, key, row):
    """Give `room` rollouts away, the largest gain first. Returns 1 where one is left and the best item is a pair."""
    size = 0
    for i in range(levels.size):
        if levels[i] < up[i]:
            row[size] = i
            key[size] = 0.0 if worthless[i] else gain(c, i)
            if paired[i] and levels[i] == 0:
                key[size] *= 0.5
            size += 1
    for x in range(size // 2 - 1, -1, -1):
        sink(key, row, levels, x, size)
    while room > 0 and size > 0:
        i = row[0]
        if paired[i] and levels[i] == 0:
            if room == 1:
                return 1
            levels[i] = 2
            room -= 2
            advance(c, i, 1)
        else:
            advance(c, i, levels[i])
            levels[i] += 1
            room -= 1
        if levels[i] < up[i]:
            key[0] = gain(c, i)
        else:
            size -= 1
            key[0], row[0] = key[size], row[size]
        sink(key, row, levels, 0, size)
    return 0


def _place_odd(of: Value, belief: Belief, levels: LongArray, limits: Bounds, paired: BoolArray) -> None:
    """Give the last rollout away where the best item is a pair; the docstring of this file lists the ways."""
    forward = next_gains(of, belief, levels)  # 0 where there is nothing yet: wasted
    back = next_gains(of, belief, np.maximum(levels - 1, 0))
    slope = next_gains(of, belief, np.full_like(levels, 2))
    closed = paired & (levels == 0)
    top = _best(slope, closed)
    s = slope[top]
    taker = _best(forward, levels < limits.up)
    giver = _best(-back, (levels > limits.low) & ~(paired & (levels <= 2)))
    opened = _best(-slope, paired & (levels == 2))
    triple = _best(slope, closed & (limits.up >= 3))
    give = back[giver] - s if giver >= 0 else np.inf
    swap = 2 * (slope[opened] - s) + 3 * (s - slope[triple]) if opened >= 0 and triple >= 0 else np.inf
    if s - forward[taker] <= min(give, swap):
        levels[taker] += 1
    elif give <= swap:
        levels[giver] -= 1
        levels[top] = 2
    else:
        levels[opened], levels[triple] = 0, 3


def _best(score: Array, among: BoolArray) -> int:
    """The first of the largest scores among some, -1: there is none."""
    return int(np.argmax(np.where(among, score, -np.inf))) if among.any() else -1
