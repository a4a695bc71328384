"""The table [search] of a config: read as strictly as the rest, left out of what is trained and written."""

import pytest

from allocenv.agents.config import ConfigError, RunConfig
from allocenv.agents.tuning.ranges import Range

TEXT = """
problem = "vm"
agent = "ppo"
[train]
learning_rate = 1e-3
[search]
"train.learning_rate" = { low = 1e-5, high = 1e-3, log = true }
"agent_params.n_epochs" = { low = 1, high = 7, step = 2 }
"agent_params.normalize_advantage" = { choices = [true, false] }
"params.n_pms" = { low = 2, high = 4 }
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(TEXT)
    return path


class Asked:
    """Stands for an Optuna trial: tells how it was asked."""

    def __getattr__(self, name):
        return lambda *args, **kwargs: (name, args, kwargs)


def test_ranges_are_whole_real_or_choices(file):
    search = RunConfig.load(file).search
    assert search["train.learning_rate"] == Range(1e-5, 1e-3, log=True)
    asked = [values.suggest(Asked(), key) for key, values in search.items()]
    assert asked == [
        ("suggest_float", ("train.learning_rate", 1e-5, 1e-3), {"step": None, "log": True}),
        ("suggest_int", ("agent_params.n_epochs", 1, 7), {"step": 2, "log": False}),
        ("suggest_categorical", ("agent_params.normalize_advantage", (True, False)), {}),
        ("suggest_int", ("params.n_pms", 2, 4), {"step": 1, "log": False}),
    ]


def test_a_training_leaves_the_search_out(file, tmp_path):
    config = RunConfig.load(file)
    assert "search" not in config.to_dict()
    written = tmp_path / "config.toml"
    written.write_text(config.to_toml())
    assert RunConfig.load(written, ["name=small-seed0"]) == config
    assert RunConfig.load(written).search == {}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('"train.learning_rat" = {low = 1, high = 2}', r"train.learning_rat: .*did you mean `learning_rate`"),
        ('"agent_params.n_step" = {low = 1, high = 2}', r"agent_params.n_step: .*did you mean `n_steps`"),
        ('"params.n_pm" = {low = 1, high = 2}', r"params.n_pm: .*did you mean `n_pms`"),
        ('"seed" = {low = 1, high = 2}', r"search.seed: .*quoted key such as"),
        ('"trane.n_envs" = {low = 1, high = 2}', r"search.trane.n_envs: .*quoted key such as"),
        ("train.n_envs = {low = 1, high = 2}", r"search.train: .*quoted key such as"),
        ('"train.n_envs" = 3', r"search.train.n_envs: found 3, expected a table"),
        ('"train.n_envs" = {low = 2}', r"expected low and high, or choices"),
        ('"train.n_envs" = {low = 2, high = 2}', r"finite numbers low < high"),
        ('"train.n_envs" = {low = "a", high = 2}', r"expected low to be a number"),
        ('"train.n_envs" = {low = true, high = 2}', r"expected low to be a number"),
        ('"train.n_envs" = {low = 1, high = 2, lag = true}', r"expected the keys low, .* not 'lag'"),
        ('"train.n_envs" = {low = 1, high = 8, step = 0}', r"a step above 0"),
        ('"train.n_envs" = {low = 1, high = 8, step = 0.5}', r"a step that is an integer"),
        ('"train.n_envs" = {low = 1.5, high = 8}', r"search.train.n_envs: found 1.5, expected an integer"),
        ('"train.n_envs" = {low = 0, high = 8}', r"search.train.n_envs: .* n_envs from 1 to .*, got 0"),
        ('"train.learning_rate" = {low = 0, high = 1, log = true}', r"low above 0 and no step"),
        ('"train.learning_rate" = {low = 1e-4, high = inf}', r"finite numbers"),
        ('"train.learning_rate" = {low = 1e-4, high = 1e9}', r"learning_rate from .* got 1000000000"),
        ('"train.device" = {choices = []}', r"choices to be a list of"),
        ('"train.device" = {choices = ["cpu", "abacus"]}', r"device such as cpu"),
        ('"train.n_envs" = {choices = [1, 1]}', r"choices that differ"),
        ('"train.n_envs" = {choices = [1], low = 1}', r"either choices, or low and high"),
    ],
)
def test_a_wrong_entry_is_named_with_what_was_expected(tmp_path, entry, message):
    path = tmp_path / "config.toml"
    path.write_text(f'problem = "vm"\nagent = "ppo"\n[search]\n{entry}\n')
    with pytest.raises(ConfigError, match=message):
        RunConfig.load(path)


def test_a_search_that_is_no_table(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('problem = "vm"\nagent = "ppo"\nsearch = 3\n')
    with pytest.raises(ConfigError, match=r"search: found 3, expected a table"):
        RunConfig.load(path)
