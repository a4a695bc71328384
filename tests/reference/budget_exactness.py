"""How far are the exact allocations from dynamic programming over all levels? Random instances of every kind.

Prints lines `name number`: instances tried, the largest difference at equal and at unequal costs, and the
largest relative gap to the bound on linear programmes at 256 to 1,024 prompts. Run: python budget_exactness.py [N]
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from budget_reference import best_at_costs, best_total

from allocenv.problems.budget.allocation import allocate, allocate_tokens, allocate_tokens_exactly
from allocenv.problems.budget.values import VALUES, beta, known, mixture, value, worth, worth_table


def some_value(rng, low):
    names = [name for name in VALUES if name != "variance" or low.min() >= 2]
    if rng.random() < 0.3:
        return value(("gradient", "hit")[rng.integers(2)], *rng.uniform(0, 3, 2))
    return VALUES[names[rng.integers(len(names))]]


def some_belief(rng, m):
    kind = rng.integers(4)
    if kind == 0:  # degenerate rates and ties
        return known(rng.choice([0.0, 1.0, 0.5, 1 / 16, 15 / 16], m))
    if kind == 1:
        return known(rng.random(m))
    if kind == 2:
        return beta(*rng.gamma(0.7, 2.0, (2, m)) + 0.02)
    weight, a, b = rng.gamma(0.7, 2.0, (3, m, 3)) + 0.02
    return mixture(weight, a, b)


def some_bounds(rng, m):
    low = rng.integers(0, 4, m) if rng.random() < 0.5 else np.full(m, rng.integers(0, 3))
    return low, low + rng.integers(0, 9, m)


def main(n):
    rng, equal, unequal, gap = np.random.default_rng(2509), 0.0, 0.0, 0.0
    for _ in range(n):
        m = int(rng.integers(1, 9))
        low, up = some_bounds(rng, m)
        of, belief = some_value(rng, low), some_belief(rng, m)
        table = worth_table(of, belief, int(up.max()))
        total = int(rng.integers(low.sum(), up.sum() + 1))
        counts = allocate(of, belief, total, low, up)
        assert counts.sum() == total
        assert ((low <= counts) & (counts <= up)).all()
        equal = max(equal, abs(best_total(table, low, up, total) - worth(of, belief, counts).sum()))
        costs = rng.integers(1, 6, m)
        tokens = int(rng.integers(low @ costs, up @ costs + 1))
        found = allocate_tokens_exactly(of, belief, costs, tokens, low, up)
        assert found.counts @ costs <= tokens
        unequal = max(unequal, abs(best_at_costs(table, costs, low, up, tokens) - found.value))
    for m in (256, 512, 1024):
        for _ in range(10):
            belief, costs = beta(*rng.gamma(0.7, 2.0, (2, m)) + 0.05), rng.lognormal(6, 0.5, m)
            low = int(rng.integers(0, 3))
            found = allocate_tokens(VALUES["infogain"], belief, costs, 8 * costs.sum(), low)
            gap = max(gap, 1 - found.value / found.bound)
    for line in (("instances", n), ("equal", equal), ("unequal", unequal), ("gap", gap)):
        print(*line)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
