"""Categorical Q-learning: the return of an action as probabilities of 51 values (Bellemare et al. 2017)."""

from math import log

import numpy as np

from allocenv.core.arrays import Array
from allocenv.core.kernel import inlined, kernel
from allocenv.problems.storage.online.learner import decide, drawn, outputs_begin, run_training
from allocenv.problems.storage.online.network import adam, backward, exponential

ATOMS = 51


def atom_scratch() -> Array:
    """[2, ATOMS] probabilities of the next state, and what they are after projection."""
    return np.zeros((2, ATOMS))


@inlined
def expected(h, begin, out):
    """Expected return, as a share of the highest, of the action whose logits begin at h[begin]; uses out[0]."""
    logits, parts = h[begin : begin + ATOMS], out[0]
    for k in range(ATOMS):
        parts[k] = exponential(logits[k])
    total = weighted = 0.0
    for k in range(ATOMS):
        total += parts[k]
        weighted += k * parts[k]
    return weighted / (total * (ATOMS - 1))


@inlined
def best_by_expectation(a, atoms):
    """The action of the highest expected return, from the logits in `a.h`; the faster device of equal ones."""
    begin = outputs_begin(a)
    best, highest = 0, -1.0
    for action in range((a.h.size - begin) // ATOMS):
        value = expected(a.h, begin + action * ATOMS, atoms)
        if value > highest:
            best, highest = action, value
    return best


@inlined
def softmax(h, begin, out):
    """Probabilities of the logits that begin at h[begin]; writes out[0]. Logits stay far below 690."""
    logits, parts = h[begin : begin + ATOMS], out[0]
    total = 0.0
    for k in range(ATOMS):
        parts[k] = exponential(logits[k])
    for k in range(ATOMS):
        total += parts[k]
    for k in range(ATOMS):
        parts[k] /= total


@kernel
def project(reward, gamma, highest, atoms):
    """Distribution of reward + gamma * return over the atoms 0..highest; atoms[0] -> atoms[1], both [ATOMS]."""
    for k in range(ATOMS):
        atoms[1, k] = 0.0
    step = highest / (ATOMS - 1)
    for k in range(ATOMS):
        at = min(max((reward + gamma * k * step) / step, 0.0), ATOMS - 1.0)
        low = int(at)
        share = at - low
        atoms[1, low] += (1.0 - share) * atoms[0, k]
        if share > 0.0:
            atoms[1, low + 1] += share * atoms[0, k]


@kernel
def learn_c51(a, m, atoms, gamma, highest, rate, batch, random):
    """One step on a batch of experiences; the mean cross-entropy before it."""
    begin = outputs_begin(a)
    loss = 0.0
    for _ in range(batch):
        i = drawn(m, random)
        decide(a, m.next_bins[i])
        softmax(a.h, begin + best_by_expectation(a, atoms) * ATOMS, atoms)
        project(m.reward[i], gamma, highest, atoms)
        run_training(a, m.bins[i])
        lo = m.action[i] * ATOMS
        softmax(a.h, begin + lo, atoms)
        for k in range(ATOMS):
            loss -= atoms[1, k] * log(atoms[0, k] + 1e-30)
            a.delta[begin + lo + k] = (atoms[0, k] - atoms[1, k]) / batch
        backward(a.sizes, a.training, a.z, a.h, a.delta, a.gradient, lo, lo + ATOMS)
    adam(a.training, a.gradient, a.mean, a.square, a.steps, rate)
    return loss / batch
