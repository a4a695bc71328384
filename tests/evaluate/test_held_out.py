"""Held-out instances: always the same, and never those of a training."""

import numpy as np
import pytest
from real_data import real_data
from toy_problem import Toy

from allocenv.agents.config import MAX_SEED, ConfigError, RunConfig
from allocenv.core.batch import Batch
from allocenv.core.solver import Entry, Solution
from allocenv.evaluate.held_out import HELD_OUT_SEED, HeldOut, opponents
from allocenv.heuristics import first_fit, random_legal
from allocenv.problems.vm.problem import VM


class Recorded(Toy):
    """The toy that notes which generators draw its instances."""

    def draw(self, rng):
        self.__dict__.setdefault("drawn", []).append(tuple(rng.integers(2**63, size=2).tolist()))
        return super().draw(np.random.default_rng(0))


def test_they_are_always_the_same():
    first, again = HeldOut(Toy(), 5), HeldOut(Toy(), 5)
    assert [room.tolist() for room in first.instances] == [room.tolist() for room in again.instances]
    more = HeldOut(Toy(), 8)
    assert [room.tolist() for room in more.instances[:5]] == [room.tolist() for room in first.instances]


def test_no_training_draws_from_their_generators():
    held_out, trained = Recorded(), Recorded()
    HeldOut(held_out, 16)
    for seed in (0, 1, 16, MAX_SEED):
        Batch(trained, 32, seed).reset()
    assert len(set(held_out.drawn)) == 16
    assert not set(held_out.drawn) & set(trained.drawn)


def test_no_training_may_take_a_seed_of_the_instances_that_are_judged_on():
    assert MAX_SEED < 500_000 < HELD_OUT_SEED
    RunConfig.from_dict({"problem": "vm", "agent": "ppo", "seed": MAX_SEED})
    for seed in (-1, 500_000, HELD_OUT_SEED):
        with pytest.raises(ConfigError, match=r"seed: found"):
            RunConfig.from_dict({"problem": "vm", "agent": "ppo", "seed": seed})


@pytest.mark.data
def test_training_on_t1_does_not_begin_with_t1_itself():
    real_data("vm/bytedance/medium.json.gz")
    # NumPy makes the same generator of `seed` and of [seed, 0], the first row of a batch.
    problem = VM(source="t1")
    _, judged = next(problem.instance_set("t1"))
    drawn = problem.draw(np.random.default_rng([0, 0]))
    assert (judged.n_vms, judged.bin_of.tolist()) != (drawn.n_vms, drawn.bin_of.tolist())


def test_a_policy_is_judged_by_the_metrics_at_the_end_of_its_episodes():
    held_out = HeldOut(Toy(), 6)
    means = held_out(first_fit)
    rooms = [min(int(room.sum()), 3) for room in held_out.instances]
    assert means["placed"] == pytest.approx(np.mean(rooms))
    # Items 0, 1, 2 in turn earn 1, 2, 3.
    assert means["return"] == pytest.approx(np.mean([n * (n + 1) / 2 for n in rooms]))


def test_random_and_first_fit_meet_the_same_instances():
    held_out = HeldOut(Toy(), 6)
    assert held_out(random_legal(np.random.default_rng(0)))["placed"] == held_out(first_fit)["placed"]


def test_opponents_are_the_problems_own_solvers_within_their_seconds():
    given = []

    def solver(problem, instance, seconds, rng, start=None, stop=None):
        given.append(seconds)
        return Solution(np.zeros((0, 2), np.int32), float(instance.sum()))

    problem = Toy()
    problem.__dict__["solvers"] = {"known": Entry(solver, "quick")}
    held_out = HeldOut(problem, 3)
    found = opponents(held_out, {"known": 0.5, "unknown": 1.0})
    assert found == {"known": {"objective": np.mean([room.sum() for room in held_out.instances])}}
    assert given == [0.5] * 3
