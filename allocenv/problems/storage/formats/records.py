"""Reading and writing binary traces of records of one length, block by block."""

from collections.abc import Callable
from typing import Any

import numpy as np

from allocenv.core.arrays import Array, BoolArray, LongArray
from allocenv.core.files import InputError
from allocenv.problems.storage.formats.raw import Bad, Raw, joined
from allocenv.problems.storage.formats.stream import BLOCK_BYTES, blocks

Decode = Callable[[Array, LongArray], tuple[Raw, InputError | None, int, int]]


def read_records(
    path: str, dtype: np.dtype[Any], decode: Decode, limit: int | None, skip_bad: bool
) -> tuple[Raw, Bad, int]:
    """The requests of a file of records.

    Args:
        decode: from records and their numbers, from 1: the requests; what is wrong with the first bad record; how
            many are bad; how many are no request.

    Raises:
        InputError: a bad record or a part of one at the end, unless they are to be skipped.
    """
    parts, bad, others, done, rows = [], Bad(), 0, 0, 0
    size, left = dtype.itemsize, b""
    for block in blocks(path, BLOCK_BYTES // size * size):
        data = left + block if left else block
        whole = len(data) // size
        left = data[whole * size :]
        records = np.frombuffer(data, dtype, whole)
        raw, first, count, passed = decode(records, np.arange(done + 1, done + whole + 1))
        if first is not None and not skip_bad:
            raise first
        bad, others, done, rows = bad.with_more(count, first), others + passed, done + whole, rows + len(raw.number)
        parts.append(raw)
        if limit is not None and rows >= limit:
            return joined(parts).rows(slice(0, limit)), bad, others
    if left:
        cut = InputError(path, f"record {done + 1}", f"{len(left)} bytes", f"a whole record of {size}")
        if not skip_bad:
            raise cut
        bad = bad.with_more(1, cut)
    if not parts:
        raise InputError(path, "size", "0 bytes", f"records of {size} bytes")
    return joined(parts), bad, others


def long(column: Array) -> LongArray:
    """The column as int64; numbers above 2**63 - 1 turn negative, which is an error wherever it counts."""
    result: LongArray = column.astype(np.uint64, copy=False).astype(np.int64)
    return result


def first_of(
    wrong: BoolArray, number: LongArray, path: str, field: str, values: Array, expected: str
) -> InputError | None:
    """The error of the first record that is wrong."""
    if not wrong.any():
        return None
    row = int(wrong.argmax())
    return InputError(path, f"record {number[row]}, {field}", int(values[row]), expected)
