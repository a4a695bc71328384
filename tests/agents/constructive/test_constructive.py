"""Training of scorers: it improves, repeats itself, goes on where it was, and its files are checked."""

import dataclasses
import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from allocenv.agents.checkpoint import CheckpointError
from allocenv.agents.config import ConfigError
from allocenv.agents.constructive.__main__ import summary
from allocenv.agents.constructive.config import ConstructiveConfig
from allocenv.agents.constructive.files import load_card, load_config, load_scorer, load_state, save_state, ship
from allocenv.agents.constructive.training import Learner, advantages, validate
from allocenv.agents.pretrained import FOLDER
from allocenv.core.construction import Scorer

TINY = ConstructiveConfig.from_dict(
    {
        "construction": "allocenv.problems.task.routing.construction:RoutingConstruction",
        "params": {"family": "heteromrta"},
        "n_hidden": 2,
        "updates": 30,
        "instances": 4,
        "samples": 16,
        "learning_rate": 0.1,
        "validation": 12,
        "temperatures": [1.0],
    }
)


def trained(config, updates):
    learner, construction = Learner.begin(config), config.make()
    for _ in range(updates):
        learner.update(construction)
    return learner


def test_a_few_seconds_of_training_improve_on_random_weights():
    learner, construction = Learner.begin(TINY), TINY.make()
    learner.weights = 0.1 * np.random.default_rng(0).normal(size=learner.weights.size)
    before = validate(TINY, learner.weights)
    while not learner.finished:
        learner.update(construction)
    after = validate(TINY, learner.weights)
    assert after.one_pass < 0.95 * before.one_pass
    assert after.sampled[1.0] < 0.95 * before.sampled[1.0]


def test_the_same_seed_gives_the_same_weights_and_another_one_others():
    one, two = (trained(TINY, 3).weights for _ in range(2))
    assert (one == two).all()
    assert (trained(dataclasses.replace(TINY, seed=1), 3).weights != one).any()


def test_a_resumed_training_ends_where_an_unbroken_one_does(tmp_path):
    path = tmp_path / "run" / "state.safetensors"
    save_state(trained(TINY, 2), path)
    learner, construction = load_state(TINY, path), TINY.make()
    assert learner.done == 2
    learner.update(construction)
    unbroken = trained(TINY, 3)
    assert (learner.weights == unbroken.weights).all()
    assert learner.history == unbroken.history


def test_a_state_of_another_config_is_refused(tmp_path):
    path = tmp_path / "state.safetensors"
    save_state(Learner.begin(TINY), path)
    with pytest.raises(CheckpointError, match=r"state.safetensors: learning_rate: found 0.1, expected 0.5"):
        load_state(dataclasses.replace(TINY, learning_rate=0.5), path)
    assert load_state(dataclasses.replace(TINY, temperatures=(2.0,)), path).done == 0


def test_samples_better_than_the_mean_gain_and_the_best_few_most():
    cost = np.array([4.0, 3.0, 2.0, 1.0])
    # All against the mean 2.5: 1.5 below it for the best, deviation sqrt(1.25).
    assert advantages(cost, 0.25, 1.0) == pytest.approx((2.5 - cost) / np.sqrt(1.25))
    # Elite: the quartile is 1.75, only the last lies below it.
    elite = advantages(cost, 0.25, 0.0)
    assert (elite[:3] == 0).all()
    assert elite[3] > 0
    assert (advantages(np.full(4, 2.0), 0.25, 0.5) == 0).all()


@pytest.mark.parametrize("name", ["task_gap", "task_dcmrta", "task_heteromrta"])
def test_shipped_weights_give_the_figures_of_their_card(name):
    path = FOLDER / f"{name}.safetensors"
    scorer, card, config = load_scorer(path), load_card(path), load_config(path)
    found = validate(dataclasses.replace(config, temperatures=(scorer.temperature,)), scorer.weights, 3)
    told = card["held_out_first_three"]
    assert found.one_pass == pytest.approx(told["one_pass"], rel=1e-9)
    assert found.sampled[scorer.temperature] == pytest.approx(told["best_of_64"][str(scorer.temperature)], rel=1e-9)


def test_cards_tell_figures_of_all_seeds_with_an_interval():
    # Deviation of 1..5 is sqrt(2.5); t of 4 degrees of freedom is 2.776; half the interval 2.776 * sqrt(2.5 / 5).
    told = summary([{"gap": float(k)} for k in range(1, 6)], 1)["gap"]
    assert told["shipped"] == 2
    assert told["mean"] == 3
    assert [told["low"], told["high"]] == pytest.approx([3 - 1.963, 3 + 1.963], abs=1e-3)
    assert summary([{}], 0) == {}


def test_without_the_data_of_a_benchmark_there_are_no_figures(monkeypatch, tmp_path):
    monkeypatch.setenv("ALLOCENV_DATA", str(tmp_path))
    named = dataclasses.replace(TINY, benchmark="allocenv.problems.task.routing.bars:heteromrta_figures")
    for config in (TINY, named):
        assert config.figures(Scorer(np.zeros(1), 0, 1.0)) == {}


def test_wrong_weights_are_named(tmp_path):
    learner = Learner.begin(TINY)
    config = dataclasses.replace(TINY, validation=1)
    path = ship(learner, validate(config, learner.weights), "weights", tmp_path, {})
    assert (load_scorer(path).weights == learner.weights).all()
    with pytest.raises(CheckpointError, match="file that can be read"):
        load_scorer(tmp_path / "others.safetensors")
    path.unlink()
    with pytest.raises(CheckpointError, match="to exist"):
        load_scorer(path)
    save_file({"weights": learner.weights[:-1].copy()}, path)
    with pytest.raises(CheckpointError, match=r"weights.safetensors: weights: found .*, expected float64 \[56\]"):
        load_scorer(path)
    save_file({"w": learner.weights}, path)
    with pytest.raises(CheckpointError, match="one called 'weights'"):
        load_scorer(path)
    save_file({"weights": np.full_like(learner.weights, np.nan)}, path)
    with pytest.raises(CheckpointError, match="not finite"):
        load_scorer(path)
    path.write_bytes(b"no safetensors")
    with pytest.raises(CheckpointError, match="whole safetensors"):
        load_scorer(path)
    (tmp_path / "weights.json").write_text(json.dumps({"agent": "two_stage"}))
    with pytest.raises(CheckpointError, match="agent: found 'two_stage', expected 'constructive'"):
        load_scorer(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"updats": 3}, "updats: found 3, expected one of the keys"),
        ({"updates": "three"}, "updates: found 'three', expected int"),
        ({"elite": 2.0}, "Expected elite from 1e-06 to 1"),
        ({"params": {"family": "vrp"}}, "Expected a family"),
        ({"construction": "allocenv.nothing:Nothing"}, "No module named"),
        ({"benchmark": "allocenv.core:nothing"}, "nothing"),
        ({"temperatures": [0.0]}, "Expected temperatures above 0"),
    ],
)
def test_a_wrong_config_is_named(change, message):
    with pytest.raises(ConfigError, match=message):
        ConstructiveConfig.from_dict({**TINY.to_dict(), **change}, "tiny.toml")


@pytest.mark.parametrize("name", ["gap", "dcmrta", "heteromrta"])
def test_the_shipped_configs_load(name):
    config = ConstructiveConfig.load(FOLDER.resolve().parents[1] / "configs" / "task" / f"{name}.toml", seed=3)
    assert config.seed == 3
    assert config.make().n_features > 10
