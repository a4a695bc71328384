"""A small perceptron with swish over flat arrays: forward, backward, and Adam.

Weights lie layer by layer: a layer's matrix by input and then output, then its biases. `z` holds the sums of
every layer, `h` what leaves it; both begin with the inputs. The last layer is linear.
"""

from itertools import pairwise
from math import sqrt

import numpy as np

from allocenv.core.arrays import Array, LongArray
from allocenv.core.kernel import inlined, kernel

BETA_MEAN, BETA_SQUARE, EPSILON = 0.9, 0.999, 1e-8  # Adam (Kingma and Ba 2015), its own defaults

LOG2_E, LN_2 = 1.4426950408889634, 0.6931471805599453
ROUND = 1.5 * 2.0**52  # a float this large has no fraction, and its lowest bits count ones


def glorot(sizes: LongArray, rng: np.random.Generator) -> Array:
    """Random weights [W], uniform (Glorot and Bengio 2010); biases of zero."""
    parts = []
    for n_in, n_out in pairwise(sizes):
        bound = np.sqrt(6 / (n_in + n_out))
        parts += [rng.uniform(-bound, bound, n_in * n_out), np.zeros(n_out)]
    return np.concatenate(parts)


@inlined
def exponential(x):
    """e**x to 11 digits, of x cut to -690..690; unlike `math.exp` a loop of it compiles to vector instructions."""
    x = min(max(x, -690.0), 690.0)
    shifted = x * LOG2_E + ROUND
    r = x - (shifted - ROUND) * LN_2  # |r| <= ln(2) / 2: Taylor
    high = 1 / 120 + r * (1 / 720 + r * (1 / 5040 + r * (1 / 40320 + r / 362880)))
    bits = (np.float64(shifted).view(np.int64) + 1023) << 52
    return np.int64(bits).view(np.float64) * (1.0 + r * (1.0 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r * high)))))


@inlined
def affine(weights, w, h, i, n_in, z, o, n_out):
    """Sums of one layer, whose weights begin at `w`: inputs h[i:], outputs z[o:]."""
    out = z[o : o + n_out]
    bias = weights[w + n_in * n_out : w + (n_in + 1) * n_out]
    for k in range(n_out):
        out[k] = bias[k]
    for j in range(n_in):
        value = h[i + j]
        row = weights[w + j * n_out : w + (j + 1) * n_out]
        for k in range(n_out):
            out[k] += value * row[k]


@inlined
def activate(z, h, o, n):
    """Swish (Ramachandran et al. 2017): z * sigmoid(z)."""
    sums, out = z[o : o + n], h[o : o + n]
    for k in range(n):
        out[k] = sums[k] / (1.0 + exponential(-sums[k]))


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
        above = delta[o + begin : o + end]
        for j in range(n_in):
            row = w + j * n_out
            slope, row_weights = gradient[row + begin : row + end], weights[row + begin : row + end]
            value, back = h[i + j], 0.0
            for k in range(end - begin):
                slope[k] += value * above[k]
            for k in range(end - begin):
                back += row_weights[k] * above[k]
            gate = 1.0 / (1.0 + exponential(-z[i + j]))
            delta[i + j] = back * gate * (1.0 + z[i + j] * (1.0 - gate))
        o = i


@kernel
def adam(weights, gradient, mean, square, steps, rate):
    """One step of Adam down the gradient, which it clears."""
    steps[0] += 1
    rate /= 1.0 - BETA_MEAN ** steps[0]
    grown = sqrt(1.0 - BETA_SQUARE ** steps[0])
    for i in range(weights.size):
        mean[i] += (1.0 - BETA_MEAN) * (gradient[i] - mean[i])
        square[i] += (1.0 - BETA_SQUARE) * (gradient[i] * gradient[i] - square[i])
        weights[i] -= rate * mean[i] / (sqrt(square[i]) / grown + EPSILON)
        gradient[i] = 0.0
