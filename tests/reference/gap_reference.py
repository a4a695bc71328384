"""Generalised assignment in the slowest way: every assignment, the readers' numbers by hand, features from scratch."""

from itertools import product
from math import exp, inf
from statistics import fmean, pstdev

SOFTNESS, NEGLIGIBLE, FIRST_STEPS, STEPS = 0.15, 6.0, 40, 2
DAMPING, LONGEST_STEP, MOST_PRICE = 0.7, 0.5, 10.0


def best_value(cost, weight, capacity, sense):
    """The best value of any feasible assignment, or None."""
    m, n = len(cost), len(cost[0])
    values = [
        sum(cost[agent_of[j]][j] for j in range(n))
        for agent_of in product(range(m), repeat=n)
        if is_feasible(weight, capacity, agent_of)
    ]
    if not values:
        return None
    return min(values) if sense == "min" else max(values)


def is_feasible(weight, capacity, agent_of):
    """Whether no agent is above its capacity."""
    load = [0] * len(capacity)
    for j, i in enumerate(agent_of):
        load[i] += weight[i][j]
    return all(used <= most for used, most in zip(load, capacity, strict=True))


def knapsack_lift(profit, weight, capacity, j, taken):
    """How much the best knapsack loses where item j must (not) be taken, by trying every set."""

    def best(must):
        sets = product((0, 1), repeat=len(profit))
        fits = [s for s in sets if sum(a * w for a, w in zip(s, weight, strict=True)) <= capacity]
        return max(
            (sum(a * p for a, p in zip(s, profit, strict=True)) for s in fits if must is None or s[j] == must),
            default=float("-inf"),
        )

    return best(None) - best(taken)


def features(cost, weight, capacity, price, decisions):
    """Features of the pairs with a share, {(job, agent): [19]}, after decisions [(job, agent), ...] that all fit.

    `cost` is minimised; `cost`, `weight` [m][n]; `price` [m] of capacity.
    """
    m, n = len(cost), len(cost[0])
    spread = fmean(pstdev(cost[i][j] for i in range(m)) for j in range(n))
    mean_weight = [fmean(weight[i][j] for i in range(m)) for j in range(n)]
    mean = fmean(mean_weight)
    first = [p / spread for p in price]
    now, room, left = list(first), list(capacity), list(range(n))

    def fits(j):
        return [i for i in range(m) if weight[i][j] <= room[i]]

    def priced(j, i):
        return cost[i][j] / spread + now[i] * weight[i][j]

    def shares(j):
        least = min(priced(j, i) for i in fits(j))
        above = {i: (priced(j, i) - least) / SOFTNESS for i in fits(j)}
        part = {i: exp(-a) for i, a in above.items() if a < NEGLIGIBLE}
        return {i: p / sum(part.values()) for i, p in part.items()}

    def loads():
        load, slope = [0.0] * m, [0.0] * m
        for j in left:
            for i, p in shares(j).items():
                load[i] += p * weight[i][j]
                slope[i] += p * (1 - p) * weight[i][j] ** 2 / SOFTNESS
        return load, slope

    def reprice(steps):
        for _ in range(steps):
            load, slope = loads()
            for i in range(m):
                step = DAMPING * (load[i] - room[i]) / max(slope[i], 1e-6)
                step = min(max(step, -LONGEST_STEP / mean), LONGEST_STEP / mean)
                now[i] = max(min(now[i] + step, MOST_PRICE / mean), 0.0)

    reprice(FIRST_STEPS)
    for j, i in decisions:
        left.remove(j)
        room[i] -= weight[i][j]
        reprice(STEPS)
    load, _ = loads()
    slack = (sum(room) - sum(min(weight[i][j] for i in range(m)) for j in left)) / sum(capacity)
    overload = sum(max(load[i] - max(room[i], 0), 0) for i in range(m)) / sum(capacity)
    out = {}
    for j in left:
        for i, share in shares(j).items():
            others = [k for k in fits(j) if k != i]
            after = room[i] - weight[i][j]
            rest = [weight[i][k] for k in left if k != j]
            loss = 0.0
            for k in left:
                if k != j and weight[i][k] > after:
                    at_prices = sorted(priced(k, a) for a in fits(k))
                    regret = at_prices[1] - at_prices[0] if len(at_prices) > 1 else 3.0
                    loss += shares(k).get(i, 0.0) * min(regret, 3.0)
            alone = sum(weight[i][k] for k in left if fits(k) == [i])
            out[j, i] = [
                (cost[i][j] - min(cost[k][j] for k in fits(j))) / spread,
                min((min(cost[k][j] for k in others) - cost[i][j]) / spread, 3.0) if others else 3.0,
                weight[i][j] / max(room[i], 1),
                priced(j, i) - min(priced(j, k) for k in fits(j)),
                min(min(priced(j, k) for k in others) - priced(j, i), 3.0) if others else 3.0,
                room[i] / capacity[i],
                slack,
                min(0.5 * load[i] / max(room[i], 1), 3.0),
                len(fits(j)) / m,
                min(alone / max(room[i], 1), 3.0),
                weight[i][j] / mean_weight[j] - 1,
                len(left) / n,
                min(after / mean_weight[j], 1.0),
                0.0 if others else 1.0,
                share,
                now[i] * mean_weight[j],
                min(after / mean_weight[j], 2.0) if rest and after < min(rest, default=inf) else 0.0,
                overload,
                min(loss, 3.0),
            ]
    return out
