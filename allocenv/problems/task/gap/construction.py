"""Generalised assignment as a scorer of pairs learns it: made-up instances, drawn assignments, their gradients.

Costs are gaps to the bound of the linear program, in percent of the bound, plus a charge for weight above capacities.
"""

from dataclasses import dataclass

import numpy as np

from allocenv.core.arrays import Array
from allocenv.core.construction import Explored
from allocenv.core.kernel import kernel
from allocenv.problems.task.gap.construct import (
    FEATURES,
    State,
    Task,
    begin,
    build,
    describe,
    give,
    look,
    make_room,
    reduced_cost_weights,
    task_of,
    tightness,
)
from allocenv.problems.task.gap.generator import generate, generate_orlib_like
from allocenv.problems.task.gap.instance import GAP
from allocenv.problems.task.gap.lagrangian import Prices, capacity_prices
from allocenv.problems.task.scorer import checked_weights, draw, lifted, n_weights, score

EXCESS = 4.0  # what it costs to be above a capacity, and each mean weight of a job above it, in spreads of cost
SHARPNESS = 3.0  # of the weights without training where training starts
LARGER = ((5, 60), (10, 60), (20, 60), (5, 100), (10, 100))  # agents and jobs of types C and D


@dataclass(frozen=True)
class Example:
    """An instance and what every look at it needs."""

    problem: GAP
    prices: Prices
    task: Task


@dataclass(frozen=True)
class GAPConstruction:
    """Made-up problems as gap1-gap12, and smaller ones of types C and D among them."""

    larger: float = 0.2  # share of instances of types C and D

    def __post_init__(self) -> None:
        if not 0 <= self.larger <= 1:
            raise ValueError(f"Expected a share of larger instances in 0..1, got {self.larger}.")

    @property
    def n_features(self) -> int:
        return FEATURES

    def n_weights(self, n_hidden: int) -> int:
        return n_weights(FEATURES, n_hidden)

    def first_weights(self, n_hidden: int, rng: np.random.Generator) -> Array:
        return lifted(SHARPNESS * reduced_cost_weights(), n_hidden, rng)

    def draw(self, rng: np.random.Generator) -> Example:
        if rng.random() < self.larger:
            agents, jobs = LARGER[rng.integers(len(LARGER))]
            problem = generate("C" if rng.random() < 0.5 else "D", agents, jobs, rng)
        else:
            problem = generate_orlib_like(rng)
        prices = capacity_prices(problem)
        return Example(problem, prices, task_of(problem, prices))

    def explore(self, instance: Example, weights: Array, n_hidden: int, samples: int, seed: int) -> Explored:
        weights = checked_weights(weights, FEATURES, n_hidden)
        task, state = instance.task, begin(instance.task, samples, seed)
        gradient, pairs = np.zeros((samples, weights.size)), instance.problem.cost.size
        scores, which, features = np.zeros(pairs), np.zeros(pairs, np.int64), np.zeros((pairs, FEATURES))
        explore(task, state, weights, n_hidden, scores, which, features, gradient, 0, samples)
        return Explored(charged(instance, state), gradient)

    def cost(
        self, instance: Example, weights: Array, n_hidden: int, samples: int, temperature: float, seed: int
    ) -> float:
        weights = checked_weights(weights, FEATURES, n_hidden)
        state = begin(instance.task, samples, seed)
        build(instance.task, state, weights, n_hidden, temperature, 0, samples)
        return float(charged(instance, state).min())


def charged(example: Example, state: State) -> Array:
    """Costs of whole trajectories: [B] float64."""
    task, bound = example.task, example.prices.bound
    cost = np.take_along_axis(task.cost[None], state.agent_of[:, :, None], 2)[:, :, 0].sum(1)
    excess = np.maximum(-state.room, 0).sum(1)
    charge = EXCESS * task.spread * ((excess > 0) + excess / task.mean_weight.mean())
    out: Array = 100.0 * (cost + charge - bound) / max(abs(bound), 1.0)
    return out


@kernel
def explore(x, s, weights, n_hidden, scores, which, features, gradient, lo, hi):
    """Draw the assignments of trajectories lo..hi; `gradient` [B, W] is added to, the rest is scratch."""
    n, m = x.cost.shape
    for b in range(lo, hi):
        while s.n_left[b] > 0:
            stuck = look(x, s, b)
            if stuck >= 0:
                make_room(x, s, b, stuck)
                continue
            (slack, overload), n_pairs = tightness(x, s, b), 0
            for j in range(n):
                if s.agent_of[b, j] >= 0:
                    continue
                for i in range(m):
                    if s.share[b, j, i] > 0.0:
                        describe(x, s, b, j, i, slack, overload, features[n_pairs])
                        scores[n_pairs] = score(weights, n_hidden, features[n_pairs])
                        which[n_pairs] = j * m + i
                        n_pairs += 1
            pick = which[draw(weights, n_hidden, features, scores, n_pairs, s.random[b], gradient[b])]
            give(x, s, b, pick // m, pick % m)
