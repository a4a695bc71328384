"""Projection onto the atoms, and the loss of categorical Q-learning."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from allocenv.core.bits import seeded
from allocenv.problems.storage.online.c51 import ATOMS, atom_scratch, expected, learn_c51, project
from allocenv.problems.storage.online.features import sibyl_levels
from allocenv.problems.storage.online.learner import decide, empty_learner, empty_memory, take_over


def slow_projection(reward, gamma, highest, probabilities):
    """Each atom gets the hat function of its distance from every shifted value (Bellemare et al. 2017, eq. 7)."""
    values = np.linspace(0, highest, ATOMS)
    shifted = np.clip(reward + gamma * values, 0, highest)
    step = highest / (ATOMS - 1)
    hats = np.clip(1 - np.abs(shifted[None, :] - values[:, None]) / step, 0, 1)
    return hats @ probabilities


@settings(deadline=None)  # the first call compiles
@given(st.floats(-2, 2), st.floats(0, 0.99), st.integers(0, 1000))
def test_projection_is_the_obvious_one(reward, gamma, seed):
    atoms = atom_scratch()
    atoms[0] = np.random.default_rng(seed).dirichlet(np.ones(ATOMS))
    project(reward, gamma, 1.0, atoms)
    assert np.allclose(atoms[1], slow_projection(reward, gamma, 1.0, atoms[0]), atol=1e-9)
    assert atoms[1].sum() == pytest.approx(1)


def test_expectation_is_a_share_of_the_highest_return():
    # nearly all of the probability on atom 20 of 0..50
    logits = np.zeros(ATOMS)
    logits[20] = 100.0
    assert expected(logits, 0, atom_scratch()) == pytest.approx(20 / 50)
    assert expected(np.zeros(ATOMS), 0, atom_scratch()) == pytest.approx(0.5)


def test_a_step_goes_down_the_gradient_of_the_cross_entropy():
    """Adam's first step is rate * sign(gradient): the signs are those of autograd, on a memory of one experience."""
    learner = empty_learner(sibyl_levels(2), (20, 30), 2 * ATOMS, np.random.default_rng(1))
    memory, atoms = empty_memory(2, 6), atom_scratch()
    memory.bins[:], memory.next_bins[:] = [1, 1, 30, 10, 0, 1], [2, 0, 5, 40, 0, 0]
    memory.action[:], memory.reward[:], memory.written[0] = 1, 0.05, 2
    before = learner.training.copy()
    loss = learn_c51(learner, memory, atoms, 0.9, 1.0, 1e-3, 4, seeded(0))

    weights = torch.tensor(before, requires_grad=True)

    def logits(bins):
        h, w = torch.tensor(bins / (learner.levels - 1)), 0
        for n_in, n_out in pairwise(learner.sizes):
            matrix = weights[w : w + n_in * n_out].reshape(n_in, n_out)
            h = h @ matrix + weights[w + n_in * n_out : w + (n_in + 1) * n_out]
            h = torch.nn.functional.silu(h) if n_out != 2 * ATOMS else h
            w += (n_in + 1) * n_out
        return h.reshape(2, ATOMS)

    probabilities = torch.softmax(logits(memory.next_bins[0]), 1).detach().numpy()
    best = (probabilities @ np.linspace(0, 1, ATOMS)).argmax()
    target = torch.tensor(slow_projection(0.05, 0.9, 1.0, probabilities[best]))
    expected_loss = -(target * torch.log_softmax(logits(memory.bins[0])[1], 0)).sum()
    expected_loss.backward()
    assert loss == pytest.approx(expected_loss.item())
    gradient = weights.grad.numpy()
    clear = np.abs(gradient) > 1e-5  # far above Adam's epsilon
    assert np.allclose((before - learner.training)[clear], 1e-3 * np.sign(gradient[clear]), atol=2e-6)


def test_learning_reaches_the_reward_of_each_action():
    """Without a future (gamma 0) the expected return of an action becomes its reward."""
    learner = empty_learner(sibyl_levels(2), (20, 30), 2 * ATOMS, np.random.default_rng(0))
    memory, atoms, random = empty_memory(100, 6), atom_scratch(), seeded(0)
    memory.action[:] = np.arange(100) % 2
    memory.reward[:] = np.where(memory.action == 0, 0.2, 0.6)
    memory.written[0] = 100
    for _ in range(300):
        learn_c51(learner, memory, atoms, 0.0, 1.0, 5e-3, 32, random)
    take_over(learner)
    decide(learner, memory.bins[0])
    begin = len(learner.h) - 2 * ATOMS
    found = [expected(learner.h, begin + a * ATOMS, atoms) for a in (0, 1)]
    assert found == pytest.approx([0.2, 0.6], abs=0.02)
