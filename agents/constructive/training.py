"""How does a scorer of candidates learn? By the gradient of the log probability of its better samples.

Each update makes up new instances and draws many solutions of each. Two advantages are mixed: how much better a
sample is than the mean of its instance (Kwon et al., POMO, NeurIPS 2020, section 4.2), which sharpens single passes,
and how far it lies in the best few (risk-seeking policy gradients: Petersen et al., ICLR 2021, section 3.3), which
keeps samples apart so that the best of many is good.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from allocenv.agents.constructive.config import ConstructiveConfig
from allocenv.core.arrays import Array
from allocenv.core.construction import Construction

MOMENTUM, DECAY, TINY = 0.9, 0.99, 1e-8  # of Adam
HELD_OUT_SEED = 900_000  # trainings draw from [seed, update] with smaller seeds
VALIDATION_SAMPLES = 64


@dataclass
class Learner:
    """A training in progress; what it draws depends on seed and update only, so it goes on exactly where it was."""

    config: ConstructiveConfig
    weights: Array  # [W] float64
    first: Array  # [W] float64  Adam's mean of gradients
    second: Array  # [W] float64  Adam's mean of squares
    done: int = 0  # updates
    history: list[float] = field(default_factory=list)  # mean cost of the samples of each update

    @classmethod
    def begin(cls, config: ConstructiveConfig) -> "Learner":
        """Before the first update."""
        construction = config.make()
        weights = construction.first_weights(config.n_hidden, np.random.default_rng([config.seed, 0]))
        return cls(config, weights, np.zeros_like(weights), np.zeros_like(weights))

    @property
    def finished(self) -> bool:
        return self.done >= self.config.updates

    def update(self, construction: Construction) -> float:
        """Learn from new instances; returns the mean cost of what was drawn."""
        config = self.config
        rng = np.random.default_rng([config.seed, self.done + 1])
        gradient, mean = np.zeros_like(self.weights), 0.0
        for _ in range(config.instances):
            instance, seed = construction.draw(rng), int(rng.integers(2**31))
            drawn = construction.explore(instance, self.weights, config.n_hidden, config.samples, seed)
            gradient += advantages(drawn.cost, config.elite, config.mean_share) @ drawn.gradient
            mean += float(drawn.cost.mean()) / config.instances
        gradient /= config.instances * config.samples
        rate = config.learning_rate * max(1 - self.done / config.updates, 0.05)
        self.done += 1
        self.first = MOMENTUM * self.first + (1 - MOMENTUM) * gradient
        self.second = DECAY * self.second + (1 - DECAY) * gradient**2
        size = np.sqrt(self.second / (1 - DECAY**self.done)) + TINY
        self.weights = self.weights + rate * self.first / (1 - MOMENTUM**self.done) / size
        self.history.append(mean)
        return mean


def advantages(cost: Array, elite: float, mean_share: float) -> Array:
    """How much each of the samples [B] of one instance is to become more likely: [B] float64."""
    from_mean = cost.mean() - cost
    into_elite = np.maximum(np.quantile(cost, elite) - cost, 0.0)
    out: Array = mean_share * _scaled(from_mean) + (1 - mean_share) * _scaled(into_elite)
    return out


def _scaled(values: Array) -> Array:
    """In units of the deviation; zeros where there is none."""
    deviation = float(values.std())
    return values / deviation if deviation > 1e-9 else np.zeros_like(values)


@dataclass
class Validation:
    """What weights reach on held-out made-up instances: mean costs, no repair."""

    one_pass: float
    sampled: dict[float, float]  # temperature -> best of `VALIDATION_SAMPLES`

    @property
    def temperature(self) -> float:
        """The best one."""
        return min(self.sampled, key=self.sampled.__getitem__)

    @property
    def score(self) -> float:
        """By which seeds are compared, lower is better: one pass and samples together."""
        return self.one_pass + self.sampled[self.temperature]

    def to_dict(self) -> dict[str, Any]:
        sampled = {str(t): cost for t, cost in self.sampled.items()}
        return {"one_pass": self.one_pass, f"best_of_{VALIDATION_SAMPLES}": sampled}


def validate(config: ConstructiveConfig, weights: Array, n: int | None = None) -> Validation:
    """Judge weights on the first n held-out instances (by default all of the config), the same for every seed."""
    construction, hidden = config.make(), config.n_hidden
    found = []
    for k in range(config.validation if n is None else n):
        instance = construction.draw(np.random.default_rng([HELD_OUT_SEED, k]))
        runs = [(1, 0.0), *((VALIDATION_SAMPLES, t) for t in config.temperatures)]
        found.append([construction.cost(instance, weights, hidden, many, t, k) for many, t in runs])
    one_pass, *sampled = (float(column) for column in np.mean(found, axis=0))
    return Validation(one_pass, dict(zip(config.temperatures, sampled, strict=True)))
