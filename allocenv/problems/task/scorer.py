"""How does a small network score candidates inside a kernel?

One hidden layer with max(0, x), or none: weights lie in one flat array, so that any trainer can fill them in.
Layout with F features and H hidden units: H rows of F weights and a bias, then H output weights. H = 0: F weights.
"""

import numpy as np

from allocenv.core.arrays import Array
from allocenv.core.bits import next_bits
from allocenv.core.kernel import kernel

NEGLIGIBLE = 1e-5  # probability of a candidate that is left out of a gradient


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


def lifted(linear: Array, n_hidden: int, rng: np.random.Generator) -> Array:
    """Weights of a scorer with hidden units that begins as the linear one: two units hold it, the rest small noise.

    Raises ValueError where there is one hidden unit: it takes two.
    """
    if n_hidden == 0:
        return linear.copy()
    if n_hidden == 1:
        raise ValueError("Expected no hidden units or at least two, got 1.")
    n = linear.size
    inner = rng.normal(0.0, n**-0.5, (n_hidden, n + 1))
    inner[0], inner[1] = np.append(linear, 0.0), np.append(-linear, 0.0)
    outer = rng.normal(0.0, 0.1, n_hidden)
    outer[0], outer[1] = 1.0, -1.0
    return np.concatenate([inner.ravel(), outer])


@kernel
def score(weights, n_hidden, features):
    """The score of one candidate [F]."""
    n = features.size
    out = 0.0
    if n_hidden == 0:
        for f in range(n):
            out += weights[f] * features[f]
        return out
    # four units at a time: one sum would wait for its own last addition
    width, last = n + 1, n_hidden * (n + 1)
    whole = n_hidden // 4 * 4
    for h in range(0, whole, 4):
        p, q, r, t = h * width, (h + 1) * width, (h + 2) * width, (h + 3) * width
        a, b, c, d = weights[p + n], weights[q + n], weights[r + n], weights[t + n]
        for f in range(n):
            x = features[f]
            a += weights[p + f] * x
            b += weights[q + f] * x
            c += weights[r + f] * x
            d += weights[t + f] * x
        out += weights[last + h] * max(a, 0.0)
        out += weights[last + h + 1] * max(b, 0.0)
        out += weights[last + h + 2] * max(c, 0.0)
        out += weights[last + h + 3] * max(d, 0.0)
    for h in range(whole, n_hidden):
        a = weights[h * width + n]
        for f in range(n):
            a += weights[h * width + f] * features[f]
        out += weights[last + h] * max(a, 0.0)
    return out


@kernel
def noise(random, temperature):
    """Gumbel noise: the largest score with it is a sample of the softmax; 0 at temperature 0."""
    if temperature == 0.0:
        return 0.0
    u = ((next_bits(random) & 0xFFFFFFFF) + 0.5) / 4294967296.0
    return -temperature * np.log(-np.log(u))


@kernel
def add_gradient(weights, n_hidden, features, by, out):
    """Add `by` times the gradient of a candidate's score to out, in the layout of the weights."""
    n = features.size
    if n_hidden == 0:
        for f in range(n):
            out[f] += by * features[f]
        return
    for h in range(n_hidden):
        at = h * (n + 1)
        a = weights[at + n]
        for f in range(n):
            a += weights[at + f] * features[f]
        if a > 0.0:
            last = n_hidden * (n + 1) + h
            out[last] += by * a
            slope = by * weights[last]
            for f in range(n):
                out[at + f] += slope * features[f]
            out[at + n] += slope


@kernel
def draw(weights, n_hidden, features, scores, n, random, gradient):
    """Draw one of n candidates by the softmax of their scores (-inf: none) and add the gradient of its log probability.

    `scores` [n] become probabilities.
    """
    most, total = -np.inf, 0.0
    for c in range(n):
        most = max(most, scores[c])
    for c in range(n):
        scores[c] = np.exp(scores[c] - most)
        total += scores[c]
    left = total * ((next_bits(random) & 0xFFFFFFFF) + 0.5) / 4294967296.0
    pick = -1
    for c in range(n):
        if scores[c] > 0.0 and left > 0.0:
            pick = c
            left -= scores[c]
        scores[c] /= total
    for c in range(n):
        by = (1.0 if c == pick else 0.0) - scores[c]
        if abs(by) > NEGLIGIBLE:
            add_gradient(weights, n_hidden, features[c], by, gradient)
    return pick
