"""How good can an assignment be at most, and which pairs of job and agent can be in a better one?

Two Lagrangian relaxations (Fisher, Management Science 27, 1981, section 5). Prices of capacity alone give the bound
of the linear program and reduced costs that guide greedy and search. Prices of jobs leave a knapsack for each agent,
give a stronger bound, and settle pairs: one whose forced choice lifts the bound to the best known value is out.
Both work on costs that are minimised.
"""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray, LongArray
from allocenv.core.kernel import allocating_kernel, kernel
from allocenv.problems.task.gap.instance import GAP

MOST_CELLS = 4_000_000  # of a knapsack's table (32 MB); above, only prices of capacity are used
SLIP = 1e-6  # of rounding in a bound of up to a million; in proportion to larger ones


class Prices(NamedTuple):
    """Prices of capacity, and what follows from them."""

    capacity: Array  # [m]  cost a unit of capacity
    job: Array  # [n]  cost of the cheapest agent at these prices
    bound: float  # no assignment costs less


class Settled(NamedTuple):
    """What the knapsack relaxation shows."""

    bound: float  # no assignment costs less
    job: Array  # [n]  prices of jobs
    lift: Array  # [m, n]  how far each pair lifts the bound
    open: BoolArray  # [m, n]  pairs that an assignment of lower cost than the known one may hold


def capacity_prices(problem: GAP, iterations: int = 400) -> Prices:
    """Prices of capacity by subgradient steps of Polyak's length: about the bound of the linear program."""
    cost = problem.minimised.T.astype(np.float64)
    weight = problem.weight.T.astype(np.float64)
    price, best = _capacity_subgradient(cost, weight, problem.capacity.astype(np.float64), iterations)
    job = (cost + price * weight).min(1)
    return Prices(price, job, float(best))


def reduced_costs(problem: GAP, prices: Prices) -> Array:
    """What each pair costs above the job's cheapest agent, at the prices: [n, m] float64."""
    reduced: Array = (problem.minimised + prices.capacity[:, None] * problem.weight).T - prices.job[:, None]
    return reduced


def slip(value: float) -> float:
    """By how much rounding may have lifted a bound of about this value."""
    return SLIP * max(1.0, 1e-6 * abs(value))


def rounded_up(bound: float) -> float:
    """The least whole cost that a bound allows."""
    return float(np.ceil(bound - slip(bound)))


def settle(problem: GAP, prices: Prices, known: float, iterations: int = 150) -> Settled:
    """The knapsack bound, and the pairs that assignments below the known cost may hold.

    Args:
        problem: solved in its sense; costs are minimised ones.
        prices: where the prices of jobs start.
        known: cost of the best assignment known, in minimised costs; inf where none is.
        iterations: of the subgradient.
    """
    allowed = problem.weight <= problem.capacity[:, None]
    weight, capacity = _without_divisor(problem)
    if problem.n_jobs * int(capacity.max()) > MOST_CELLS:
        return _settle_by_capacity(problem, prices, known, allowed)
    cost = problem.minimised.astype(np.float64)
    target = known if np.isfinite(known) else prices.bound + 0.02 * abs(prices.bound) + 1.0
    price, bound = _job_subgradient(cost, weight, capacity, prices.job, float(target), iterations)
    lift_in, lift_out = _lifts(cost, weight, capacity, price)
    value = float(price.sum() - _knapsacks(cost, weight, capacity, price))
    open_ = allowed & (value + lift_in <= known - 1 + slip(value))
    forced = open_ & (value + lift_out > known - 1 + slip(value))
    for j in np.flatnonzero(forced.any(0)):
        open_[:, j] = forced[:, j]
    return Settled(rounded_up(max(bound, prices.bound)), price, lift_in, open_)


def _settle_by_capacity(problem: GAP, prices: Prices, known: float, allowed: BoolArray) -> Settled:
    """The same by prices of capacity: a pair is out where its reduced cost lifts the bound too far."""
    lift = reduced_costs(problem, prices).T
    open_ = allowed & (prices.bound + lift <= known - 1 + slip(prices.bound))
    return Settled(rounded_up(prices.bound), prices.job, lift, open_)


def _without_divisor(problem: GAP) -> tuple[LongArray, LongArray]:
    """Weights and capacities in units of each agent's greatest common divisor."""
    divisor = np.maximum(np.gcd.reduce(problem.weight, axis=1), 1)
    return problem.weight // divisor[:, None], problem.capacity // divisor


@allocating_kernel
def _capacity_subgradient(cost, weight, capacity, iterations):
    """The best prices [m] found and their bound; cost and weight are [n, m]."""
    n, m = cost.shape
    price, kept, slope, before = np.zeros(m), np.zeros(m), np.zeros(m), np.zeros(m)
    best, target, scale, idle = -np.inf, 0.0, 1.0, 0
    for k in range(iterations):
        value = 0.0
        for i in range(m):
            slope[i] = -capacity[i]
            value -= price[i] * capacity[i]
        for j in range(n):
            least, at = np.inf, 0
            for i in range(m):
                c = cost[j, i] + price[i] * weight[j, i]
                if c < least and weight[j, i] <= capacity[i]:
                    least, at = c, i
            if least == np.inf:
                return price, -np.inf
            value += least
            slope[at] += weight[j, at]
        if value > best + 1e-9 * abs(best) or k == 0:
            best, idle = value, 0
            kept[:] = price
        else:
            idle += 1
            if idle == 10:
                scale, idle = scale * 0.7, 0
                price[:] = kept
        norm = 0.0
        for i in range(m):
            if price[i] <= 0.0 and slope[i] < 0.0:
                slope[i] = 0.0
            slope[i] = 0.7 * slope[i] + 0.3 * before[i]
            before[i] = slope[i]
            norm += slope[i] * slope[i]
        if norm < 1e-12 or scale < 1e-5:
            break
        target = best + 0.02 * abs(best) + 1.0
        step = scale * (target - value) / norm
        for i in range(m):
            price[i] = max(0.0, price[i] + step * slope[i])
    return kept, best


@kernel
def _fill(table, profit, weight, capacity, n):
    """Knapsack of the first n pairs: table[k, c] is the best profit of pairs 0..k-1 within c."""
    for c in range(capacity + 1):
        table[0, c] = 0.0
    for k in range(n):
        w, p = weight[k], profit[k]
        for c in range(min(w, capacity + 1)):
            table[k + 1, c] = table[k, c]
        for c in range(w, capacity + 1):
            with_it = table[k, c - w] + p
            table[k + 1, c] = with_it if with_it > table[k, c] else table[k, c]


@allocating_kernel
def _job_subgradient(cost, weight, capacity, start, target, iterations):
    """The best prices of jobs [n] found and their bound."""
    m, n = cost.shape
    table = np.zeros((n + 1, capacity.max() + 1))
    profit, size, item = np.zeros(n), np.zeros(n, np.int64), np.zeros(n, np.int64)
    price, kept, taken, before = start.copy(), start.copy(), np.zeros(n), np.zeros(n)
    best, scale, idle = -np.inf, 1.0, 0
    for _ in range(iterations):
        value = 0.0
        for j in range(n):
            value += price[j]
            taken[j] = 0.0
        for i in range(m):
            n_items = 0
            for j in range(n):
                p = price[j] - cost[i, j]
                if p > 0.0 and weight[i, j] <= capacity[i]:
                    profit[n_items], size[n_items], item[n_items] = p, weight[i, j], j
                    n_items += 1
            _fill(table, profit, size, capacity[i], n_items)
            c = capacity[i]
            value -= table[n_items, c]
            for q in range(n_items - 1, -1, -1):
                if table[q + 1, c] != table[q, c]:
                    taken[item[q]] += 1.0
                    c -= size[q]
        if value > best:
            if value > best + 1e-7 * abs(best):
                idle = 0
            best = value
            kept[:] = price
        else:
            idle += 1
            if idle >= 6:
                scale, idle = scale * 0.7, 0
                price[:] = kept
        norm = 0.0
        for j in range(n):
            before[j] = 0.75 * (1.0 - taken[j]) + 0.25 * before[j]
            norm += before[j] * before[j]
        if norm < 1e-12 or best > target - 1.0 + 1e-6 or scale < 1e-4:
            break
        step = scale * max(target - value, 0.1) / norm
        for j in range(n):
            price[j] += step * before[j]
    return kept, best


@allocating_kernel
def _knapsacks(cost, weight, capacity, price):
    """The sum of the agents' best profits at the prices."""
    m, n = cost.shape
    best, total = np.zeros(capacity.max() + 1), 0.0
    for i in range(m):
        best[:] = 0.0
        for j in range(n):
            w, p = weight[i, j], price[j] - cost[i, j]
            if p > 0.0:
                for c in range(capacity[i], w - 1, -1):
                    if best[c - w] + p > best[c]:
                        best[c] = best[c - w] + p
        total += best[capacity[i]]
    return total


@allocating_kernel
def _lifts(cost, weight, capacity, price):
    """How far the bound rises with a pair forced in, and forced out: twice [m, n]."""
    m, n = cost.shape
    lift_in, lift_out = np.full((m, n), np.inf), np.zeros((m, n))
    size_of_table = capacity.max() + 1
    ahead, behind = np.zeros((n + 1, size_of_table)), np.zeros((n + 1, size_of_table))
    profit, size, item = np.zeros(n), np.zeros(n, np.int64), np.zeros(n, np.int64)
    for i in range(m):
        room, n_items = capacity[i], 0
        for j in range(n):
            p = price[j] - cost[i, j]
            if p > 0.0 and weight[i, j] <= room:
                profit[n_items], size[n_items], item[n_items] = p, weight[i, j], j
                n_items += 1
        _fill(ahead, profit, size, room, n_items)
        profit[:n_items] = profit[:n_items][::-1].copy()
        size[:n_items] = size[:n_items][::-1].copy()
        _fill(behind, profit, size, room, n_items)
        whole = ahead[n_items, room]
        for j in range(n):
            if weight[i, j] <= room:
                lift_in[i, j] = whole - (price[j] - cost[i, j]) - ahead[n_items, room - weight[i, j]]
        for q in range(n_items):
            j = item[q]
            rest = room - weight[i, j]
            with_it, without = -np.inf, -np.inf
            for c in range(room + 1):
                without = max(without, ahead[q, c] + behind[n_items - 1 - q, room - c])
                if c <= rest:
                    with_it = max(with_it, ahead[q, c] + behind[n_items - 1 - q, rest - c])
            lift_in[i, j] = whole - (price[j] - cost[i, j]) - with_it
            lift_out[i, j] = whole - without
    return lift_in, lift_out
