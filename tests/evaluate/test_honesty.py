"""A wrong method cannot look good: who knows the future, or was trained on what it is judged on, is caught."""

from dataclasses import dataclass

import numpy as np
import pytest
from toy_problem import Toy

from allocenv.core.fingerprint import fingerprint
from allocenv.core.solver import Solution
from allocenv.evaluate.contest import acting, judge, within
from allocenv.evaluate.honesty import DOES_NOT_REPEAT, READS_THE_FUTURE, reads_the_future, trained_on, warnings_of
from allocenv.heuristics import first_fit, random_legal
from allocenv.problems import PROBLEMS


@dataclass(frozen=True)
class Weather(Toy):
    """The toy with a third number in each instance, tomorrow's weather, which nothing shows."""

    def draw(self, rng):
        return rng.integers(1, 3, 3)

    def fill(self, state, b, instance):
        super().fill(state, b, instance[:2])

    def holding(self, instances):
        return self

    def other_future(self, instance, rng):
        return np.array([*instance[:2], 3 - instance[2]])


FINE, STORM = np.array([2, 1, 1]), np.array([2, 1, 2])


def peeking(problem, instance, rng):
    """Looks at the weather before it chooses the bin."""
    return Solution(np.array([[0, instance[2] - 1]], np.int32), 0.0)


def test_who_acts_by_what_nobody_can_know_is_caught():
    assert reads_the_future(Weather(), [FINE], peeking)
    assert warnings_of(Weather(), [FINE, STORM], {"peek": peeking}) == {"peek": READS_THE_FUTURE}


def test_who_acts_by_what_is_to_be_seen_is_not():
    contenders = {"first_fit": acting(lambda rng: first_fit), "random": acting(random_legal)}
    assert warnings_of(Weather(), [FINE, STORM], contenders) == {}


def test_who_draws_from_elsewhere_is_told_from_who_reads_the_future():
    elsewhere = np.random.default_rng(0)

    def drawing(problem, instance, rng):
        return Solution(np.array([[int(elsewhere.integers(3)), 0] for _ in range(8)], np.int32), 0.0)

    assert warnings_of(Weather(), [FINE], {"x": drawing}) == {"x": DOES_NOT_REPEAT}


def test_oracles_may():
    assert warnings_of(Weather(), [FINE], {"oracle_peek": peeking}) == {}


def test_who_acts_otherwise_after_the_future_has_shown_itself_is_not_caught():
    # Item 0 goes where it always goes; then bins look otherwise, and so does what is done next.
    class Telling(Weather):
        def step(self, state, actions, out, lo, hi):
            super().step(state, actions, out, lo, hi)
            state.room[0, 1] = self.__dict__["weather"]

        def fill(self, state, b, instance):
            super().fill(state, b, instance)
            self.__dict__["weather"] = instance[2]

        def holding(self, instances):
            return Telling()

    def waiting(problem, instance, rng):
        return Solution(np.array([[0, 0], [1, instance[2] - 1]], np.int32), 0.0)

    assert not reads_the_future(Telling(), [FINE], waiting)


def test_where_nothing_is_hidden_nobody_can_read_it():
    assert not reads_the_future(Toy(), [FINE[:2]], peeking_blindly)


def peeking_blindly(problem, instance, rng):
    return Solution(np.array([[0, instance[0] - 1]], np.int32), 0.0)


def test_a_plan_that_the_environment_refuses_is_found_by_its_replay():
    row = judge(Toy(), "one", np.array([1, 0]), "x", lambda *_: Solution(np.array([[0, 1]], np.int32), -9.0), None)
    assert not row.legal
    assert row.objective == 0


def test_a_training_on_the_judged_instances_is_caught():
    @dataclass(frozen=True)
    class Few(Toy):
        first: int = 0

        def draw(self, rng):
            return np.array([1, 1 + int(rng.integers(3)) + 10 * self.first])

    judged = [np.array([1, 2]), np.array([1, 3])]
    assert trained_on(Toy(), Few(), judged, seed=0)
    assert not trained_on(Toy(), Few(first=1), judged, seed=0)


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_sets_to_judge_by_share_nothing_with_training_or_validation(name):
    problem = PROBLEMS.find(name)()
    judged = [instance for _, instance in problem.instance_set("default")]
    assert not trained_on(problem, problem, judged, seed=0)
    other = "training" if name == "task" else "validation"
    chosen_by = {fingerprint(instance) for _, instance in problem.instance_set(other)}
    assert not chosen_by & {fingerprint(instance) for instance in judged}


@pytest.mark.parametrize("name", ["storage", "task", "budget"])
def test_rules_that_know_only_the_present_pass_in_every_problem_with_a_future(name):
    problem = PROBLEMS.find(name)()
    chosen = [instance for _, instance in list(problem.instance_set("default"))[:1]]
    quick = {key: within(entry.solver, 0.2) for key, entry in problem.solvers.items() if entry.part == "quick"}
    assert warnings_of(problem.holding(chosen), chosen, quick) == {}


@pytest.mark.parametrize("name", ["storage", "task", "budget"])
def test_another_future_looks_the_same_at_first_and_is_another(name):
    problem = PROBLEMS.find(name)()
    instance = next(instance for _, instance in problem.instance_set("default"))
    other = problem.other_future(instance, np.random.default_rng(0))
    assert fingerprint(other) != fingerprint(instance)
    seen = [one_observation(problem, each) for each in (instance, other)]
    assert all(np.array_equal(a, b) for a, b in zip(*seen, strict=True))


def one_observation(problem, instance):
    from allocenv.core.batch import Batch

    batch = Batch(problem.holding([instance]), 1)
    batch.load([instance])
    return batch.observe()
