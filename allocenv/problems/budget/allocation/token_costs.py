"""How many rollouts does each prompt get where a rollout's price differs from prompt to prompt?

Maximise sum_i V_i(n_i) subject to sum_i c_i n_i <= tokens and low_i <= n_i <= up_i. Greedy by gain per token
solves the linear relaxation exactly up to the first item that does not fit (the values are concave, see
`greedy`); with the share of that item that would fit this is an upper bound. What does not fit is passed over
and cheaper items fill the rest, so that the loss is at most one item: 1e-5 of the value for 256 prompts.
`allocate_tokens_exactly` is a dynamic programme for small whole costs.

Source: the bound is Dantzig's (1957) for the knapsack problem.
"""

from math import gcd
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from allocenv.core.arrays import Array, LongArray
from allocenv.core.kernel import kernel
from allocenv.problems.budget.allocation.greedy import Bounds, bounds, pairs, require_concave
from allocenv.problems.budget.allocation.heap import sink
from allocenv.problems.budget.values import GRADIENT, Belief, Value, advance, curves, gain, worth, worth_table

MOST_WORK = 2e9  # prompts x tokens x levels of the exact programme: some seconds
FEWEST_LEVELS = 32  # counted as levels at least, for the memory that each prompt and token takes


class TokenAllocation(NamedTuple):
    """Rollouts, what they are worth, and what no allocation exceeds."""

    counts: LongArray  # [M]
    value: float
    bound: float
    tokens: float  # used


def allocate_tokens(
    of: Value, belief: Belief, costs: ArrayLike, tokens: float, low: ArrayLike = 2, up: ArrayLike = 128
) -> TokenAllocation:
    """Rollouts of nearly the largest expected value within `tokens`, with a bound. O(M + n log M).

    Args:
        of: the value, such as VALUES["infogain"].
        belief: about the M success rates.
        costs: tokens of one rollout, above 0, [M].
        tokens: to spend at most.
        low: fewest rollouts of a prompt, for all or [M].
        up: most rollouts of a prompt, for all or [M].

    Raises:
        ValueError: bad bounds or costs, or fewer tokens than `low` takes.
    """
    limits = bounds(len(belief.wins), low, up)
    require_concave(of, limits.low)
    price = _prices(costs, limits, tokens)
    levels = limits.low.copy()
    at = np.where((levels == 0) & (of.shape == GRADIENT), 1, levels)
    paired = pairs(of, limits)
    worthless = (at > levels) & ~paired
    room = np.array([float(tokens) - float(levels @ price), 0.0])
    heap = (np.empty(len(levels)), np.empty(len(levels), np.int32))
    _fill(curves(of, belief, at), levels, limits.up, price, paired, worthless, room, *heap)
    value = float(worth(of, belief, levels).sum())
    return TokenAllocation(
        levels, value, max(value, float(room[1] + _value_at(of, belief, limits.low))), float(levels @ price)
    )


def allocate_tokens_exactly(
    of: Value, belief: Belief, costs: ArrayLike, tokens: int, low: ArrayLike = 2, up: ArrayLike = 128
) -> TokenAllocation:
    """The rollouts of largest expected value within `tokens`, by dynamic programming over whole costs.

    Arguments as those of `allocate_tokens`. O(M T L) time and M T memory for T tokens in units of the costs'
    common divisor.

    Raises:
        ValueError: as `allocate_tokens`; also costs that are no whole numbers, or more than 2e9 steps of
        work.
    """
    limits = bounds(len(belief.wins), low, up)
    require_concave(of, limits.low)
    price = _prices(costs, limits, tokens).astype(np.int64)
    if (price != np.asarray(costs)).any() or int(tokens) != tokens:
        raise ValueError("Expected whole costs and tokens for the exact allocation.")
    unit = gcd(*price.tolist()) if len(price) else 1
    room = min(int(tokens) // unit, int((limits.up * price).sum()) // max(unit, 1))
    most = int(limits.up.max(initial=0))
    work = len(price) * (room + 1) * max(most + 1, FEWEST_LEVELS)
    if work > MOST_WORK:
        raise ValueError(f"Expected at most {MOST_WORK:g} steps, got {work:g}.")
    best = np.zeros((2, room + 1))
    choice = np.zeros((len(price), room + 1), np.int32)
    _programme(worth_table(of, belief, most), price // max(unit, 1), limits.low, limits.up, best, choice)
    counts, left = np.zeros(len(price), np.int64), room
    for i in range(len(price) - 1, -1, -1):
        counts[i] = choice[i, left]
        left -= int(counts[i] * price[i]) // unit
    value = float(worth(of, belief, counts).sum())
    return TokenAllocation(counts, value, value, float(counts @ price))


def _value_at(of: Value, belief: Belief, levels: LongArray) -> float:
    return float(worth(of, belief, levels).sum())


def _prices(costs: ArrayLike, limits: Bounds, tokens: float) -> Array:
    price = np.asarray(costs, np.float64)
    if price.shape != limits.low.shape:
        raise ValueError(f"Expected one cost for each of {len(limits.low)} prompts, got shape {price.shape}.")
    if not ((price > 0) & (price < np.inf)).all():
        raise ValueError(f"Expected finite costs above 0, got {price[~((price > 0) & (price < np.inf))][0]}.")
    least = float(limits.low @ price)
    if not least <= tokens < np.inf:
        raise ValueError(f"Expected at least {least:g} tokens for the fewest rollouts, got {tokens}.")
    return price


@kernel
def _fill(c, levels, up, price, paired, worthless, room, key, row):
    """Spend room[0] by gain per token; room[1] becomes the bound on what that adds."""
    size = 0
    for i in range(levels.size):
        if levels[i] < up[i] and not worthless[i]:
            row[size] = i
            key[size] = gain(c, i) / (2.0 * price[i] if paired[i] else price[i])
            size += 1
    for x in range(size // 2 - 1, -1, -1):
        sink(key, row, levels, x, size)
    added, full = 0.0, False
    while size > 0:
        i = row[0]
        two = paired[i] and levels[i] == 0
        need = 2.0 * price[i] if two else price[i]
        if need > room[0]:
            if not full:
                room[1] = added + key[0] * room[0]
                full = True
            size -= 1
            key[0], row[0] = key[size], row[size]
            sink(key, row, levels, 0, size)
            continue
        room[0] -= need
        added += key[0] * need
        n = 1 if two else levels[i]
        advance(c, i, n)
        levels[i] = n + 1
        if levels[i] < up[i]:
            key[0] = gain(c, i) / price[i]
        else:
            size -= 1
            key[0], row[0] = key[size], row[size]
        sink(key, row, levels, 0, size)
    if not full:
        room[1] = added


@kernel
def _programme(table, price, low, up, best, choice):
    now = 0
    for i in range(price.size):
        before, after = best[now], best[1 - now]
        for b in range(after.size):
            after[b] = -1.0
            for n in range(low[i], up[i] + 1):
                spent = n * price[i]
                if spent > b:
                    break
                if before[b - spent] >= 0.0 and before[b - spent] + table[i, n] > after[b]:
                    after[b] = before[b - spent] + table[i, n]
                    choice[i, b] = n
        now = 1 - now
