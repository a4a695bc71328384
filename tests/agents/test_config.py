"""Run configs: reading, checking, writing."""

import pytest

from allocenv.agents.config import ConfigError, RunConfig, TrainConfig
from allocenv.core.files import InputError

TEXT = """
problem = "vm"
agent = "ppo"
seed = 3
[params]
n_pms = 5
goal = 0
[train]
learning_rate = 1
[agent_params]
n_steps = 64
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(TEXT)
    return path


def test_a_file_states_only_what_differs(file):
    config = RunConfig.load(file)
    assert config.train == TrainConfig(learning_rate=1.0)
    assert isinstance(config.train.learning_rate, float)
    assert config.agent_params.n_steps == 64
    assert config.agent_params.batch_size == 256
    assert config.params == {"n_pms": 5, "goal": 0.0}
    assert config.make_problem().sizes.bins == 5


def test_a_run_is_called_after_its_file_and_seed(file):
    assert RunConfig.load(file).name == "small-seed3"
    assert RunConfig.load(file, ["seed=4"]).folder("here").as_posix() == "here/vm/ppo/small-seed4"
    assert RunConfig.load(file, ["name=mine"]).name == "mine"


def test_what_is_written_reads_back_equal(file, tmp_path):
    config = RunConfig.load(file, ["agent_params.target_kl=0.01", "params.objective='0.5*cpu:16 + 0.5*memory:64'"])
    written = tmp_path / "config.toml"
    written.write_text(config.to_toml())
    assert RunConfig.load(written) == config


def test_overrides_are_toml_values_or_else_strings(file):
    overrides = ["train.learning_rate=1e-4", "params.objective=cpu:32", "train.learning_rate_decay=true"]
    config = RunConfig.load(file, overrides)
    assert config.train.learning_rate == 1e-4
    assert config.train.learning_rate_decay is True
    assert config.params["objective"] == "cpu:32"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.learning_rat=1", r"small.toml: train.learning_rat: .*did you mean `learning_rate`"),
        ("agent_params.n_step=1", r"agent_params.n_step: .*did you mean `n_steps`"),
        ("params.n_pm=1", r"params.n_pm: .*did you mean `n_pms`"),
        ("sed=1", r"sed: .*did you mean `seed`"),
        ("agent=pop", r"agent: found 'pop', expected one of .*did you mean `ppo`"),
        ("problem=vn", r"problem: found 'vn', expected one of .*vm"),
        ("train.n_envs=many", r"train.n_envs: found 'many', expected an integer"),
        ("train.n_envs=true", r"train.n_envs: found True, expected an integer"),
        ("train.n_envs=1.5", r"train.n_envs: found 1.5, expected an integer"),
        ("train.learning_rate='x'", r"train.learning_rate: found 'x', expected a number"),
        ("train.learning_rate_decay=1", r"expected true or false"),
        ("params.goal='x'", r"params.goal: found 'x', expected a number"),
        ("train.n_envs=0", r"train: .* n_envs from 1 to .*, got 0"),
        ("train=3", r"train: found 3, expected a table"),
        ("name='../up'", r"name: .*names a folder"),
        ("nothing", r"--set: nothing: .*key=value"),
        ("seed.x=1", r"--set: seed.x: .*`seed` to be a table"),
    ],
)
def test_a_wrong_entry_is_named_with_what_was_expected(file, override, message):
    with pytest.raises(ConfigError, match=message):
        RunConfig.load(file, [override])


def test_parameters_the_problem_refuses_are_an_error_of_the_config(file):
    config = RunConfig.load(file, ["params.n_pms=0"])
    with pytest.raises(ConfigError, match=r"n_pms from 1 to .*, got 0"):
        config.make_problem()


def test_a_file_that_is_no_toml_is_named(tmp_path):
    path = tmp_path / "broken.toml"
    path.write_text("problem = ")
    with pytest.raises(ConfigError, match=r"broken.toml: the file"):
        RunConfig.load(path)


@pytest.mark.parametrize(
    ("agent", "override", "message"),
    [
        ("ppo", "agent_params.n_steps=0", r"n_steps from 1 to .*, got 0"),
        ("ppo", "agent_params.gamma=1.5", r"gamma from 0 to 1, got 1.5"),
        ("ppo", "agent_params.gamma=nan", r"gamma from 0 to 1, got nan"),
        ("two_stage", "agent_params.n_queries=0", r"n_queries >= 1, got 0"),
        ("two_stage", "agent_params.imitation_wander=2.0", r"wander in \[0, 1\]"),
        ("two_stage", "agent_params.lessons=[3]", r"agent_params.lessons: found \[3\], expected a list"),
        ("ppo", "train.device='abacus'", r"device such as cpu"),
        ("ppo", "seed=-1", r"seed: found -1, expected an integer from 0"),
        ("ppo", "params.source=3", r"params.source: found 3, expected a string"),
        ("ppo", "params.goal=inf", r"finite goal"),
    ],
)
def test_what_no_training_could_use_is_refused(tmp_path, agent, override, message):
    path = tmp_path / "config.toml"
    path.write_text(f'problem = "vm"\nagent = "{agent}"')
    with pytest.raises(ConfigError, match=message):
        RunConfig.load(path, [override]).make_problem()


def test_whatever_is_in_a_lesson_reads_back_equal(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('problem = "vm"\nagent = "two_stage"\nagent_params = {lessons = [{}, {"a b" = [1, 2024-01-02]}]}')
    config = RunConfig.load(path)
    path.write_text(config.to_toml())
    assert RunConfig.load(path) == config


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"missing.toml: file: found 'No such file"):
        RunConfig.load(tmp_path / "missing.toml")
