"""Slow, obvious twins of the reasoning budget: values by numerical integration, allocations by trying all levels."""

import numpy as np
from scipy.integrate import quad
from scipy.stats import beta as beta_law


def power(p, success, failure):
    return p**success * (1 - p) ** failure


def plain_value(shape, success, failure, n, p):
    """V(n, p) as the papers write it."""
    g = power(p, success, failure)
    if shape == "gradient":
        return g * (1 - p**n - (1 - p) ** n) if n >= 1 else 0.0
    if shape == "hit":
        return g * (1 - (1 - p) ** n)
    return g * (1 - 1 / (n - 1)) if n >= 2 else 0.0


def expected_value(shape, success, failure, n, a, b):
    """E[V(n, p)] for p ~ Beta(a, b), integrated over quantiles-friendly halves."""
    law = beta_law(a, b)

    def f(p):
        return plain_value(shape, success, failure, n, p) * law.pdf(p)

    return quad(f, 0, 0.5, limit=200)[0] + quad(f, 0.5, 1, limit=200)[0]


def best_total(table, low, up, total):
    """The largest sum of table[i, n_i] with low <= n <= up and sum n = total, by dynamic programming."""
    best = np.full(total + 1, -np.inf)
    best[0] = 0.0
    for values, lo, hi in zip(table, low, up, strict=True):
        after = np.full(total + 1, -np.inf)
        for n in range(lo, min(hi, total) + 1):
            after[n:] = np.maximum(after[n:], best[: total + 1 - n] + values[n])
        best = after
    return best[total]


def best_at_costs(table, costs, low, up, tokens):
    """The largest sum of table[i, n_i] with sum costs[i] n_i <= tokens."""
    best = np.zeros(tokens + 1)
    for values, cost, lo, hi in zip(table, costs, low, up, strict=True):
        after = np.full(tokens + 1, -np.inf)
        for n in range(lo, hi + 1):
            if n * cost <= tokens:
                after[n * cost :] = np.maximum(after[n * cost :], best[: tokens + 1 - n * cost] + values[n])
        best = after
    return best.max()
