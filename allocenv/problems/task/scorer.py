"""How does a small network score candidates inside a kernel?

One hidden layer with max(0, x), or none: weights lie in one flat array, so that any trainer can fill them in.
Layout with F features and H hidden units: H rows of F weights and a bias, then H output weights. H = 0: F weights.
"""

import numpy as np

from allocenv.core.arrays import Array
from allocenv.core.bits import next_bits
from allocenv.core.kernel import kernel


def n_weights(n_features: int, n_hidden: int) -> int:
    """How many weights a scorer has."""
    return n_hidden * (n_features + 2) if n_hidden else n_features


def checked_weights(weights: Array, n_features: int, n_hidden: int) -> Array:
    """The weights as contiguous float64. Raises ValueError where their number is wrong or one is not finite."""
    out = np.ascontiguousarray(weights, np.float64)
    expected = n_weights(n_features, n_hidden)
    if out.shape != (expected,):
        raise ValueError(f"Expected {expected} weights in one axis, got an array of shape {out.shape}.")
    if not np.isfinite(out).all():
        raise ValueError("Expected finite weights.")
    return out


@kernel
def score(weights, n_hidden, features):
    """The score of one candidate [F]."""
    n = features.size
    out = 0.0
    if n_hidden == 0:
        for f in range(n):
            out += weights[f] * features[f]
        return out
    for h in range(n_hidden):
        at = h * (n + 1)
        a = weights[at + n]
        for f in range(n):
            a += weights[at + f] * features[f]
        out += weights[n_hidden * (n + 1) + h] * max(a, 0.0)
    return out


@kernel
def noise(random, temperature):
    """Gumbel noise: the largest score with it is a sample of the softmax; 0 at temperature 0."""
    if temperature == 0.0:
        return 0.0
    u = ((next_bits(random) & 0xFFFFFFFF) + 0.5) / 4294967296.0
    return -temperature * np.log(-np.log(u))
