"""What are learners like? The constants of the simulator, fitted to a real run, and the hidden traits drawn by episode."""

from typing import NamedTuple

import numpy as np


class Nature(NamedTuple):
    """What all learners share. Logits unless said otherwise; a step is one update with a batch of prompts."""

    first_wins: float  # success rates before training are Beta(first_wins, first_losses)
    first_losses: float
    slope_spread: float  # standard deviation of the slopes, which are Gamma of mean 1
    pace: float  # a step, mean over prompts, of a learner under equal groups
    early: float  # how much faster the first step is, as a share
    early_steps: float  # after which that has fallen to 1/e
    sharpening: float  # a step: relative growth of all logits


# python -m allocenv.problems.budget.learner.fitting
REAL_RUN = Nature(0.35, 0.67, 0.9, 0.0026, 1.0, 25.0, 0.0004)

# A learner that gets equal groups of 8: mean standard deviation of its groups, share of effective rollouts.
# The pace is scaled by them, so that every kind of learner gains about as much as the real one. Measured by the
# command above.
REFERENCE_SIGNAL = 0.19
REFERENCE_EFFECTIVE = 0.52


class Kind(NamedTuple):
    """The hidden traits of one learner."""

    directness: float  # rho: share of the learning that stays with the prompt it came from
    noise: float  # kappa: how far the noise of the gradient, not its size, sets the length of a step
    plain: bool  # plain SGD: the step is as long as the gradient; `noise` then says nothing


def draw_kind(rng: np.random.Generator) -> Kind:
    """Any directness; one learner in four is plain SGD, others range from no noise to noise alone."""
    return Kind(float(rng.random()), float(10 ** rng.uniform(0.0, 4.0)), bool(rng.random() < 0.25))
