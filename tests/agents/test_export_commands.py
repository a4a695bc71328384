"""`allocenv export`: what can be exported, and what it needs."""

import pytest
from typer.testing import CliRunner

from allocenv.agents.cli import app


def test_the_command_tells_what_can_be_exported():
    told = CliRunner().invoke(app, ["export", "--help"])
    assert told.exit_code == 0
    assert "weights" in told.output


def test_a_folder_that_is_no_run_is_a_clear_error(tmp_path):
    told = CliRunner().invoke(app, ["export", "weights", str(tmp_path), "--name", "a"])
    assert isinstance(told.exception, ValueError | FileNotFoundError)
    with pytest.raises(type(told.exception), match=r"config\.toml|run"):
        raise told.exception
