"""Paper mode against its plain-Python twin, on the published constants: the same numbers at every step."""

import json

import numpy as np
import pytest
from real_data import real_data
from task_paper_reference import ElectricTwin, GridTwin

from allocenv.core.batch import Batch
from allocenv.problems.task.heuristics import RULES, TeamPolicy, play
from allocenv.problems.task.paper import electric, grid
from allocenv.problems.task.paper.constants import constants
from allocenv.problems.task.problem import Task


@pytest.fixture(scope="module")
def presets():
    return json.loads(real_data("task/taskalloc_presets.json").read_text())


def environments(name, n=1, columns=4):
    x = constants(name)
    paper = grid.empty_paper(n, len(x.start), 5, columns)
    for b in range(n):
        grid.reset_row(x, paper, b)
    return x, paper


def random_targets(rng, m):
    """Everybody to a slot, some nowhere."""
    return rng.integers(-1, 5, m).astype(np.int32)


@pytest.mark.parametrize(("name", "hold"), [("rbf", 10), ("rbf", 3), ("material", 60), ("material", 12)])
def test_a_grid_step_is_the_published_one(presets, name, hold):
    x, paper = environments(name)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        grid.reset_row(x, paper, 0)
        twin = GridTwin(presets[name], name == "material")
        done, paid = False, 0
        while not done:
            if twin.epoch % hold == 0:
                target = random_targets(rng, len(x.start))
            reward, value, done = twin.step(target.tolist())
            grid.step_row(x, paper, target[None], 0)
            assert paper.reward[0] == pytest.approx(reward, abs=1e-12)
            assert paper.value[0] == pytest.approx(value, abs=1e-12)
            assert paper.done[0] == done
            assert paper.pos[0].tolist() == twin.pos
            np.testing.assert_array_equal(paper.rows[0], [row for row, _ in twin.slots])
            paid += value > 0
        assert paid > 0


def test_an_electric_step_is_the_published_one(presets):
    x, paper = environments("electric")
    for seed in range(6):
        rng = np.random.default_rng(seed)
        grid.reset_row(x, paper, 0)
        twin = ElectricTwin(presets["electric"])
        done = False
        while not done:
            target = random_targets(rng, 20)
            reward, value, done = twin.step(target.tolist())
            electric.step_row(x, paper, target[None], 0)
            assert paper.reward[0] == pytest.approx(reward, abs=1e-9)
            assert paper.value[0] == pytest.approx(value, abs=1e-9)
            assert paper.done[0] == done
            assert paper.idle[0].tolist() == twin.idle
            np.testing.assert_allclose(paper.rows[0], twin.slots)


@pytest.mark.parametrize("preset", ["rbf", "material", "electric"])
def test_teams_of_the_model_earn_what_the_published_step_pays(presets, preset):
    """The rule's teams are read off the model at each wait and sent to the twin until time moves on."""
    problem = Task(preset=preset, mode="paper", period=1.0)
    batch = Batch(problem, 1)
    batch.reset(seed=0)
    twin = ElectricTwin(presets[preset]) if preset == "electric" else GridTwin(presets[preset], preset == "material")
    act, model, net = TeamPolicy(RULES["greedy"], np.random.default_rng(0)), batch.state.model, 0.0
    while not model.over[0]:
        action = act(batch)
        if tuple(action[0]) == problem.stop:
            held = model.alloc.bin_of[0]
            closed = np.append(model.phase[0] == 2, False)
            net += twin.step(np.where(closed[held], held, -1).tolist())[0]
        batch.step(action)
        problem.check(batch.state, 0)
        assert model.net[0] == pytest.approx(net, abs=1e-9)
    assert net > 20


@pytest.mark.usefixtures("presets")
def test_the_heuristics_reach_their_known_levels_on_the_published_rbf():
    """Facts, section 7: random 27.7, greedy 56.9, patience 68.0 (their team builder differs from ours)."""
    problem = Task(preset="rbf", mode="paper")
    mission = problem.draw(np.random.default_rng(0))
    assert -play(problem, [mission] * 8, RULES["random_teams"]).mean() == pytest.approx(27.7, abs=4)
    assert -play(problem, [mission], RULES["greedy"])[0] == pytest.approx(56.9, abs=3)
    assert -play(problem, [mission], RULES["patience"])[0] > 62


@pytest.mark.usefixtures("presets")
def test_paper_mode_takes_no_other_rules():
    with pytest.raises(ValueError, match="without horizon"):
        Task(mode="paper", horizon=50.0)
    with pytest.raises(ValueError, match="paper mode is of"):
        Task("dcmrta", mode="paper")
    with pytest.raises(ValueError, match="variant"):
        Task(mode="paper", source="somewhere.json")
