"""What an evaluation found, and everything needed to believe or repeat it: as files, and read back."""

import csv
import io
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from allocenv.core.files import InputError, read_text, write_atomically

FORMAT = "allocenv-results-1"
FILE = "results.json"
ORACLE = "oracle_"  # names of those that may know the future begin with it
PICTURE = "picture.png"  # of the first instance under the best plan


@dataclass(frozen=True)
class Row:
    """One contender on one instance."""

    contender: str
    instance: str
    start: float  # objective before any action; NaN: not looked at
    objective: float  # after the plan, as the environment computes it
    bound: float  # proven by this contender; -inf: none
    decisions: int
    legal: bool  # the environment accepted every action
    wall: float  # seconds; NaN, as below: not measured
    cpu: float  # seconds, all threads
    seed: int = 0
    limit: float = np.inf  # seconds of the counted clock that it was given
    peak_mb: float = np.nan  # memory that it needed beyond what was in use before, 10**6 bytes
    figures: Mapping[str, float] = field(default_factory=dict)  # the problem's metrics at the end

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def kind_of(name: str, learnt: bool) -> str:
    """The kind of a contender that decides as it goes: `oracle`, `agent` or `rule`."""
    return "oracle" if name.startswith(ORACLE) else "agent" if learnt else "rule"


@dataclass(frozen=True)
class Results:
    """One comparison: contenders on a named instance set of a problem."""

    problem: str
    instances: str  # the named set
    objective: str  # what is minimised, in words
    rows: Sequence[Row]
    kinds: Mapping[str, str]  # contender -> one of `contest.KINDS`
    warnings: Mapping[str, str] = field(default_factory=dict)  # contender -> why its figures do not count
    fingerprints: Mapping[str, str] = field(default_factory=dict)  # instance -> what it holds
    params: Mapping[str, Any] = field(default_factory=dict)  # of the problem, where they are not the defaults
    provenance: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, str] = field(default_factory=dict)  # PNG beside the results -> what it shows
    details: Mapping[str, Any] = field(default_factory=dict)  # what only this kind of comparison has to tell

    @property
    def contenders(self) -> list[str]:
        return contenders_of(self.rows)

    @property
    def labels(self) -> list[str]:
        """Of the instances, in order."""
        return list(dict.fromkeys(row.instance for row in self.rows))

    @property
    def seeds(self) -> list[int]:
        return sorted({row.seed for row in self.rows})

    @property
    def command(self) -> str:
        return str(self.provenance.get("command", ""))

    def final(self) -> "Results":
        """Without the shorter limits of contenders that were given several."""
        most: dict[str, float] = {}
        for row in self.rows:
            most[row.contender] = max(most.get(row.contender, -np.inf), row.limit)
        kept = [row for row in self.rows if row.limit == most[row.contender]]
        return Results(**{**{f.name: getattr(self, f.name) for f in fields(self)}, "rows": kept})


def write_results(results: Results, folder: Path) -> list[Path]:
    """results.json, rows.csv and, where pyarrow is installed, rows.parquet."""
    flat = [_flat(row) for row in results.rows]
    columns = list(dict.fromkeys(key for row in flat for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    document = {**asdict(results), "format": FORMAT, "rows": [_plain(row.to_dict()) for row in results.rows]}
    write_atomically(folder / FILE, json.dumps(document, indent=1) + "\n")
    write_atomically(folder / "rows.csv", text.getvalue())
    written = [folder / FILE, folder / "rows.csv"]
    parquet = _parquet(flat, columns)
    if parquet is not None:
        write_atomically(folder / "rows.parquet", parquet)
        written.append(folder / "rows.parquet")
    return written


def read_results(path: Path) -> Results:
    """What `write_results` wrote into a folder; the file itself may be named as well.

    Raises:
        InputError: it is not there, or something else.
    """
    file = path / FILE if path.is_dir() else path
    try:
        document = json.loads(read_text(file))
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(str(file), "the file", str(error), "results of `allocenv evaluate --out`") from None
    found = document.get("format") if isinstance(document, dict) else type(document).__name__
    if found != FORMAT:
        raise InputError(str(file), "format", found, f"{FORMAT!r}, as `allocenv evaluate --out` writes it")
    del document["format"]
    kinds: dict[str, type] = {"rows": list, **dict.fromkeys(("problem", "instances", "objective"), str)}
    for key in (*document, *kinds):
        kind = kinds.get(key, dict) if key in {f.name for f in fields(Results)} else None
        if kind is None or not isinstance(document.get(key), kind):
            expected = f"{_KINDS[kind]}" if kind else f"a key among {', '.join(f.name for f in fields(Results))}"
            raise InputError(str(file), key, document.get(key), expected)
    rows = [_row(values, str(file), i) for i, values in enumerate(document["rows"])]
    if not rows:
        raise InputError(str(file), "rows", "none", "at least one row")
    _expect_whole(rows, str(file))
    return Results(**{**document, "rows": rows})


_KINDS = {
    list: "a list",
    str: "a text",
    dict: "an object",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
}
_TYPES: dict[str, type] = {
    **dict.fromkeys(("contender", "instance"), str),
    **dict.fromkeys(("start", "objective", "wall", "cpu", "bound", "limit", "peak_mb"), float),
    **dict.fromkeys(("decisions", "seed"), int),
    "legal": bool,
    "figures": dict,
}
_UNKNOWN = {  # JSON knows no infinity: null
    **dict.fromkeys(("start", "wall", "cpu", "peak_mb"), np.nan),
    "bound": -np.inf,
    "limit": np.inf,
}


def _row(values: Any, source: str, i: int) -> Row:
    """Raises InputError."""
    if not isinstance(values, dict) or set(values) != set(_TYPES):
        raise InputError(source, f"rows[{i}]", values, f"an object of {', '.join(sorted(_TYPES))}")
    told: dict[str, Any] = {key: _UNKNOWN.get(key) if value is None else value for key, value in values.items()}
    for key, kind in _TYPES.items():
        accepted = (int, float) if kind is float else kind
        if not isinstance(told[key], accepted) or (isinstance(told[key], bool) and kind is not bool):
            raise InputError(source, f"rows[{i}].{key}", values[key], _KINDS[kind])
    return Row(**told)


def _expect_whole(rows: Sequence[Row], source: str) -> None:
    """Raise InputError where a contender met an instance twice or not at all."""
    met = [(row.contender, row.limit, row.instance, row.seed) for row in rows]
    labels, seeds = {row.instance for row in rows}, {row.seed for row in rows}
    known = set(met)
    if len(known) < len(met):
        raise InputError(source, "rows", next(one for one in met if met.count(one) > 1), "each row once")
    for contender, limit in {one[:2] for one in met}:
        for label, seed in itertools.product(labels, seeds):
            if (contender, limit, label, seed) not in known:
                raise InputError(source, "rows", f"none of {contender} on {label}, seed {seed}", "one of everybody")


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no infinity."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}


def _flat(row: Row) -> dict[str, Any]:
    """One line of a table; figures as columns of their own."""
    values = row.to_dict()
    figures = values.pop("figures")
    return {**values, **{f"figure_{name}": value for name, value in figures.items()}}


def _parquet(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> bytes | None:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        return None
    table = pyarrow.table({name: [row.get(name) for row in rows] for name in columns})
    buffer = io.BytesIO()
    parquet.write_table(table, buffer)
    return buffer.getvalue()


def contenders_of(rows: Sequence[Row]) -> list[str]:
    """Their names, in order of appearance."""
    return list(dict.fromkeys(row.contender for row in rows))
