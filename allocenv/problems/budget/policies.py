"""Who allocates one action at a time without learning? Equal groups, indices of the posterior or of the true rates.

The published value makes `posterior_index`, and at the true rates `oracle_index`: raising a prompt to a level is
worth the expected rise of p (1-p)^2 [both outcomes are there] for each rollout. The largest goes first; once
nothing rises it, what is left is spread evenly. Both outcomes seen, a prompt gets nothing more.

`signal_index` asks what a rollout adds to the update instead. The mean gradient of a group weighs its size times
the deviation of its rewards (`learner/dynamics.py`), so that a rollout of a prompt is worth about
E[sqrt(p (1-p))], however many it has. The largest is raised a level at a time until the budget is spent.
"""

import math
from collections.abc import Callable

import numpy as np

from allocenv.core.arrays import IntArray
from allocenv.core.batch import Batch
from allocenv.core.kernel import kernel
from allocenv.core.policy import Policy
from allocenv.core.resource_state import UNPLACED
from allocenv.problems.budget.dynamics import legal
from allocenv.problems.budget.observation import losses, weighed_chance, wins

SURE = 1e9  # rollouts that make a rate known
LEAST_INDEX = 1e-9


def even(batch: Batch) -> IntArray:
    """Equal groups: stop at once."""
    return np.tile(np.array(batch.problem.stop, np.int32), (batch.n, 1))


def posterior_index(batch: Batch) -> IntArray:
    """The largest index under the Beta of the beliefs and of the outcomes so far."""
    return _largest(batch, False)


def oracle_index(batch: Batch) -> IntArray:
    """The largest index at the true rates."""
    return _largest(batch, True)


def signal_index(batch: Batch) -> IntArray:
    """The prompt whose rollouts differ most, by the posterior."""
    actions = even(batch)
    _raise_the_widest(batch.state, actions)
    return actions


POLICIES: dict[str, Callable[[np.random.Generator], Policy]] = {
    "even": lambda rng: even,
    "posterior_index": lambda rng: posterior_index,
    "signal_index": lambda rng: signal_index,
    "oracle_index": lambda rng: oracle_index,
}


def _largest(batch: Batch, oracle: bool) -> IntArray:
    actions = even(batch)
    _choose(batch.state, oracle, actions)
    return actions


@kernel
def _choose(e, oracle, actions):
    """Write the pair of the largest index of each row; what holds a stop is kept where there is none."""
    batch, n_levels = e.learner.prompt.shape[1], e.alloc.demand.shape[2]
    for b in range(actions.shape[0]):
        best = LEAST_INDEX
        for j in range(batch):
            n, k = e.learner.rollouts[b, j], e.learner.correct[b, j]
            x, y = wins(e, b, j), losses(e, b, j)
            if oracle:
                x, y = SURE * e.learner.rate[b, j], SURE * (1.0 - e.learner.rate[b, j])
            for pool in range(e.alloc.n_bins[b]):
                for level in range(n_levels):
                    more = e.alloc.demand[b, 0, level, 0] - n
                    if more > 0 and legal(e, b, j, pool * n_levels + level):
                        index = weighed_chance(x, y, n, k, more) / more
                        if index > best:
                            best = index
                            actions[b, 0], actions[b, 1] = j, pool * n_levels + level


@kernel
def _raise_the_widest(e, actions):
    """Write the next level of the prompt of the largest E[sqrt(p (1-p))], in its pool or in the one of most room."""
    batch, n_levels = e.learner.prompt.shape[1], e.alloc.demand.shape[2]
    for b in range(actions.shape[0]):
        best = 0.0
        for j in range(batch):
            x, y = wins(e, b, j), losses(e, b, j)
            # E[sqrt(p (1-p))] = B(x + 1/2, y + 1/2) / B(x, y)
            rises = math.lgamma(x + 0.5) - math.lgamma(x) + math.lgamma(y + 0.5) - math.lgamma(y)
            index = math.exp(rises) / (x + y)
            if index <= best:
                continue
            level = 0 if e.alloc.bin_of[b, j] == UNPLACED else e.alloc.variant_of[b, j] + 1
            most = -1
            for pool in range(e.alloc.n_bins[b]):
                room = e.alloc.capacity[b, 0, pool] - e.alloc.used[b, 0, pool]
                if level < n_levels and room > most and legal(e, b, j, pool * n_levels + level):
                    most, best = room, index
                    actions[b, 0], actions[b, 1] = j, pool * n_levels + level
