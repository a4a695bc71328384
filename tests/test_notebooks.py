"""Are the notebooks clean, short and fit to be executed? pytest executes them itself, through nbmake."""

import ast
import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
WORDS = 95  # of a cell of prose at most


def cells(path, kind):
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_output_is_stored(path):
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells(path, "code"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_prose_is_short_and_code_is_python(path):
    assert all(len("".join(cell["source"]).split()) <= WORDS for cell in cells(path, "markdown"))
    for cell in cells(path, "code"):
        ast.parse("".join(line for line in cell["source"] if not line.startswith("%")))


def test_each_notebook_is_in_the_readme():
    readme = (FOLDER.parent / "README.md").read_text()
    assert [path.name for path in NOTEBOOKS if f"(notebooks/{path.name})" not in readme] == []
