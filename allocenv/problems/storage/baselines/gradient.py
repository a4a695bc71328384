"""Adam on a list of NumPy arrays, for the small networks of published opponents."""

import numpy as np

from allocenv.core.arrays import Array

DECAY, DECAY_SQUARED, TINY = 0.9, 0.999, 1e-8  # Kingma and Ba 2015, algorithm 1


class Adam:
    """Changes the arrays it was made for, step by step."""

    def __init__(self, weights: list[Array], rate: float) -> None:
        self.weights, self.rate, self.steps = weights, rate, 0
        self.mean = [np.zeros_like(w) for w in weights]
        self.square = [np.zeros_like(w) for w in weights]

    def step(self, gradients: list[Array]) -> None:
        """One step against the gradients, in the order of the weights."""
        self.steps += 1
        scale = self.rate * np.sqrt(1 - DECAY_SQUARED**self.steps) / (1 - DECAY**self.steps)
        for w, g, mean, square in zip(self.weights, gradients, self.mean, self.square, strict=True):
            mean += (1 - DECAY) * (g - mean)
            square += (1 - DECAY_SQUARED) * (g * g - square)
            w -= scale * mean / (np.sqrt(square) + TINY)


def glorot(rng: np.random.Generator, inputs: int, outputs: int) -> Array:
    """Weights of a layer [inputs, outputs] (Glorot and Bengio 2010, equation 16)."""
    bound = np.sqrt(6 / (inputs + outputs))
    weights: Array = rng.uniform(-bound, bound, (inputs, outputs))
    return weights


def scaled(features: Array) -> Array:
    """Counts and sizes by their logarithm, shares as they are: [U, FEATURES]."""
    out = features.copy()
    out[:, :2] = np.log2(1 + out[:, :2]) / 4
    return out
