"""How is a history of rollouts read? CSV or JSON lines of prompt id, correct, rollouts and, where known, tokens.

    prompt_id,correct,rollouts,tokens
    gsm8k/17,3,8,5210

    {"prompt_id": "gsm8k/17", "correct": 3, "rollouts": 8, "tokens": 5210}

One line is one visit of a prompt, in the order of time. Files may be packed with gzip.
"""

import csv
import json
import os
from collections.abc import Iterator
from io import StringIO
from typing import Any, NamedTuple, NoReturn

import numpy as np

from allocenv.core.arrays import LongArray
from allocenv.core.files import InputError, read_text

FIELDS = ("prompt_id", "correct", "rollouts", "tokens")
NEEDED = FIELDS[:3]
MOST = 10**12  # of any count
MAX_ID = 500  # characters


class History(NamedTuple):
    """G visits of P prompts, in the order of time."""

    ids: list[str]  # [P]  in the order of their first visit
    prompt: LongArray  # [G]  number of the prompt
    correct: LongArray  # [G]
    rollouts: LongArray  # [G]
    tokens: LongArray  # [G]  of all rollouts together, 0: not told


def read_history(path: str | os.PathLike[str]) -> History:
    """Read a file whose first character says whether it is JSON lines or CSV.

    Raises:
        InputError: the file cannot be read, has unknown or missing columns, or a line whose numbers are none,
            are negative or have more correct ones than rollouts.
    """
    source, text = os.fspath(path), read_text(path)
    lines = _json_lines(source, text) if text.lstrip().startswith("{") else _csv_lines(source, text)
    numbers: dict[str, int] = {}
    visits: list[tuple[int, int, int, int]] = []
    for line, record in lines:
        visit = _visit(source, line, record)
        visits.append((numbers.setdefault(visit[0], len(numbers)), *visit[1:]))
    if not visits:
        raise InputError(source, "file", "no visits", "at least one line with a prompt")
    columns = np.array(visits, np.int64).T
    return History(list(numbers), *(np.ascontiguousarray(column) for column in columns))


def _csv_lines(source: str, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_columns(source, 1, header)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise InputError(source, f"line {reader.line_num}", f"{len(cells)} fields", f"{len(header)} fields")
            record: dict[str, Any] = dict(zip(header, (cell.strip() for cell in cells), strict=True))
            yield reader.line_num, {name: cell for name, cell in record.items() if cell != "" or name != "tokens"}
    except csv.Error as error:
        raise InputError(source, f"line {reader.line_num}", str(error), "a line of CSV") from None


def _json_lines(source: str, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, record in enumerate(text.split("\n"), 1):
        if not record.strip():
            continue
        try:
            found = json.loads(record, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise InputError(source, f"line {line}", str(error), "a JSON object") from None
        if type(found) is not dict:
            raise InputError(source, f"line {line}", found, "a JSON object")
        _check_columns(source, line, list(found))
        yield line, found


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _check_columns(source: str, line: int, names: list[str]) -> None:
    for name in names:
        if name not in FIELDS:
            raise InputError(source, f"line {line}, column", name, f"one of {', '.join(FIELDS)}")
        if names.count(name) > 1:
            raise InputError(source, f"line {line}, column", name, "each column once")
    for name in NEEDED:
        if name not in names:
            raise InputError(source, f"line {line}, field {name}", "nothing", "this field to be there")


def _visit(source: str, line: int, record: dict[str, Any]) -> tuple[str, int, int, int]:
    name = record["prompt_id"]
    if type(name) is int:
        name = str(name)
    if type(name) is not str or not 0 < len(name) <= MAX_ID or not name.isprintable():
        raise InputError(source, f"line {line}, field prompt_id", name, f"printable text of 1 to {MAX_ID} characters")
    rollouts = _count(source, line, "rollouts", record["rollouts"], MOST)
    correct = _count(source, line, "correct", record["correct"], rollouts)
    tokens = record.get("tokens")
    return name, correct, rollouts, 0 if tokens is None else _count(source, line, "tokens", tokens, MOST)


def _count(source: str, line: int, field: str, found: Any, most: int) -> int:
    number = found
    if type(found) is str:
        try:
            number = float(found) if len(found) <= 30 else None
        except ValueError:
            number = None
    if type(number) not in (int, float) or not 0 <= number <= most or number % 1:
        what = "rollouts of the line, " if field == "correct" else ""
        raise InputError(source, f"line {line}, field {field}", found, f"a whole number from 0 to {what}{most}")
    return int(number)
