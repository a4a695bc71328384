"""Coalition routing as a scorer of candidates learns it: made-up instances, drawn schedules, their gradients.

Costs are makespans in time units.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from allocenv.core.arrays import Array
from allocenv.core.construction import Explored
from allocenv.core.kernel import kernel
from allocenv.problems.task.routing.construct import (
    FEATURES,
    begin,
    build,
    describe,
    greedy_weights,
    take,
    unit_of,
)
from allocenv.problems.task.routing.generator import generate_dcmrta, generate_heteromrta
from allocenv.problems.task.routing.instance import Routing
from allocenv.problems.task.routing.schedule import RULES, layout_of
from allocenv.problems.task.scorer import checked_weights, draw, lifted, n_weights, score

Family = Literal["dcmrta", "heteromrta"]
SHARPNESS = 10.0  # of the greedy weights where training starts


@dataclass(frozen=True)
class RoutingConstruction:
    """Made-up problems like one of the benchmarks."""

    family: Family = "dcmrta"

    def __post_init__(self) -> None:
        if self.family not in get_args(Family):
            raise ValueError(f"Expected a family of {get_args(Family)}, got {self.family!r}.")

    @property
    def n_features(self) -> int:
        return FEATURES

    def n_weights(self, n_hidden: int) -> int:
        return n_weights(FEATURES, n_hidden)

    def first_weights(self, n_hidden: int, rng: np.random.Generator) -> Array:
        return lifted(SHARPNESS * greedy_weights(), n_hidden, rng)

    def draw(self, rng: np.random.Generator) -> Routing:
        return generate_dcmrta(rng) if self.family == "dcmrta" else generate_heteromrta(rng)

    def explore(self, instance: Routing, weights: Array, n_hidden: int, samples: int, seed: int) -> Explored:
        weights = checked_weights(weights, FEATURES, n_hidden)
        layout = layout_of(instance)
        state = begin(layout, samples, seed)
        gradient, scores = np.zeros((samples, weights.size)), np.zeros(instance.n_tasks * RULES)
        explore(layout, state, weights, n_hidden, unit_of(layout), scores, gradient, 0, samples)
        return Explored(state.makespan, gradient)

    def cost(
        self, instance: Routing, weights: Array, n_hidden: int, samples: int, temperature: float, seed: int
    ) -> float:
        weights = checked_weights(weights, FEATURES, n_hidden)
        layout = layout_of(instance)
        state = begin(layout, samples, seed)
        build(layout, state, weights, n_hidden, temperature, unit_of(layout), 0, samples)
        return float(state.makespan.min())


@kernel
def explore(x, s, weights, n_hidden, unit, scores, gradient, lo, hi):
    """Draw the schedules of trajectories lo..hi; `gradient` [B, W] is added to."""
    n = x.need.shape[0]
    for b in range(lo, hi):
        while s.n_done[b] < n:
            describe(x, s, b, unit)
            for c in range(n * RULES):
                done = s.done[b, c // RULES]
                scores[c] = -np.inf if done else score(weights, n_hidden, s.features[b, c])
            pick = draw(weights, n_hidden, s.features[b], scores, n * RULES, s.random[b], gradient[b])
            take(x, s, b, pick // RULES, pick % RULES)
