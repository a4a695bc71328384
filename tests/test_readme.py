"""No figure of the README without the results it was written from: tables are compared with what is stored here.

`make readme` writes both anew; a table changed by hand, or results without their table, fail.
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from allocenv.agents.evaluation import marks_of
from allocenv.core.results import read_results
from allocenv.evaluate.table import markdown_table

ROOT = Path(__file__).parents[1]
STORED = Path(__file__).parent / "data" / "readme"
ELSEWHERE = {"tiny_grpo": ROOT / "notebooks" / "tiny_grpo"}  # beside what wrote them
README = (ROOT / "README.md").read_text()
MARKS = re.findall(r"<!-- (\S+):start -->", README)


def between(mark):
    return README.partition(f"<!-- {mark}:start -->\n")[2].partition(f"<!-- {mark}:end -->")[0]


def first_figures(mark):
    """Name -> the first figure of its row, as text."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in between(mark).splitlines() if line[:1] == "|"]
    return {name: figure.split()[0] for name, figure, *_ in rows[2:]}


def told(value, text):
    """Whether the text is the value, to its own digits."""
    digits = len(text.partition(".")[2])
    return text == f"{value:.{digits}f}"


def test_every_table_has_its_results():
    assert {path.name for path in STORED.iterdir() if path.is_dir()} | set(ELSEWHERE) == set(MARKS)
    assert marks_of("vm") in MARKS


def test_tables_of_instance_sets_are_what_their_results_give():
    for mark in (mark for mark in MARKS if mark.endswith("-instances")):
        assert between(mark) == markdown_table(read_results(STORED / mark))


# Mark -> what the first figure of a row is, of a stored row.
FIRST = {
    "storage": lambda row: row.objective,
    "task": lambda row: -row.objective,
    "budget": lambda row: 100 * row.figures["gap"],
}


@pytest.mark.parametrize("mark", FIRST)
def test_the_first_figures_are_the_means_of_the_stored_rows(mark):
    results = read_results(STORED / mark)
    assert f"`{results.command}`" in between(mark)
    figures = first_figures(mark)
    assert set(figures) == set(results.contenders)
    for name, text in figures.items():
        assert told(np.mean([FIRST[mark](row) for row in results.rows if row.contender == name]), text), name


def test_the_tiny_models_leads_are_those_of_the_stored_runs():
    stored = json.loads((ELSEWHERE["tiny_grpo"] / "results.json").read_text())
    assert f"`{stored['command']}`" in between("tiny_grpo")
    lines = [line.split("|")[1:-1] for line in between("tiny_grpo").splitlines() if line[:1] == "|"][2:]
    runs = [both[name] for both in stored["after_steps"].values() for name in ("posterior", "uniform")]
    for line, run in zip(lines, runs, strict=True):
        assert told(np.mean(run["pool"]), line[3].split()[0])
        assert told(np.mean(run["fewer"]), line[5].split()[0])
