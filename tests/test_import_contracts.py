"""Who imports whom."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import allocenv.agents

ROOT = Path(__file__).parents[1]


def test_the_agents_are_importable_from_the_folder_at_the_top():
    # `allocenv/agents` is a link: the folder stands beside the library it uses, and imports as a part of it.
    assert (ROOT / "allocenv" / "agents").resolve() == ROOT / "agents"
    assert Path(allocenv.agents.__file__).resolve() == ROOT / "agents" / "__init__.py"


def test_rings_import_inwards_only():
    """The contracts in pyproject.toml, which import-linter reads."""
    program = shutil.which("lint-imports", path=str(Path(sys.executable).parent)) or shutil.which("lint-imports")
    if program is None:
        pytest.skip("needs import-linter: pip install -e '.[dev]'")
    checked = subprocess.run(
        [program, "--no-cache"], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "0 broken" in checked.stdout
