"""Forward, backward, and Adam give what torch gives."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from allocenv.problems.storage.online.network import adam, backward, exponential, forward, glorot


def as_torch(sizes, weights):
    """The same perceptron, as (matrix, bias) of every layer."""
    layers, w = [], 0
    for n_in, n_out in pairwise(sizes):
        matrix = torch.tensor(weights[w : w + n_in * n_out].reshape(n_in, n_out), requires_grad=True)
        bias = torch.tensor(weights[w + n_in * n_out : w + (n_in + 1) * n_out], requires_grad=True)
        layers.append((matrix, bias))
        w += (n_in + 1) * n_out
    return layers


def torch_outputs(layers, inputs):
    h = torch.tensor(inputs)
    for i, (matrix, bias) in enumerate(layers):
        h = h @ matrix + bias
        if i < len(layers) - 1:
            h = torch.nn.functional.silu(h)
    return h


@pytest.mark.parametrize("sizes", [(7, 10, 2), (6, 20, 30, 102), (3, 4)])
def test_outputs_and_gradients_are_those_of_autograd(sizes):
    rng = np.random.default_rng(len(sizes))
    sizes = np.array(sizes, np.int64)
    weights = glorot(sizes, rng)
    weights += 0.1 * rng.standard_normal(weights.size)
    inputs = rng.standard_normal(sizes[0])
    z, h, delta = np.zeros(sizes.sum()), np.zeros(sizes.sum()), np.zeros(sizes.sum())
    z[: sizes[0]] = h[: sizes[0]] = inputs
    layers = as_torch(sizes, weights)
    expected = torch_outputs(layers, inputs)
    forward(sizes, weights, z, h)
    assert np.allclose(h[-sizes[-1] :], expected.detach().numpy(), atol=1e-9)
    slopes = rng.standard_normal(2)  # of a loss that sees outputs 1 and 2 only
    hi = min(3, sizes[-1])
    (expected[1:hi] * torch.tensor(slopes[: hi - 1])).sum().backward()
    begin = sizes.sum() - sizes[-1]
    delta[begin + 1 : begin + hi] = slopes[: hi - 1]
    gradient = np.zeros_like(weights)
    backward(sizes, weights, z, h, delta, gradient, 1, hi)
    found = np.concatenate([part.grad.numpy().ravel() for layer in layers for part in layer])
    assert np.allclose(gradient, found, atol=1e-9)


def test_adam_is_that_of_torch():
    rng = np.random.default_rng(0)
    weights = rng.standard_normal(5)
    twin = torch.tensor(weights, requires_grad=True)
    optimizer = torch.optim.Adam([twin], lr=0.01)
    weights, mean, square, steps = weights.copy(), np.zeros(5), np.zeros(5), np.zeros(1, np.int64)
    for _ in range(20):
        gradient = rng.standard_normal(5)
        twin.grad = torch.tensor(gradient)
        optimizer.step()
        adam(weights, gradient, mean, square, steps, 0.01)
        assert not gradient.any()
    assert np.allclose(weights, twin.detach().numpy(), atol=1e-7)


def test_the_exponential_has_eleven_digits():
    x = np.linspace(-600, 600, 10_001)
    assert np.allclose([exponential(v) for v in x], np.exp(x), rtol=2e-11, atol=0)
    assert np.isfinite([exponential(-1e9), exponential(1e9)]).all()
