"""Which engine trains: what is refused, in one line, before anything is written."""

import pytest


@pytest.fixture
def file(tiny, tmp_path):
    def make(agent="ppo"):
        path = tmp_path / f"{agent}.toml"
        path.write_text(tiny(agent).to_toml())
        return path

    return make


def test_an_unknown_engine(file, fails):
    assert "--engine: expected local or ray, got 'spark'" in fails("train", file(), "--engine", "spark")


def test_without_ray_one_line_says_what_to_install(file, fails, monkeypatch):
    monkeypatch.setattr("allocenv.agents.engines.find_spec", lambda name: None)
    for command in ("train", "tune"):
        assert "pip install 'allocenv[ray]'" in fails(command, file(), "--engine", "ray")


def test_an_address_without_a_cluster_engine(file, fails):
    assert "--address: expected --engine ray" in fails("train", file(), "--address", "there:6379")


@pytest.mark.parametrize(
    ("agent", "options", "message"),
    [
        ("dqn", (), "two_stage, ppo, maskable_ppo, game_ppo, got 'dqn', which trains with --engine local"),
        ("ppo", ("--env-runners", 3), "--env-runners: expected a divisor of train.n_envs, 2, got 3"),
        ("ppo", ("--learners", 3), "--learners: expected a divisor of n_steps * n_envs, 16, got 3"),
    ],
)
def test_work_that_cannot_be_shared(file, fails, agent, options, message):
    pytest.importorskip("ray")
    assert message in fails("train", file(agent), "--engine", "ray", *options)


def test_a_cluster_that_is_not_there(file, fails):
    pytest.importorskip("ray")
    message = fails("train", file(), "--engine", "ray", "--address", "127.0.0.1:1")
    assert "--address: no Ray cluster answers at 127.0.0.1:1" in message
