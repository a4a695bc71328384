"""What are learners like? Constants of the simulator, fitted to a real run; hidden traits, drawn by episode."""

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
    sharpening: float  # growth of positive logits, as a share, by each logit of progress
    slips: float  # share of correct rollouts lost at the start, to form and length
    slip_steps: float  # after which that has fallen to 1/e


# python -m allocenv.problems.budget.learner.fitting
REAL_RUN = Nature(
    first_wins=0.321,
    first_losses=0.569,
    slope_spread=0.716,
    pace=0.001793,
    early=1.027,
    early_steps=151.7,
    sharpening=0.3043,
    slips=0.0405,
    slip_steps=30.7,
)

# A learner that gets equal groups of 8: mean standard deviation of its groups, share of effective rollouts.
# The pace is scaled by them, so that every kind of learner gains about as much as the real one. Measured by the
# command above.
REFERENCE_SIGNAL = 0.212
REFERENCE_EFFECTIVE = 0.511
# Direct learning goes where the rate moves most: by how much more it gains than common learning of the same mean
# in logits, as a share. Chosen so that equal groups gain the same at any directness (430 updates).
DIRECT_EXTRA = 0.6


class Kind(NamedTuple):
    """The hidden traits of one learner."""

    directness: float  # rho: share of the learning that stays with the prompt it came from
    noise: float  # kappa: how far the noise of the gradient, not its size, sets the length of a step
    plain: bool  # plain SGD: the step is as long as the gradient; `noise` then says nothing


def draw_kind(rng: np.random.Generator) -> Kind:
    """Any directness; one learner in four is plain SGD, others range from no noise to noise alone."""
    return Kind(float(rng.random()), float(10 ** rng.uniform(0.0, 4.0)), bool(rng.random() < 0.25))
