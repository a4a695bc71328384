"""What does a field of a document hold? Typed access to JSON and CSV that can say where it went wrong."""

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from io import StringIO
from pathlib import Path
from typing import Any, NoReturn

from allocenv.core.files import InputError, read_text
from allocenv.problems.vm.cluster import INT_MAX

MAX_ID = 500  # characters
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,20}\.?[0-9]{0,20}|\.[0-9]{1,20})(?:[eE][+-]?[0-9]{1,2})?")


class Field:
    """One value of a document and its place there, which the InputError of every method names."""

    __slots__ = ("name", "source", "value")

    def __init__(self, source: str, name: str, value: Any) -> None:
        self.source = source
        self.name = name
        self.value = value

    def wrong(self, expected: str) -> InputError:
        """The error that says what was expected here instead."""
        return InputError(self.source, self.name, self.value, expected)

    def find(self, key: str) -> "Field | None":
        """A member of this object, None where it is absent or null."""
        if type(self.value) is not dict:
            raise self.wrong("an object")
        value = self.value.get(key)
        return None if value is None else Field(self.source, f"{self.name}.{key}", value)

    def get(self, key: str) -> "Field":
        """A member of this object."""
        found = self.find(key)
        if found is None:
            seen = "null" if key in self.value else "nothing"
            raise InputError(self.source, f"{self.name}.{key}", seen, "this field to be there")
        return found

    def members(self) -> "dict[str, Field]":
        """All members of this object that are not null."""
        if type(self.value) is not dict:
            raise self.wrong("an object")
        return {k: Field(self.source, f"{self.name}.{k}", v) for k, v in self.value.items() if v is not None}

    def each(self) -> "list[Field]":
        """The elements of this list."""
        if type(self.value) is not list:
            raise self.wrong("a list")
        return [Field(self.source, f"{self.name}[{i}]", v) for i, v in enumerate(self.value)]

    def each_of(self, *keys: str) -> "list[Field]":
        """The elements of the list under the keys, none where any of the way there is absent."""
        at: Field | None = self
        for key in keys:
            at = at.find(key) if at is not None else None
        return [] if at is None else at.each()

    def text(self, limit: int = MAX_ID) -> str:
        """Some printable text, possibly empty."""
        if type(self.value) is not str or len(self.value) > limit or not _printable(self.value):
            raise self.wrong(f"printable text of at most {limit} characters")
        return self.value

    def id(self) -> str:
        """A name that is not empty."""
        text = self.text()
        if not text:
            raise self.wrong("a name that is not empty")
        return text

    def label(self) -> str:
        """A name written as text or as a whole number."""
        return str(self.whole(-INT_MAX, INT_MAX)) if type(self.value) is int else self.text()

    def flag(self) -> bool:
        if type(self.value) is not bool:
            raise self.wrong("true or false")
        return self.value

    def number(self, low: float, high: float) -> float:
        """A finite number in the closed range."""
        if type(self.value) not in (int, float) or not low <= self.value <= high:
            raise self.wrong(f"a number from {low:g} to {high:g}")
        return float(self.value)

    def whole(self, low: int, high: int) -> int:
        """A whole number in the closed range; 3.0 counts as 3."""
        if type(self.value) not in (int, float) or not low <= self.value <= high or self.value % 1:
            raise self.wrong(f"a whole number from {low} to {high}")
        return int(self.value)

    def scaled(self, unit: int, *, up: bool) -> int:
        """A number of at least 0 times `unit`, as the next whole number above or below."""
        value = self.value
        if type(value) is int and 0 <= value * unit <= INT_MAX:
            return value * unit
        if type(value) is float and 0 <= value * unit <= INT_MAX:
            return scale(Decimal(repr(value)), unit, up=up)
        raise self.wrong(f"a number from 0 to {INT_MAX // unit}")


@dataclass(frozen=True)
class Row:
    """One record of a CSV file: cells by column, and the line it ends on."""

    source: str
    line: int
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        """The cell; empty where the file has no such column."""
        return self.cells.get(column, "")

    def wrong(self, column: str, expected: str) -> InputError:
        return InputError(self.source, f"line {self.line}, column {column}", self[column], expected)

    def id(self, column: str) -> str:
        """A name that is not empty."""
        if not self[column]:
            raise self.wrong(column, "a name that is not empty")
        return self[column]

    def decimal(self, column: str, low: int, high: int) -> Decimal:
        """A number in the closed range, exactly as written."""
        if _NUMBER.fullmatch(self[column]):
            value = Decimal(self[column])
            if low <= value <= high:
                return value
        raise self.wrong(column, f"a number from {low} to {high}")

    def whole(self, column: str, low: int, high: int) -> int:
        """A whole number in the closed range."""
        value = self.decimal(column, low, high)
        if value % 1:
            raise self.wrong(column, f"a whole number from {low} to {high}")
        return int(value)

    def scaled(self, column: str, unit: int, *, up: bool) -> int:
        """A number of at least 0 times `unit`, as the next whole number above or below."""
        return scale(self.decimal(column, 0, INT_MAX // unit), unit, up=up)


def scale(value: Decimal, unit: int, *, up: bool) -> int:
    """The value times the unit, as the next whole number above or below."""
    return int((value * unit).to_integral_value(ROUND_CEILING if up else ROUND_FLOOR))


def read_json(path: str | Path, text: str | None = None) -> Field:
    """The document of a JSON file (or of its text, where that has been read already)."""
    source = str(path)
    try:
        value = json.loads(read_text(path) if text is None else text, parse_constant=_refuse_constant)
    except InputError:
        raise
    except RecursionError:
        raise InputError(source, "JSON", "lists within lists", "less deep nesting") from None
    except ValueError as error:
        raise InputError(source, "JSON", str(error), "a JSON document") from None
    return Field(source, "document", value)


def read_rows(path: str | Path, text: str | None = None) -> tuple[list[str], list[Row]]:
    """The columns and the records of a CSV file with a header line. Blank lines are skipped."""
    source = str(path)
    lines = csv.reader(StringIO(read_text(path) if text is None else text, newline=""), strict=True)
    records = _records(source, lines)
    header = [name.strip() for name in next(records, (0, []))[1]]
    if not header:
        raise InputError(source, "header", "nothing", "a first line with the names of the columns")
    for name in header:
        if not name or not _printable(name) or header.count(name) > 1:
            raise InputError(source, "header", name, "a different name for each column")
    rows = []
    for line, cells in records:
        if len(cells) != len(header):
            raise InputError(source, f"line {line}", f"{len(cells)} cells", f"{len(header)}, as in the header")
        row = Row(source, line, {k: v.strip() for k, v in zip(header, cells, strict=True)})
        for name, cell in row.cells.items():
            if not _printable(cell):
                raise row.wrong(name, "printable text")
        rows.append(row)
    return header, rows


def _records(source: str, lines: Any) -> Iterator[tuple[int, list[str]]]:
    try:
        for cells in lines:
            if cells and (len(cells) > 1 or cells[0].strip()):
                yield lines.line_num, cells
    except csv.Error as error:
        raise InputError(source, f"line {lines.line_num}", str(error), "comma-separated values") from None


def _printable(text: str) -> bool:
    # Lone surrogates, which JSON allows, are not printable: no plan that names them could be written.
    return text.isprintable()


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number JSON knows")
