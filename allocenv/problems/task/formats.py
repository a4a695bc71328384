"""How are missions read and written: JSON, CSV, and the benchmarks DCMRTA and HeteroMRTA.

JSON: `{"name", "slots", "entities": [{"id", "cost", "abilities": [...], "x", "y", "rate"}],
"tasks": [{"id", "value", "needs": [...], "x", "y", "work", "arrival", "rate", "owner": entity id}]}`.
CSV: a table of entities (`id,cost,ability_1,...,x,y`) and one of tasks (`id,value,need_1,...,x,y,work,arrival`).
Abilities and needs may have up to three decimals: they are kept in thousandths then.
"""

import csv
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from allocenv.core.arrays import Array
from allocenv.core.data import data_folder
from allocenv.core.files import InputError, read_text, write_atomically
from allocenv.problems.task.mission import MAX_AMOUNT, NO_OWNER, Mission, build_mission

BENCHMARKS = {"dcmrta": "task/dcmrta_20a50t.json", "heteromrta": "task/heteromrta_15r20t.json"}
PARTS = 1000  # of a unit of an ability, where a file has fractions
SLOTS = 5  # open at once, where a file does not say
MAX_ROWS = 100_000
ENTITY_FIELDS = ("cost", "x", "y", "rate")
TASK_FIELDS = ("value", "x", "y", "work", "arrival", "rate")
DEFAULTS = {"cost": 0.0, "x": 0.0, "y": 0.0, "rate": 0.0, "work": 1.0, "arrival": 0.0}


def read_missions(preset: str, path: str | os.PathLike[str]) -> tuple[Mission, ...]:
    """The missions of a file: one of our JSON, or a benchmark's list. Raises InputError."""
    source = os.fspath(path)
    content = _json(source)
    if isinstance(content, list):
        if preset not in BENCHMARKS:
            raise InputError(source, "content", "a list", f"an object; lists are of {', '.join(BENCHMARKS)}")
        read = _dcmrta if preset == "dcmrta" else _heteromrta
        return tuple(read(f"{source}: record {i}", record) for i, record in enumerate(content))
    return (_mission(source, content),)


def benchmark(preset: str) -> tuple[Mission, ...]:
    """The instances of dcmrta or heteromrta in the data folder. Raises InputError where there are none."""
    return read_missions(preset, _benchmark_file(preset))


def reference_makespans(preset: str) -> dict[str, Array]:
    """Method -> its published makespan of each instance of `benchmark`: [n]."""
    records = _json(os.fspath(_benchmark_file(preset)))
    tables = [record.get("makespan") or record["reference_makespan"] for record in records]
    return {name: np.array([table[name] for table in tables]) for name in tables[0]}


def read_json(path: str | os.PathLike[str]) -> Mission:
    """A mission from our JSON. Raises InputError."""
    return _mission(os.fspath(path), _json(os.fspath(path)))


def read_csv(entities: str | os.PathLike[str], tasks: str | os.PathLike[str], slots: int = SLOTS) -> Mission:
    """A mission from a table of entities and one of tasks. Raises InputError."""
    people = _table(os.fspath(entities), "ability", ("cost", "x", "y", "rate"))
    jobs = _table(os.fspath(tasks), "need", ("value", "x", "y", "work", "arrival", "rate"))
    return _assemble(Path(tasks).stem, os.fspath(entities), people, os.fspath(tasks), jobs, slots)


def write_json(mission: Mission, path: str | os.PathLike[str]) -> None:
    """Write a mission as our JSON; `read_json` gives it back."""
    names = [mission.entity_name(i) for i in range(mission.n_entities)]
    entities = [
        {
            "id": names[i], "cost": mission.cost[i], "abilities": mission.ability[i].tolist(),
            "x": mission.xy[i, 0], "y": mission.xy[i, 1], "rate": mission.rate[i],
        }
        for i in range(mission.n_entities)
    ]  # fmt: skip
    tasks = [
        {
            "id": mission.task_name(t), "value": mission.value[t], "needs": mission.need[t].tolist(),
            "x": mission.task_xy[t, 0], "y": mission.task_xy[t, 1], "work": mission.work[t],
            "arrival": mission.arrival[t], "rate": mission.task_rate[t],
            **({"owner": names[mission.owner[t]]} if mission.owner[t] != NO_OWNER else {}),
        }
        for t in range(mission.n_tasks)
    ]  # fmt: skip
    content = {"name": mission.name, "slots": mission.slots, "entities": entities, "tasks": tasks}
    write_atomically(path, json.dumps(content, indent=1))


Row = dict[str, Any]  # id, where, amounts, owner and the fields of one entity or task


def _mission(source: str, content: Any) -> Mission:
    if not isinstance(content, dict):
        raise InputError(source, "content", type(content).__name__, "an object with entities and tasks")
    slots = content.get("slots", SLOTS)
    if not isinstance(slots, int) or isinstance(slots, bool):
        raise InputError(source, "slots", slots, "a whole number")
    people = _records(source, content, "entities", "abilities", ENTITY_FIELDS)
    jobs = _records(source, content, "tasks", "needs", TASK_FIELDS)
    return _assemble(str(content.get("name", Path(source).stem)), source, people, source, jobs, slots)


def _records(source: str, content: Any, key: str, amounts: str, fields: Sequence[str]) -> list[Row]:
    found = content.get(key)
    if not isinstance(found, list) or not 1 <= len(found) <= MAX_ROWS:
        raise InputError(source, key, type(found).__name__ if not isinstance(found, list) else len(found),
                         f"a list of 1 to {MAX_ROWS}")  # fmt: skip
    rows = []
    for i, record in enumerate(found):
        where = f"{key}[{i}]"
        if not isinstance(record, dict):
            raise InputError(source, where, record, "an object")
        unknown = sorted(record.keys() - {"id", "owner", amounts, *fields})
        if unknown:
            raise InputError(source, where, unknown[0], f"one of id, {amounts}, {', '.join(fields)}")
        if not isinstance(record.get(amounts), list) or not record[amounts]:
            raise InputError(source, f"{where}.{amounts}", record.get(amounts), "a list of numbers")
        row: Row = {"id": str(record.get("id", i)), "where": where, "owner": record.get("owner")}
        row["amounts"] = [_number(source, f"{where}.{amounts}[{r}]", v) for r, v in enumerate(record[amounts])]
        _take_fields(source, where, record, fields, row)
        rows.append(row)
    return rows


def _table(source: str, amounts: str, fields: Sequence[str]) -> list[Row]:
    """The rows of a CSV file; `amounts` is what its columns of abilities begin with."""
    reader = csv.reader(read_text(source).splitlines())
    header = [name.strip().lower() for name in next(reader, [])]
    columns = [name for name in header if name.startswith(f"{amounts}_")]
    if not columns:
        raise InputError(source, "line 1", header, f"columns {amounts}_1, {amounts}_2, ...")
    unknown = [name for name in header if name not in ("id", "owner", *fields, *columns)]
    if unknown or len(set(header)) < len(header):
        expected = f"columns id, {amounts}_1, ..., {', '.join(fields)}, once"
        raise InputError(source, "line 1", unknown or header, expected)
    rows: list[Row] = []
    for cells in reader:
        where = f"line {reader.line_num}"
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise InputError(source, where, f"{len(cells)} fields", f"{len(header)} fields")
        record: dict[str, Any] = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
        row: Row = {"id": record.get("id") or str(len(rows)), "where": where, "owner": record.get("owner") or None}
        row["amounts"] = [_number(source, f"{where}, {name}", record[name]) for name in columns]
        _take_fields(source, where, {k: v for k, v in record.items() if v != ""}, fields, row)
        rows.append(row)
        if len(rows) > MAX_ROWS:
            raise InputError(source, where, f"more than {MAX_ROWS} rows", f"at most {MAX_ROWS}")
    if not rows:
        raise InputError(source, "rows", 0, "at least one")
    return rows


def _take_fields(source: str, where: str, record: Any, fields: Sequence[str], row: Row) -> None:
    for name in fields:
        if name not in record and name not in DEFAULTS:
            raise InputError(source, f"{where}, {name}", "nothing", "a number")
        value = _number(source, f"{where}, {name}", record.get(name, DEFAULTS.get(name)))
        if value < 0 and name not in ("x", "y"):
            raise InputError(source, f"{where}, {name}", value, "a number from 0")
        row[name] = value


def _assemble(name: str, entity_file: str, people: list[Row], task_file: str, jobs: list[Row], slots: int) -> Mission:
    ids = _ids(entity_file, people)
    _ids(task_file, jobs)
    width = len(people[0]["amounts"])
    for source, rows in ((entity_file, people), (task_file, jobs)):
        for row in rows:
            if len(row["amounts"]) != width:
                found = f"{len(row['amounts'])} abilities"
                raise InputError(source, row["where"], found, f"{width}, as the first entity")
            _check_amounts(source, row)
    owners = []
    for row in jobs:
        if row["owner"] is not None and str(row["owner"]) not in ids:
            raise InputError(task_file, f"{row['where']}, owner", row["owner"], "the id of an entity")
        owners.append(NO_OWNER if row["owner"] is None else ids[str(row["owner"])])
    for row in jobs:
        if not any(row["amounts"]):
            raise InputError(task_file, f"{row['where']}, needs", row["amounts"], "at least one above 0")
    whole = all(float(v).is_integer() for row in (*people, *jobs) for v in row["amounts"])
    unit = 1 if whole else PARTS

    def column(rows: list[Row], field: str) -> list[float]:
        return [row[field] for row in rows]

    return build_mission(
        column(people, "cost"),
        np.rint(np.array([row["amounts"] for row in people]) * unit),
        column(jobs, "value"),
        np.rint(np.array([row["amounts"] for row in jobs]) * unit),
        slots=slots,
        xy=np.stack([column(people, "x"), column(people, "y")], axis=1),
        rate=column(people, "rate"),
        task_xy=np.stack([column(jobs, "x"), column(jobs, "y")], axis=1),
        work=column(jobs, "work"),
        arrival=column(jobs, "arrival"),
        task_rate=column(jobs, "rate"),
        owner=owners,
        entity_names=tuple(row["id"] for row in people),
        task_names=tuple(row["id"] for row in jobs),
        name=name,
    )


def _check_amounts(source: str, row: Row) -> None:
    for r, value in enumerate(row["amounts"]):
        if not 0 <= value <= MAX_AMOUNT / PARTS or abs(value * PARTS - round(value * PARTS)) > 1e-6:
            expected = f"a number from 0 to {MAX_AMOUNT // PARTS} with at most three decimals"
            raise InputError(source, f"{row['where']}, ability {r + 1}", value, expected)


def _ids(source: str, rows: list[Row]) -> dict[str, int]:
    ids: dict[str, int] = {}
    for i, row in enumerate(rows):
        if row["id"] in ids:
            raise InputError(source, f"{row['where']}, id", row["id"], "ids that differ")
        ids[row["id"]] = i
    return ids


def _number(source: str, where: str, value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) or value is None else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(source, where, value, "a finite number")
    return number


def _json(source: str) -> Any:
    try:
        return json.loads(read_text(source))
    except json.JSONDecodeError as error:
        raise InputError(source, f"line {error.lineno}", error.msg, "JSON") from None
    except RecursionError:
        raise InputError(source, "content", "deeply nested", "JSON") from None


def _benchmark_file(preset: str) -> Path:
    folder = data_folder()
    if preset not in BENCHMARKS:
        raise ValueError(f"Expected a benchmark among {', '.join(BENCHMARKS)}, got {preset!r}.")
    if folder is None:
        raise InputError("$ALLOCENV_DATA", "data folder", None, f"a folder with {BENCHMARKS[preset]}")
    return folder / BENCHMARKS[preset]


def _dcmrta(source: str, record: Any) -> Mission:
    """Equal robots of one depot; needs are head counts."""
    depot = _array(source, record, "depot", 1)
    need = _array(source, record, "task_req", 1)
    robots = int(_array(source, record, "n_agents", 0))
    return _routing(source, record, np.tile(depot, (robots, 1)), np.ones((robots, 1)), need[:, None], "dcmrta")


def _heteromrta(source: str, record: Any) -> Mission:
    """Robots of one skill each; a task needs every skill that it names once."""
    ability, need = _array(source, record, "robot_skill", 2), _array(source, record, "task_need", 2)
    return _routing(source, record, _array(source, record, "robot_xy", 2), ability, need, "heteromrta")


def _routing(source: str, record: Any, xy: Array, ability: Array, need: Array, kind: str) -> Mission:
    try:
        return build_mission(
            np.zeros(len(xy)), ability, np.ones(len(need)), need, slots=len(need), xy=xy,
            task_xy=_array(source, record, "task_xy", 2), work=_array(source, record, "task_time", 1),
            name=f"{kind}-{record.get('id', 0)}",
        )  # fmt: skip
    except InputError as error:
        raise InputError(source, "record", str(error), "a mission") from None


def _array(source: str, record: Any, key: str, axes: int) -> Array:
    try:
        found = np.array(record[key], np.float64)
    except (KeyError, TypeError, ValueError, IndexError):
        raise InputError(source, key, record.get(key) if isinstance(record, dict) else record, "numbers") from None
    if found.ndim != axes or not np.isfinite(found).all():
        raise InputError(source, key, record[key], f"finite numbers with {axes} axes")
    return found
