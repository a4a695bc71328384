"""scipy's branch and bound under the clock in force, and in silence."""

import ctypes

import numpy as np
import scipy.optimize
from scipy.optimize import Bounds, LinearConstraint

from allocenv.core.clock import counted, perf_counter
from allocenv.core.milp import NODES_A_SECOND, run_milp

# max 8x + 11y + 6z + 4w, weights 5, 7, 4, 3, room for 14: y, z and w, worth 21
KNAPSACK = {
    "constraints": LinearConstraint(np.array([[5.0, 7.0, 4.0, 3.0]]), -np.inf, 14.0),
    "integrality": np.ones(4),
    "bounds": Bounds(0, 1),
}
COST = -np.array([8.0, 11.0, 6.0, 4.0])


def test_it_finds_the_optimum():
    found = run_milp(COST, 10.0, **KNAPSACK)
    assert found.fun == -21.0
    assert found.x.tolist() == [0, 1, 1, 1]


def test_by_the_counted_clock_nodes_are_the_limit(monkeypatch):
    given = []
    real = scipy.optimize.milp
    monkeypatch.setattr(scipy.optimize, "milp", lambda *a, options, **k: given.append(options) or real(*a, **k))
    run_milp(COST, 2.0, **KNAPSACK)
    with counted():
        before = perf_counter()
        found = run_milp(COST, 2.0, **KNAPSACK)
        assert perf_counter() - before >= found.mip_node_count / NODES_A_SECOND
    assert given[0] == {"time_limit": 2.0, "mip_rel_gap": 0.0}
    assert given[1]["node_limit"] == 2.0 * NODES_A_SECOND


def test_what_compiled_code_prints_is_not_seen(monkeypatch, capfd):
    c = ctypes.CDLL(None)
    real = scipy.optimize.milp
    monkeypatch.setattr(scipy.optimize, "milp", lambda *a, **k: c.puts(b"a remark") and real(*a, **k))
    run_milp(COST, 1.0, **KNAPSACK)
    c.puts(b"heard again")
    c.fflush(None)
    assert capfd.readouterr().out == "heard again\n"
