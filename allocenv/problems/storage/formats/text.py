"""Reading a text trace block by block: which columns does a format have, and what do they mean?"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import LongArray
from allocenv.core.files import InputError
from allocenv.problems.storage.formats import tokens
from allocenv.problems.storage.formats.raw import Bad, Raw, Units, joined
from allocenv.problems.storage.formats.stream import blocks

MAX_VOLUMES = 1 << 15
MAX_LINE_BYTES = 1 << 20
ROLES = ("time", "offset", "size", "write", "volume")


class Column(NamedTuple):
    """One column of a format."""

    name: str  # as the format's documentation calls it
    kind: int = tokens.SKIP
    role: str = ""  # one of ROLES; empty: it is only checked
    digits: int = 0  # of a DECIMAL; the character of an ONLY


class Lines(NamedTuple):
    """A text format. How it differs from plain columns between separators."""

    columns: tuple[Column, ...]
    units: Units
    separator: int = tokens.COMMA
    loose: int = 0  # the last columns that may be missing; below 0: further fields are passed over


def read_lines(path: str, lines: Lines, limit: int | None, skip_bad: bool) -> tuple[Raw, Bad, int]:
    """The requests of a text trace, what is bad in it, and how many lines are no request.

    Raises:
        InputError: a bad line, unless they are to be skipped.
    """
    table = np.array([[c.kind, c.digits, ROLES.index(c.role) if c.role else -1] for c in lines.columns], np.int64)
    named = any(c.kind in (tokens.NAME, tokens.DEVICE) for c in lines.columns)
    names = np.zeros((2, 2 * MAX_VOLUMES), np.int64)
    cursor = np.zeros(10, np.int64)
    roles = {c.role for c in lines.columns}
    parts, first, rows = [], None, 0
    left = np.iinfo(np.int64).max if limit is None else limit
    for text in _whole_lines(path, cursor):
        cursor[tokens.AT] = 0
        room = min(left, text.count(b"\n"))
        out, numbers = np.empty((len(ROLES), room), np.int64), np.empty(room, np.int64)
        before = cursor[tokens.BAD]
        array = np.frombuffer(text, np.uint8)
        rows = tokens.read_lines(array, table, lines.separator, lines.loose, skip_bad, names, out, numbers, cursor)
        if before == 0 and cursor[tokens.BAD]:
            first = _error(path, lines, text, cursor)
            if not skip_bad:
                raise first
        parts.append(_raw(out[:, :rows], numbers[:rows], roles, named))
        left -= rows
        if left == 0:
            break
    empty = _raw(np.empty((len(ROLES), 0), np.int64), np.empty(0, np.int64), roles, named)
    return joined(parts or [empty]), Bad(int(cursor[tokens.BAD]), first), int(cursor[tokens.OTHERS])


def _raw(out: LongArray, numbers: LongArray, roles: set[str], named: bool) -> Raw:
    time, offset, size, write, volume = out
    return Raw(
        numbers,
        time if "time" in roles else None,
        offset,
        size,
        write if "write" in roles else None,
        volume if named else None,
    )


def _whole_lines(path: str, cursor: LongArray) -> Iterator[bytes]:
    """Blocks that end with a line; without the first one where that is a header: names of columns, or fio's."""
    carried, first = b"", True
    for block in blocks(path):
        cut = block.rfind(b"\n") + 1
        text, carried = (carried + block[:cut], block[cut:]) if cut else (b"", carried + block)
        if len(carried) > MAX_LINE_BYTES:
            raise InputError(path, f"line {cursor[tokens.LINE] + 1}", carried[:40], f"under {MAX_LINE_BYTES} bytes")
        if text:
            yield _without_header(text, cursor) if first else text
            first = False
    if carried:
        text = carried + b"\n"
        yield _without_header(text, cursor) if first else text


def _without_header(text: bytes, cursor: LongArray) -> bytes:
    text = text.removeprefix(b"\xef\xbb\xbf")
    line, _, rest = text.partition(b"\n")
    names = b"," in line and not any(48 <= c <= 57 for c in line)
    if not names and not line.startswith(b"fio version"):
        return text
    cursor[tokens.LINE] += 1
    return rest


def _error(path: str, lines: Lines, text: bytes, cursor: LongArray) -> InputError:
    code, k = int(cursor[tokens.BAD_CODE]), int(cursor[tokens.BAD_COLUMN])
    found = text[cursor[tokens.BAD_BEGIN] : cursor[tokens.BAD_END]].decode("utf-8", "replace")
    field = lines.columns[k].name if k < len(lines.columns) else "end"
    expected = {
        tokens.MISSING: f"{len(lines.columns)} fields: {', '.join(c.name for c in lines.columns)}",
        tokens.NOT_A_NUMBER: "a number" if k < len(lines.columns) and lines.columns[k].kind == tokens.DECIMAL
        else "a whole number",
        tokens.TOO_LARGE: "a number below 2**63",
        tokens.NOT_AN_OPERATION: "R, Read, W or Write",
        tokens.SURPLUS: f"{len(lines.columns)} fields",
        tokens.VOLUMES: f"at most {MAX_VOLUMES} volumes",
    }[code]  # fmt: skip
    return InputError(path, f"line {cursor[tokens.BAD_LINE]}, {field}", found, expected)
