"""How are the coalition routing benchmarks read?

Two JSON files of records (see the README beside the data): DCMRTA (`depot`, `task_req`: head counts) and HeteroMRTA
(`robot_xy`, `robot_skill`, `task_need`: 0 or 1 by skill). Published makespans come along as `reference`.
"""

import json
import os
from typing import Any

import numpy as np

from allocenv.core.files import InputError, read_text
from allocenv.problems.task.routing.instance import Routing, RoutingError

_SHARED = ("task_xy", "task_time", "velocity")


def read_dcmrta(path: str | os.PathLike[str]) -> list[Routing]:
    """The problems of a DCMRTA file.

    Raises:
        InputError: not JSON (names the line), or a record that is no problem (names the record and the field).
    """
    return [_problem(os.fspath(path), k, record, _dcmrta) for k, record in enumerate(_records(path))]


def read_heteromrta(path: str | os.PathLike[str]) -> list[Routing]:
    """The problems of a HeteroMRTA file. Raises InputError as `read_dcmrta` does."""
    return [_problem(os.fspath(path), k, record, _heteromrta) for k, record in enumerate(_records(path))]


def _dcmrta(record: dict[str, Any]) -> Routing:
    _expect(record, "n_agents", "n_tasks", "depot", "task_req", *_SHARED)
    n, n_tasks = record["n_agents"], record["n_tasks"]
    if type(n) is not int or n < 1:
        raise RoutingError(f"Expected n_agents >= 1, got {n!r}.")
    if len(record["task_req"]) != n_tasks:
        raise RoutingError(f"Expected task_req of {n_tasks} tasks, got {len(record['task_req'])}.")
    need = np.array(record["task_req"])[:, None]
    start = np.tile(np.array(record["depot"], np.float64), (n, 1))
    return _routing(record, start, np.ones((n, 1), np.int64), need, record.get("makespan", {}))


def _heteromrta(record: dict[str, Any]) -> Routing:
    _expect(record, "robot_xy", "robot_skill", "task_need", *_SHARED)
    reference = record.get("reference_makespan", {})
    return _routing(record, record["robot_xy"], record["robot_skill"], record["task_need"], reference)


def _routing(record: dict[str, Any], start: Any, ability: Any, need: Any, reference: dict[str, float]) -> Routing:
    name, velocity = str(record.get("id", "")), float(record["velocity"])
    return Routing(start, ability, record["task_xy"], need, record["task_time"], velocity, name, dict(reference))


def _expect(record: dict[str, Any], *fields: str) -> None:
    for name in fields:
        if name not in record:
            raise RoutingError(f"Expected the field {name}, it is missing.")


def _records(path: str | os.PathLike[str]) -> list[Any]:
    source = os.fspath(path)
    try:
        records = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise InputError(source, f"line {error.lineno}", error.msg, "JSON") from None
    if not isinstance(records, list):
        raise InputError(source, "file", type(records).__name__, "a list of records")
    return records


def _problem(source: str, k: int, record: Any, build: Any) -> Routing:
    if not isinstance(record, dict):
        raise InputError(source, f"record {k}", type(record).__name__, "an object")
    try:
        problem: Routing = build(record)
    except (RoutingError, TypeError, ValueError) as error:
        raise InputError(source, f"record {k}", str(error), "a coalition routing problem") from None
    return problem
