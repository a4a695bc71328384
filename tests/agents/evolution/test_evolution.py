"""The evolution strategy on a known function, and the agent on small missions."""

import numpy as np
import pytest

from allocenv.agents.config import ConfigError, RunConfig
from allocenv.agents.evolution.strategy import Strategy
from allocenv.agents.train import load_agent, train


def small(**changes):
    values = {
        "problem": "task",
        "agent": "evolution",
        "params": {"n_tasks": 6},
        "train": {"total_steps": 90, "figures": False, "checkpoint_every": 30},
        "agent_params": {"population": 4, "step_size": 0.2, "course": {"missions": 6, "patience": 0.05}},
    }
    return RunConfig.from_dict(values | changes)


def test_the_strategy_finds_the_top_of_a_tilted_hill():
    """-(x - a)' H (x - a) with axes of curvature 1 to 100."""
    top, curvature = np.array([1.0, -2.0, 0.5, 3.0]), np.logspace(0, 2, 4)
    strategy = Strategy(np.zeros(4), 0.5, 12, 0.0)
    rng = np.random.default_rng(0)
    for _ in range(150):
        tried = strategy.draw(rng)
        strategy.learn(tried, -(((tried - top) ** 2) * curvature).sum(axis=1))
    np.testing.assert_allclose(strategy.mean, top, atol=1e-3)


def test_a_step_never_gets_smaller_than_its_floor():
    strategy = Strategy(np.zeros(3), 0.1, 4, 0.05)
    rng = np.random.default_rng(0)
    for _ in range(50):
        tried = strategy.draw(rng)
        strategy.learn(tried, -(tried**2).sum(axis=1))
        assert strategy.size >= 0.05


def test_a_short_training_improves(tmp_path):
    """It starts at too little patience: few tasks are done in time."""
    config = small(train={"total_steps": 900, "figures": False})
    train(config, tmp_path, progress=False)
    agent = load_agent(tmp_path, "last")
    both = np.stack([agent.course.start(), agent.strategy.mean])
    start, learnt = agent.course.returns(both, np.random.default_rng(99)).mean(axis=1)
    assert learnt > start


def test_the_same_seed_gives_the_same_numbers_and_a_resumed_run_too(tmp_path):
    once = train(small(), tmp_path / "once", progress=False)
    part = small(train={"total_steps": 30, "figures": False, "checkpoint_every": 30})
    train(part, tmp_path / "twice", progress=False)
    train(small(), tmp_path / "twice", progress=False)
    a, b = (load_agent(tmp_path / name, "last").strategy.mean for name in ("once", "twice"))
    np.testing.assert_array_equal(a, b)
    assert once.step == 90
    other = train(small(seed=1), tmp_path / "other", progress=False)
    assert other.step == 90
    assert not np.array_equal(load_agent(tmp_path / "other", "last").strategy.mean, a)


def test_a_problem_without_a_course_and_wrong_settings_are_named(tmp_path):
    with pytest.raises(ConfigError, match="no course"):
        train(small(problem="vm", params={}), tmp_path, progress=False)
    wrong = {"course": {"misions": 3}}
    with pytest.raises(ConfigError, match="course"):
        train(small(agent_params=wrong), tmp_path / "b", progress=False)
