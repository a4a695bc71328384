"""The clock that solvers look at: by the counted one, limits are work and results repeat."""

import threading
import time
from contextvars import copy_context

import numpy as np
import pytest

from allocenv.core.clock import GLANCE, counted, is_counted, perf_counter
from allocenv.planner import as_solver
from allocenv.problems.vm.problem import VM


def test_by_default_it_is_the_machines():
    began = time.perf_counter()
    assert began <= perf_counter(100.0) <= time.perf_counter()


def test_counted_looks_move_it_by_what_they_stand_for():
    with counted():
        assert perf_counter() == pytest.approx(GLANCE)
        assert perf_counter(0.25) == pytest.approx(GLANCE + 0.25)
    assert not is_counted()


def test_a_new_count_begins_at_zero_and_the_outer_one_goes_on():
    with counted():
        perf_counter(1.0)
        with counted():
            assert perf_counter(0.5) == 0.5
        assert perf_counter(1.0) == 2.0


def test_other_threads_keep_the_machines_clock_unless_they_copy_the_context():
    seen = []
    with counted():
        for target in (is_counted, lambda: copy_context().run(is_counted)):
            thread = threading.Thread(target=lambda: seen.append(target()))  # noqa: B023 (joined at once)
            thread.start()
            thread.join()
        inherited = copy_context()
    thread = threading.Thread(target=lambda: seen.append(inherited.run(is_counted)))
    thread.start()
    thread.join()
    assert seen == [False, False, True]


@pytest.mark.parametrize("name", ["annealing", "exact", "beam", "pop", "filter_score", "vector_packing", "planner"])
def test_by_the_counted_clock_a_solver_finds_the_same_again(name):
    problem = VM(n_pms=12, max_moves=6)
    instance = problem.draw(np.random.default_rng(3))
    solver = as_solver(problem.solvers) if name == "planner" else problem.solvers[name].solver
    found = []
    for _ in range(2):
        with counted():
            found.append(solver(problem, instance, 0.05, np.random.default_rng(5)))
    assert found[0].actions.tolist() == found[1].actions.tolist()
    assert found[0].bound == found[1].bound
