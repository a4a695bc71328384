"""A genetic algorithm for one round, compiled: the classic opponent of the published approach.

Genes are the tasks of the entities (or none). Tournaments of three, uniform crossover, one or two mutations a
child, the best survives (Holland, 1975; Shima et al., "Multiple task assignments for cooperating uninhabited
aerial vehicles using genetic algorithms", Computers & OR, 2006). Fitness: value less cost of the tasks covered;
a team that does not cover its task is not sent, and counts a little by what it costs so that it dissolves.
"""

import numpy as np

from allocenv.core.arrays import LongArray
from allocenv.core.kernel import allocating_kernel
from allocenv.problems.task.rounds.situation import Situation
from allocenv.problems.task.rounds.teams import below, mixed, tidied

POPULATION, GENERATIONS = 200, 1000
_GOLDEN = 0x9E3779B97F4A7C15
_IDLING = 1e-3  # of its cost, what a member of a team that does not cover counts


def genetic(
    x: Situation, rng: np.random.Generator, population: int = POPULATION, generations: int = GENERATIONS
) -> LongArray:
    """The best assignment found: [F]."""
    seed = np.uint64(rng.integers(1, 2**63))
    best = evolve(x.cost, x.ability, x.need, x.value, population, generations, seed)
    found: LongArray = tidied(x.cost, x.ability, x.need, x.value, best)
    return found


@allocating_kernel
def evolve(cost, ability, need, value, population, generations, seed):
    """The fittest of the last generation: [F], -1 for idle."""
    f, k = ability.shape
    n = need.shape[0]
    genes = np.zeros((population, f), np.int8)
    others = np.zeros((population, f), np.int8)
    fitness = np.zeros(population)
    fresh = np.zeros(population)
    price = np.zeros((f, n + 1))  # idling costs nothing: no branch that processors cannot foresee
    for i in range(f):
        for o in range(n):
            price[i, o] = cost[i, o]
    sums = np.zeros((n + 1, k), np.int64)
    paid = np.zeros(n + 1)
    state = seed
    for p in range(population):
        for i in range(f):
            state += np.uint64(_GOLDEN)
            genes[p, i] = below(mixed(state), n + 1)
        fitness[p] = fitness_of(price, ability, need, value, genes[p], sums, paid)
    for _ in range(generations):
        best = np.argmax(fitness)
        others[0] = genes[best]
        fresh[0] = fitness[best]
        for p in range(1, population):
            state += np.uint64(_GOLDEN)
            bits = mixed(state)
            state += np.uint64(_GOLDEN)
            a = fittest(fitness, bits, mixed(state), population)
            state += np.uint64(_GOLDEN)
            bits = mixed(state)
            state += np.uint64(_GOLDEN)
            b = fittest(fitness, bits, mixed(state), population)
            for first in range(0, f, 64):
                state += np.uint64(_GOLDEN)
                bits = mixed(state)
                for i in range(first, min(first + 64, f)):
                    other = -np.int8(~bits & np.uint64(1))  # all bits or none: again no branch
                    others[p, i] = genes[a, i] ^ ((genes[a, i] ^ genes[b, i]) & other)
                    bits >>= np.uint64(1)
            state += np.uint64(_GOLDEN)
            bits = mixed(state)
            for _ in range(1 + np.int64(bits & np.uint64(1))):
                state += np.uint64(_GOLDEN)
                bits = mixed(state)
                others[p, below(bits, f)] = below(bits >> np.uint64(32), n + 1)
            fresh[p] = fitness_of(price, ability, need, value, others[p], sums, paid)
        genes, others = others, genes
        fitness, fresh = fresh, fitness
    found = np.zeros(f, np.int64)
    best = np.argmax(fitness)
    for i in range(f):
        found[i] = genes[best, i] if genes[best, i] < n else -1
    return found


@allocating_kernel
def fittest(fitness, bits, more, population):
    """The winner of a tournament of three."""
    a, b, c = below(bits, population), below(bits >> np.uint64(32), population), below(more, population)
    if fitness[b] > fitness[a]:
        a = b
    return c if fitness[c] > fitness[a] else a


@allocating_kernel
def fitness_of(price, ability, need, value, genes, sums, paid):
    """Value less cost of what the genes [F] cover; price [F, n + 1]: of the tasks and of idling."""
    n, k = need.shape
    for o in range(n + 1):
        paid[o] = 0.0
        for r in range(k):
            sums[o, r] = 0
    for i in range(len(genes)):
        o = genes[i]
        paid[o] += price[i, o]
        for r in range(k):
            sums[o, r] += ability[i, r]
    total = 0.0
    for o in range(n):
        covered = True
        for r in range(k):
            if sums[o, r] < need[o, r]:
                covered = False
        total += value[o] - paid[o] if covered and value[o] > paid[o] else -_IDLING * paid[o]
    return total
