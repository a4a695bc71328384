"""The bars on learnt results: trainings of several seeds, and the matrix of sizes."""

import json

import numpy as np
import pytest

from allocenv.problems.task import bars, zero_shot_bar
from allocenv.problems.task.problem import Task
from allocenv.problems.task.rounds.situation import situation_of
from allocenv.problems.task.seeds import trained_seeds


class Session:
    """Trains nothing: what comes of seed s is the shipped policy, of seed 1 idleness."""

    def __init__(self):
        self.asked = []

    def trained(self, config, minutes, seed):
        self.asked.append((config, minutes, seed))

        def solver(problem, mission, seconds, rng):
            entry = problem.solvers["learnt"].solver
            found = entry(problem, mission, 10.0, rng)
            return found if seed != 1 else type(found)(found.actions[:0], 0.0)

        return None, solver


def test_every_training_is_judged_on_every_mission():
    session, problem = Session(), Task("almighty")
    missions = [mission for _, mission in problem.instance_set("default")][:2]
    found = trained_seeds(session, problem, missions, 3, 0.5)
    assert session.asked == [("configs/task/teams_almighty.toml", 0.5, seed) for seed in range(3)]
    assert found.figures.tolist() == [[35.0, 35.0], [0.0, 0.0], [35.0, 35.0]]
    assert "3 training seeds: 35.00, 0.00, 35.00" in str(found)


def test_the_mean_of_the_trainings_decides():
    """Greedy earns 35 too: the mean of three, one of them idle, is 2/3 of it."""
    problem = Task("almighty")
    missions = [mission for _, mission in problem.instance_set("default")][:2]
    seeds = trained_seeds(Session(), problem, missions, 3, 0.5)
    measured = bars._compared(Session(), problem, missions, (bars.Against("greedy", 0.7),), seeds)
    assert not measured.passed
    assert "0.667 [0.667, 0.667] times as much" in measured.figure
    again = bars._compared(Session(), problem, missions, (bars.Against("greedy", 0.6),), seeds)
    assert again.passed
    assert json.loads(json.dumps(again.values))["greedy"]["figures"] == [35.0, 35.0]


def test_the_timed_genetic_algorithm_takes_the_time_it_is_given():
    problem = Task()
    state = problem.empty(1)
    problem.fill(state, 0, problem.draw(np.random.default_rng(0)))
    x = situation_of(problem.rules, state.model, 0)
    allocate, rng = zero_shot_bar.TimedGenetic(0.004), np.random.default_rng(0)
    nets = [x.net(allocate(x, rng)) for _ in range(50)]
    assert min(nets) > 0
    assert allocate.spent / allocate.rounds == pytest.approx(0.004, rel=0.5)


def test_a_cell_holds_what_all_three_earn(monkeypatch):
    (cell, _) = zero_shot_bar.measured((20,), (3,), 2)
    assert (cell.entities, cell.slots, cell.missions) == (20, 3, 2)
    assert set(cell.nets) == {zero_shot_bar.LEARNT, zero_shot_bar.EQUAL, zero_shot_bar.TENFOLD}
    monkeypatch.setattr(zero_shot_bar, "measured", lambda *sizes: [cell])
    measured = zero_shot_bar.matrix(None)
    assert f"{cell.distribution} 20x3 {zero_shot_bar.share(cell, zero_shot_bar.EQUAL):.2f}" in measured.figure
