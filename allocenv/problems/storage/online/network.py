"""A small perceptron with swish over flat arrays: forward, backward, and Adam.

Weights lie layer by layer: a layer's matrix by input and then output, then its biases. `z` holds the sums of
every layer, `h` what leaves it; both begin with the inputs. The last layer is linear.
"""

from math import exp, sqrt

import numpy as np

from allocenv.core.arrays import Array, LongArray
from allocenv.core.kernel import inlined, kernel

BETA_MEAN, BETA_SQUARE, EPSILON = 0.9, 0.999, 1e-8  # Adam (Kingma and Ba 2015), its own defaults


def glorot(sizes: LongArray, rng: np.random.Generator) -> Array:
    """Random weights [W], uniform (Glorot and Bengio 2010); biases of zero."""
    parts = []
    for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True):
        bound = np.sqrt(6 / (n_in + n_out))
        parts += [rng.uniform(-bound, bound, n_in * n_out), np.zeros(n_out)]
    return np.concatenate(parts)


@inlined
def affine(weights, w, h, i, n_in, z, o, n_out):
    """Sums of one layer, whose weights begin at `w`: inputs h[i:], outputs z[o:]."""
    bias = w + n_in * n_out
    for k in range(n_out):
        z[o + k] = weights[bias + k]
    for j in range(n_in):
        value = h[i + j]
        row = w + j * n_out
        for k in range(n_out):
            z[o + k] += value * weights[row + k]


@inlined
def activate(z, h, o, n):
    """Swish (Ramachandran et al. 2017): z * sigmoid(z)."""
    for k in range(n):
        h[o + k] = z[o + k] / (1.0 + exp(-z[o + k]))


@inlined
def propagate(sizes, weights, z, h, begin):
    """Run the layers from number `begin` on, whose inputs are in `h`."""
    w, i = 0, 0
    last = sizes.size - 2
    for layer in range(last + 1):
        n_in, n_out = sizes[layer], sizes[layer + 1]
        o = i + n_in
        if layer >= begin:
            affine(weights, w, h, i, n_in, z, o, n_out)
            if layer < last:
                activate(z, h, o, n_out)
            else:
                for k in range(n_out):
                    h[o + k] = z[o + k]
        w += (n_in + 1) * n_out
        i = o


@kernel
def forward(sizes, weights, z, h):
    """Run all layers on the inputs in `h`."""
    propagate(sizes, weights, z, h, 0)


@kernel
def backward(sizes, weights, z, h, delta, gradient, lo, hi):
    """Add the gradient of a loss, whose derivative by outputs lo..hi-1 stands at the end of `delta`; others 0."""
    w, o = weights.size, h.size - sizes[sizes.size - 1]
    for layer in range(sizes.size - 2, -1, -1):
        n_in, n_out = sizes[layer], sizes[layer + 1]
        w -= (n_in + 1) * n_out
        i = o - n_in
        begin, end = (lo, hi) if layer == sizes.size - 2 else (0, n_out)
        for k in range(begin, end):
            gradient[w + n_in * n_out + k] += delta[o + k]
        for j in range(n_in):
            row = w + j * n_out
            back = 0.0
            for k in range(begin, end):
                gradient[row + k] += h[i + j] * delta[o + k]
                back += weights[row + k] * delta[o + k]
            gate = 1.0 / (1.0 + exp(-z[i + j]))
            delta[i + j] = back * gate * (1.0 + z[i + j] * (1.0 - gate))
        o = i


@kernel
def adam(weights, gradient, mean, square, steps, rate):
    """One step of Adam down the gradient, which it clears."""
    steps[0] += 1
    rate *= sqrt(1.0 - BETA_SQUARE ** steps[0]) / (1.0 - BETA_MEAN ** steps[0])
    for i in range(weights.size):
        mean[i] += (1.0 - BETA_MEAN) * (gradient[i] - mean[i])
        square[i] += (1.0 - BETA_SQUARE) * (gradient[i] * gradient[i] - square[i])
        weights[i] -= rate * mean[i] / (sqrt(square[i]) + EPSILON)
        gradient[i] = 0.0
