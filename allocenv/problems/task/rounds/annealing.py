"""Simulated annealing for one round, compiled.

A move sends one entity elsewhere, or swaps two (Kirkpatrick et al., 1983). A team that does not cover its task yet
counts as its value times the square of the least share covered, less its cost: that leads towards covering.
"""

import numpy as np

from allocenv.core.arrays import LongArray
from allocenv.core.kernel import allocating_kernel
from allocenv.problems.task.rounds.situation import Situation
from allocenv.problems.task.rounds.teams import below, mixed, tidied

MOVES = 200_000
_GOLDEN = 0x9E3779B97F4A7C15
HOT, COLD = 0.3, 0.003  # temperatures in units of the mean value


def annealing(x: Situation, rng: np.random.Generator, moves: int = MOVES) -> LongArray:
    """The best assignment found: [F]."""
    seed = np.uint64(rng.integers(1, 2**63))
    best = anneal(x.cost, x.ability, x.need, x.value, moves, seed)
    found: LongArray = tidied(x.cost, x.ability, x.need, x.value, best)
    return found


@allocating_kernel
def anneal(cost, ability, need, value, moves, seed):
    """The best assignment met: [F], -1 for idle."""
    f, k = ability.shape
    n = need.shape[0]
    place = np.full(f, n)
    best = np.full(f, -1)
    sums = np.zeros((n + 1, k), np.int64)
    paid = np.zeros(n + 1)
    worth = np.zeros(n + 1)  # smoothed
    scale = max(value.mean(), 1e-9)
    cooling = (COLD / HOT) ** (1.0 / moves)
    heat = HOT * scale
    net = most = 0.0  # of covered tasks
    real = np.zeros(n + 1)
    state = seed
    for _ in range(moves):
        heat *= cooling
        state += np.uint64(_GOLDEN)
        bits = mixed(state)
        i = below(bits, f)
        old = place[i]
        new = below(bits >> np.uint64(32), n + 1)
        state += np.uint64(_GOLDEN)
        bits = mixed(state)
        j = -1
        if bits & np.uint64(1):
            j = below(bits >> np.uint64(8), f)
            new = place[j]
        if new == old:
            continue
        shift(cost, ability, sums, paid, i, old, new, n)
        if j >= 0:
            shift(cost, ability, sums, paid, j, new, old, n)
        a, real_a = smoothed(need, value, sums, paid, old, n)
        b, real_b = smoothed(need, value, sums, paid, new, n)
        gain = a + b - worth[old] - worth[new]
        chance = np.float64(mixed(bits) >> np.uint64(11)) * 2.0**-53
        if gain >= 0.0 or chance < np.exp(gain / heat):
            place[i] = new
            if j >= 0:
                place[j] = old
            net += real_a + real_b - real[old] - real[new]
            worth[old], worth[new], real[old], real[new] = a, b, real_a, real_b
            if net > most + 1e-9:
                most = net
                for e in range(f):
                    best[e] = place[e] if place[e] < n else -1
        else:
            shift(cost, ability, sums, paid, i, new, old, n)
            if j >= 0:
                shift(cost, ability, sums, paid, j, old, new, n)
    return best


@allocating_kernel
def shift(cost, ability, sums, paid, i, old, new, n):
    """Entity i goes from one task to another; n: idle."""
    if old < n:
        paid[old] -= cost[i, old]
        for r in range(ability.shape[1]):
            sums[old, r] -= ability[i, r]
    if new < n:
        paid[new] += cost[i, new]
        for r in range(ability.shape[1]):
            sums[new, r] += ability[i, r]


@allocating_kernel
def smoothed(need, value, sums, paid, o, n):
    """What the team of task o counts, and what it really earns."""
    if o == n:
        return 0.0, 0.0
    share = 1.0
    for r in range(need.shape[1]):
        if sums[o, r] < need[o, r]:
            share = min(share, sums[o, r] / need[o, r])
    if share >= 1.0:
        return value[o] - paid[o], max(value[o] - paid[o], 0.0)
    return value[o] * share * share - paid[o], 0.0
