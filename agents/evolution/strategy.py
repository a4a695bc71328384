"""Which sets of numbers are tried next? The covariance matrix adaptation evolution strategy (CMA-ES).

Source: Hansen, "The CMA evolution strategy: a tutorial", arXiv 1604.00772, figure 6 and table 1, without negative
weights; the step size has a floor, for returns are noisy and noise lets it shrink.
"""

from dataclasses import dataclass, field

import numpy as np

from allocenv.core.arrays import Array


@dataclass
class Strategy:
    """The distribution that sets of n numbers are drawn from; higher returns are better."""

    mean: Array  # [n]
    size: float  # of a step
    population: int
    least_size: float
    generation: int = 0
    spread: Array = field(init=False)  # [n, n]  covariance
    path: Array = field(init=False)  # [n]  of the mean
    length: Array = field(init=False)  # [n]  the same without correlation, for the step size

    def __post_init__(self) -> None:
        n = len(self.mean)
        self.spread, self.path, self.length = np.eye(n), np.zeros(n), np.zeros(n)

    def draw(self, rng: np.random.Generator) -> Array:
        """Sets to try: [population, n]."""
        values, vectors = self._axes()
        steps = (rng.standard_normal((self.population, len(self.mean))) * values) @ vectors.T
        tried: Array = self.mean + self.size * steps
        return tried

    def learn(self, tried: Array, returns: Array) -> None:
        """Move towards the better half of what was tried [population, n], given its returns [population]."""
        n = len(self.mean)
        best = np.argsort(-returns, kind="stable")[: self.population // 2]
        weights = np.log(self.population / 2 + 0.5) - np.log(np.arange(1, len(best) + 1))
        weights /= weights.sum()
        mass = 1.0 / (weights**2).sum()
        steps = (tried[best] - self.mean) / self.size
        step = weights @ steps
        values, vectors = self._axes()
        self.mean = self.mean + self.size * step
        self.generation += 1
        rate = (mass + 2) / (n + mass + 5)
        self.length = (1 - rate) * self.length
        self.length += np.sqrt(rate * (2 - rate) * mass) * (vectors @ ((vectors.T @ step) / values))
        usual = np.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n))  # length of a random step
        norm = float(np.linalg.norm(self.length))
        going = norm / np.sqrt(1 - (1 - rate) ** (2 * self.generation)) < (1.4 + 2 / (n + 1)) * usual
        path_rate = (4 + mass / n) / (n + 4 + 2 * mass / n)
        self.path = (1 - path_rate) * self.path + going * np.sqrt(path_rate * (2 - path_rate) * mass) * step
        one = 2 / ((n + 1.3) ** 2 + mass)
        many = min(1 - one, 2 * (mass - 2 + 1 / mass) / ((n + 2) ** 2 + mass))
        kept = 1 - one - many + (not going) * one * path_rate * (2 - path_rate)
        self.spread = kept * self.spread + one * np.outer(self.path, self.path) + many * (steps.T * weights) @ steps
        damping = 1 + 2 * max(0.0, np.sqrt((mass - 1) / (n + 1)) - 1) + rate
        self.size = max(self.size * float(np.exp(rate / damping * (norm / usual - 1))), self.least_size)

    def _axes(self) -> tuple[Array, Array]:
        """Standard deviations along the principal axes [n], and the axes as columns [n, n]."""
        values, vectors = np.linalg.eigh(self.spread)
        return np.sqrt(np.maximum(values, 1e-12)), vectors
