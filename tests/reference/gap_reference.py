"""Generalised assignment in the slowest way: every assignment, and the readers' numbers by hand."""

from itertools import product


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
