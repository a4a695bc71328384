"""A problem and a network small enough for a test."""

import pytest
import torch

from allocenv.agents.two_stage.network import TwoStageNetwork, Widths
from allocenv.problems import make_problem


@pytest.fixture
def problem():
    """Twelve machines: two of them, touched by a move, are few enough to encode alone."""
    return make_problem("vm", n_pms=12, max_moves=8)


@pytest.fixture
def network_for():
    """A network with random weights for a problem."""

    def make(problem):
        torch.manual_seed(0)
        return TwoStageNetwork(Widths.of(problem.sizes), width=8, n_queries=2)

    return make


@pytest.fixture
def network(problem, network_for):
    return network_for(problem)
