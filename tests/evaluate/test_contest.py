"""A contest: everybody on the same instances, judged by the environment."""

import time
from dataclasses import replace

import numpy as np
import pytest
from toy_problem import Toy

from allocenv.core.clock import perf_counter
from allocenv.core.kept import Kept
from allocenv.core.pool import local_pool
from allocenv.core.provenance import machine
from allocenv.core.results import contenders_of
from allocenv.core.solver import Solution
from allocenv.evaluate.contest import Contest, Entrant, PolicySolver, acting, contest, judge, within
from allocenv.heuristics import first_fit, random_legal

ROOMS = [("one", np.array([1, 0])), ("three", np.array([2, 1]))]


def returning(actions, objective=0.0, bound=-np.inf):
    return lambda problem, instance, rng: Solution(np.array(actions, np.int32).reshape(-1, 2), objective, bound)


def test_the_environment_says_what_a_plan_reaches():
    # All three items are placed, which costs -3, whatever the solver claims.
    row = judge(Toy(), "three", ROOMS[1][1], "x", returning([[0, 0], [1, 0], [2, 1]], -99.0, -3.5), None)
    assert (row.start, row.objective, row.decisions, row.legal, row.bound) == (0, -3, 3, True, -3.5)


def test_a_plan_that_the_environment_refuses_is_marked_illegal():
    row = judge(Toy(), "one", ROOMS[0][1], "x", returning([[0, 0], [0, 0]]), None)
    assert not row.legal
    assert row.objective == -1


def test_a_row_holds_the_contenders_own_time():
    def slow(problem, instance, rng):
        time.sleep(0.05)
        return Solution(np.zeros((0, 2), np.int32), 0.0)

    row = judge(Toy(), "one", ROOMS[0][1], "slow", slow, None)
    assert 0.05 <= row.wall < 0.5
    assert row.cpu < row.wall


def test_everybody_meets_every_instance_in_order():
    heard = []
    rows = contest(Toy(), ROOMS, {"a": returning([]), "b": returning([[0, 0]])}, listener=heard.append)
    assert [(row.instance, row.contender) for row in rows] == [
        ("one", "a"), ("one", "b"), ("three", "a"), ("three", "b"),
    ]  # fmt: skip
    assert heard == rows
    assert contenders_of(rows) == ["a", "b"]


def test_a_contenders_randomness_depends_on_seed_and_instance_alone():
    drawn = {}

    def drawing(name):
        def contender(problem, instance, rng):
            drawn.setdefault(name, []).append(float(rng.random()))
            return Solution(np.zeros((0, 2), np.int32), 0.0)

        return contender

    contest(Toy(), ROOMS, {"first": drawing("first"), "second": drawing("second")}, seed=1)
    contest(Toy(), ROOMS, {"alone": drawing("alone")}, seed=1)
    contest(Toy(), ROOMS, {"other": drawing("other")}, seed=2)
    assert drawn["first"] == drawn["second"] == drawn["alone"]
    assert not set(drawn["first"]) & set(drawn["other"])
    assert len(set(drawn["first"])) == 2


def test_a_policy_acts_to_the_end_of_the_episode():
    rows = contest(Toy(), ROOMS, {"first_fit": acting(lambda rng: first_fit), "random": acting(random_legal)})
    assert [row.objective for row in rows] == [-1, -1, -3, -3]  # the toy cannot be played badly, only slowly
    assert all(row.legal for row in rows)
    assert [row.decisions for row in rows if row.contender == "first_fit"] == [1, 3]


def test_a_solver_is_held_to_its_seconds():
    given = []

    def solver(problem, instance, seconds, rng, start=None, stop=None):
        given.append(seconds)
        return Solution(np.zeros((0, 2), np.int32), 0.0)

    contest(Toy(), ROOMS, {"x": within(solver, 0.25)})
    assert given == [0.25, 0.25]


@pytest.mark.parametrize(("objective", "expected"), [(-3.0, "start"), (-2.0, "policy")])
def test_a_policy_as_a_solver_is_no_worse_than_its_start(objective, expected):
    start = Solution(np.zeros((0, 2), np.int32), objective, found_by="start")
    policy = PolicySolver(lambda rng: first_fit)
    found = policy(Toy(), ROOMS[1][1], 1.0, np.random.default_rng(0), start)
    assert found.objective == -3
    assert (found is start) == (expected == "start")


def test_the_machine_is_named():
    assert " x " in machine()


def test_processes_find_what_one_finds():
    contenders = {"first_fit": acting(lambda rng: first_fit), "random": acting(random_legal)}
    alone, together = (contest(Toy(), ROOMS, contenders, seed=3, seeds=2, processes=n) for n in (1, 2))
    timeless = [[replace(row, wall=0, cpu=0, peak_mb=0) for row in rows] for rows in (alone, together)]
    assert timeless[0] == timeless[1]
    assert [row.seed for row in alone] == [3, 3, 4, 4, 3, 3, 4, 4]


def test_a_solver_that_looks_at_the_clock_gets_the_same_work_every_time():
    def searching(problem, instance, rng):
        looks, began = 0, perf_counter()
        while perf_counter(0.01) - began < 0.2:
            looks += 1
        return Solution(np.tile([[0, 0]], (looks, 1)), 0.0)

    assert [row.decisions for row in contest(Toy(), ROOMS, {"x": searching})] == [19, 19]


def test_a_row_holds_the_memory_that_a_contender_needed():
    def greedy_for_memory(problem, instance, rng):
        np.ones(40_000_000)
        return Solution(np.zeros((0, 2), np.int32), 0.0)

    row = judge(Toy(), "one", ROOMS[0][1], "x", greedy_for_memory, None)
    assert np.isnan(row.peak_mb) or 250 < row.peak_mb < 700  # 320 MB; NaN where the system does not say


def test_a_row_holds_the_problems_own_figures():
    (row,) = contest(Toy(), ROOMS[1:], {"first_fit": acting(lambda rng: first_fit)})
    assert row.figures["placed"] == 3


def test_a_contest_that_was_stopped_goes_on_where_it_was(tmp_path):
    met = []

    def stopping(problem, instance, rng):
        met.append(float(rng.random()))
        if len(met) == 3:
            raise KeyboardInterrupt
        return Solution(np.zeros((0, 2), np.int32), 0.0)

    def held(folder):
        kept = Kept(tmp_path / folder, "key", lambda line: None)
        rounds = [{"x": Entrant(stopping)}]
        with local_pool(contest := Contest(Toy(), ROOMS, rounds)) as pool:
            return [replace(row, wall=0, cpu=0, peak_mb=0) for row in contest.held(pool, 0, 2, kept=kept)]

    with pytest.raises(KeyboardInterrupt):
        held("stopped")
    met += [0.0]  # never three again
    rows = held("stopped")
    assert len(met) == 3 + 1 + 2  # two meetings were kept, two are held now
    assert rows == held("whole")
    assert [row.bound for row in rows] == [-np.inf] * 4
