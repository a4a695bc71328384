"""Values and what one more rollout adds, against numerical integration."""

import budget_reference as slow
import numpy as np
import pytest

from allocenv.problems.budget.values import (
    VALUES,
    beta,
    known,
    mean,
    mixture,
    next_gains,
    value,
    worth,
    worth_table,
)

SHAPES = [
    ("gradient", 1, 2),
    ("gradient", 0, 0),
    ("gradient", 0.5, 1.3),
    ("hit", 0, 0),
    ("hit", 0.7, 1),
    ("variance", 1, 1),
]


@pytest.mark.parametrize(("shape", "success", "failure"), SHAPES)
@pytest.mark.parametrize(("a", "b"), [(0.4, 2.0), (3.0, 0.6), (20.0, 35.0)])
def test_an_expected_value_is_the_integral_over_the_beta(shape, success, failure, a, b):
    of = value(shape, success, failure)
    for n in (2, 3, 7, 30):
        expected = slow.expected_value(shape, success, failure, n, a, b)
        assert worth(of, beta([a], [b]), np.array([n]))[0] == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(("shape", "success", "failure"), SHAPES)
def test_a_value_at_a_known_rate_is_the_formula(shape, success, failure):
    rates = [0.0, 1.0, 1e-9, 0.01, 0.5, 0.93]
    for n in (0, 1, 2, 5, 40):
        expected = [slow.plain_value(shape, success, failure, n, p) for p in rates]
        found = worth(value(shape, success, failure), known(rates), np.full(6, n))
        np.testing.assert_allclose(found, expected, atol=1e-13)


def test_infogain_of_two_rollouts_is_twice_p_q_times_p_q_squared():
    # p = 1/3: p (1-p)^2 = 4/27 and 1 - p^2 - (1-p)^2 = 4/9
    assert worth(VALUES["infogain"], known([1 / 3]), np.array([2]))[0] == pytest.approx(16 / 243)


def test_a_rare_success_loses_no_digits():
    """1 - p^2 - (1-p)^2 would be 0 in floating point."""
    assert worth(VALUES["gradient"], known([1e-20]), np.array([2]))[0] == pytest.approx(2e-20)


def test_a_mixture_is_worth_the_mean_of_its_parts():
    parts = worth(VALUES["infogain"], beta([0.5, 4.0], [3.0, 2.0]), np.array([9, 9]))
    both = mixture([[1.0, 3.0]], [[0.5, 4.0]], [[3.0, 2.0]])
    assert worth(VALUES["infogain"], both, np.array([9]))[0] == pytest.approx(parts @ [0.25, 0.75])
    assert mean(both)[0] == pytest.approx(0.25 * 0.5 / 3.5 + 0.75 * 4 / 6)


@pytest.mark.parametrize("name", VALUES)
def test_gains_are_differences_of_the_table(name):
    belief, table = beta([0.4, 8.0], [2.0, 1.0]), worth_table(VALUES[name], beta([0.4, 8.0], [2.0, 1.0]), 12)
    for n in range(12):
        np.testing.assert_allclose(
            next_gains(VALUES[name], belief, np.full(2, n)), table[:, n + 1] - table[:, n], atol=1e-15
        )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: value("sum"), "gradient, hit, variance"),
        (lambda: value("hit", -1), "at least 0"),
        (lambda: known([0.5, np.nan]), "nan"),
        (lambda: known([1.1]), "1.1"),
        (lambda: beta([0.0], [1.0]), "above 0"),
        (lambda: beta([1.0, 2.0], [1.0]), "one shape"),
        (lambda: mixture([[0.0, 0.0]], [[1.0, 1.0]], [[1.0, 1.0]]), "not all 0"),
    ],
)
def test_nonsense_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
