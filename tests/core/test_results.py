"""Files of results: whole, read back as they were, refused where they are something else."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from allocenv.core.files import InputError
from allocenv.core.results import FILE, Results, Row, read_results, write_results

ROW = Row("greedy", "i", 0.5, 0.4, -np.inf, 3, True, 0.25, 0.5, figures={"placed": 2.0})
RESULTS = Results(
    "vm", "default", "fragment rate", [ROW, replace(ROW, contender="exact", bound=0.2, limit=1.0, peak_mb=7.5)],
    {"greedy": "rule", "exact": "exact"}, fingerprints={"i": "ab12"}, provenance={"command": "allocenv evaluate vm"},
)  # fmt: skip


def test_what_is_written_is_read_back(tmp_path):
    write_results(RESULTS, tmp_path)
    found = read_results(tmp_path)
    assert replace(found, rows=[]) == replace(RESULTS, rows=[])
    first, second = found.rows
    assert np.isnan(first.peak_mb)
    assert replace(first, peak_mb=0) == replace(ROW, peak_mb=0)
    assert second == RESULTS.rows[1]
    assert read_results(tmp_path / FILE).contenders == ["greedy", "exact"]


def test_the_table_has_a_line_a_row_and_a_column_a_figure(tmp_path):
    write_results(RESULTS, tmp_path)
    with open(tmp_path / "rows.csv", newline="") as file:
        told = list(csv.DictReader(file))
    assert [line["contender"] for line in told] == ["greedy", "exact"]
    assert [float(line["figure_placed"]) for line in told] == [2.0, 2.0]


def test_parquet_is_written_where_it_can_be(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra `parquet`")
    write_results(RESULTS, tmp_path)
    assert parquet.read_table(tmp_path / "rows.parquet").column("objective").to_pylist() == [0.4, 0.4]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda d: d.update(format="other"), "format: found 'other'"),
        (lambda d: d.update(colour="blue"), "colour: found 'blue'"),
        (lambda d: d.pop("rows"), "rows: found None"),
        (lambda d: d.update(rows=[]), "rows: found 'none'"),
        (lambda d: d["rows"][0].pop("objective"), r"rows\[0\]"),
        (lambda d: d["rows"][0].update(objective="x"), r"rows\[0\]\.objective: found 'x', expected a number"),
        (lambda d: d["rows"][0].update(objective=None), r"rows\[0\]\.objective: found None, expected a number"),
        (lambda d: d["rows"][0].update(legal=1), r"rows\[0\]\.legal: found 1, expected true or false"),
        (lambda d: d["rows"].append(d["rows"][0]), "rows: found .*expected each row once"),
        (
            lambda d: d["rows"].append({**d["rows"][0], "instance": "j"}),
            "rows: found 'none of .*expected one of everybody",
        ),
        (lambda d: d.pop("problem"), "problem: found None, expected a text"),
        (lambda d: d.update(rows=5), "rows: found 5, expected a list"),
    ],
)
def test_something_else_is_refused_by_its_field(tmp_path, change, field):
    write_results(RESULTS, tmp_path)
    document = json.loads((tmp_path / FILE).read_text())
    change(document)
    (tmp_path / FILE).write_text(json.dumps(document))
    with pytest.raises(InputError, match=field):
        read_results(tmp_path)


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"results\.json"):
        read_results(tmp_path)
    (tmp_path / FILE).write_text("{")
    with pytest.raises(InputError, match=r"results\.json: the file"):
        read_results(tmp_path)
