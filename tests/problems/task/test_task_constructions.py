"""What made-up problems offer a trainer of scorers: drawn solutions, their gradients, their costs."""

import numpy as np
import pytest

from allocenv.problems.task.gap.construct import begin, look, score_features, task_of
from allocenv.problems.task.gap.construction import Example, GAPConstruction, charged
from allocenv.problems.task.gap.instance import GAP
from allocenv.problems.task.gap.lagrangian import capacity_prices
from allocenv.problems.task.routing.construction import RoutingConstruction
from allocenv.problems.task.routing.generator import generate_heteromrta
from allocenv.problems.task.scorer import add_gradient, draw, lifted, n_weights, score

ROUTING = RoutingConstruction("heteromrta")


def test_the_gradient_of_a_score_is_that_of_finite_differences():
    rng = np.random.default_rng(0)
    for n_hidden in (0, 3):
        weights, features = rng.normal(size=n_weights(5, n_hidden)), rng.normal(size=5)
        found = np.zeros_like(weights)
        add_gradient(weights, n_hidden, features, 2.0, found)
        for k in range(weights.size):
            step = np.zeros_like(weights)
            step[k] = 1e-6
            rise = score(weights + step, n_hidden, features) - score(weights - step, n_hidden, features)
            assert found[k] == pytest.approx(2.0 * rise / 2e-6, abs=1e-6)


def test_candidates_are_drawn_by_the_softmax_and_their_gradients_cancel():
    # Scores ln 1 and ln 3 with one weight and features 0 and ln 3: probabilities 1/4 and 3/4.
    features, random = np.array([[0.0], [np.log(3.0)], [9.0]]), np.array([12345], np.uint64)
    gradient, picks = np.zeros(1), np.zeros(3)
    for _ in range(8000):
        scores = np.array([0.0, np.log(3.0), -np.inf])
        picks[draw(np.ones(1), 0, features, scores, 3, random, gradient)] += 1
    assert scores[:2] == pytest.approx([0.25, 0.75])
    assert picks / 8000 == pytest.approx([0.25, 0.75, 0.0], abs=0.02)  # four deviations
    assert gradient[0] / 8000 == pytest.approx(0.0, abs=0.025)


def test_lifted_weights_score_almost_as_the_linear_ones():
    rng = np.random.default_rng(1)
    linear = rng.normal(size=4)
    assert (lifted(linear, 0, rng) == linear).all()
    two, features = lifted(linear, 2, rng), rng.normal(size=4)
    assert score(two, 2, features) == pytest.approx(linear @ features)
    with pytest.raises(ValueError, match="at least two"):
        lifted(linear, 1, rng)


@pytest.mark.parametrize("construction", [ROUTING, GAPConstruction(0.0)], ids=["routing", "gap"])
def test_the_first_samples_do_not_depend_on_how_many_are_drawn(construction):
    rng = np.random.default_rng(2)
    instance, weights = construction.draw(rng), construction.first_weights(2, rng)
    few, many = (construction.explore(instance, weights, 2, n, 7) for n in (3, 6))
    assert (few.cost == many.cost[:3]).all()
    assert (few.gradient == many.gradient[:3]).all()
    assert np.isfinite(many.gradient).all()
    assert few.gradient.shape == (3, construction.n_weights(2))


def test_the_gradient_of_whole_assignments_is_the_sum_over_decisions():
    # One job, two agents: the only decision. d log p / d w = features of the chosen pair - mean features.
    problem = GAP([[1], [3]], [[1], [1]], [1, 1])
    prices = capacity_prices(problem)
    example = Example(problem, prices, task_of(problem, prices))
    weights = 0.2 * np.random.default_rng(3).normal(size=GAPConstruction().n_features)
    drawn = GAPConstruction().explore(example, weights, 0, 40, 0)
    state = begin(example.task, 1, 0)
    look(example.task, state, 0)
    _, features = score_features(example.task, state)
    p = np.exp(features @ weights)
    p /= p.sum()
    expected = features - p @ features
    for cost, gradient in zip(drawn.cost, drawn.gradient, strict=True):
        assert gradient == pytest.approx(expected[0 if cost == drawn.cost.min() else 1])


def test_weight_above_a_capacity_is_charged():
    # Two jobs of weight 2, agent 0 does them for 1, agent 1 for 2, each has room for one. Both on agent 0: cost 2,
    # 2 above its capacity, a mean weight; spread 0.5; charge 4 * 0.5 * (1 + 1) = 4. Apart: 3. The gap differs by 3.
    problem = GAP([[1, 1], [2, 2]], [[2, 2], [2, 2]], [2, 2])
    prices = capacity_prices(problem)
    example = Example(problem, prices, task_of(problem, prices))
    state = begin(example.task, 2, 0)
    state.agent_of[:] = [[0, 0], [0, 1]]
    state.room[:] = [[-2, 2], [0, 0]]
    above, apart = charged(example, state)
    assert above - apart == pytest.approx(100 * 3 / prices.bound)


def test_the_best_of_many_is_no_worse_than_one_pass():
    rng = np.random.default_rng(4)
    problem, weights = generate_heteromrta(rng), ROUTING.first_weights(4, rng)
    one, many = (ROUTING.cost(problem, weights, 4, n, 1.0, 5) for n in (1, 16))
    assert many <= one


def test_wrong_parameters_are_refused():
    with pytest.raises(ValueError, match="family"):
        RoutingConstruction("vrp")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="share"):
        GAPConstruction(1.5)
