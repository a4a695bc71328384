"""Which of a file's requests are sound? Checked together, with the number of the line or record at fault."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray, LongArray
from allocenv.core.files import InputError
from allocenv.problems.storage.trace import Trace

SECTOR = 512
MAX_REQUEST_BYTES = 1 << 30  # no block layer takes more in one request; a larger number is a damaged one
MAX_SPAN_NS = 10 * 365 * 86_400 * 10**9  # from the middle of a trace: ten years


@dataclass(frozen=True)
class Raw:
    """Requests as a file holds them, before any check."""

    number: LongArray  # [T] line or record, from 1
    time: LongArray | None  # [T] in the file's unit
    offset: LongArray  # [T] in the file's unit
    size: LongArray  # [T] in the file's unit
    write: LongArray | None  # [T] 0 read, 1 write; None: reads only
    volume: LongArray | None  # [T] small numbers

    def rows(self, which: BoolArray | LongArray | slice) -> "Raw":
        """Those rows only."""

        def some(column: LongArray | None) -> LongArray | None:
            return None if column is None else column[which]

        return Raw(
            self.number[which],
            some(self.time),
            self.offset[which],
            self.size[which],
            some(self.write),
            some(self.volume),
        )


class Units(NamedTuple):
    """What the numbers of a file mean, and what errors call them."""

    time_ns: int = 1
    offset_bytes: int = 1
    size_bytes: int = 1
    item: str = "line"  # or record
    time: str = "time"
    offset: str = "offset"
    size: str = "size"
    write: str = "type"


@dataclass(frozen=True)
class Read:
    """A trace, and what of its file is not in it."""

    trace: Trace
    format: str
    skipped: int = 0  # bad lines or records that `skip_bad` left out
    first_bad: str = ""  # what was wrong with the first of them
    others: int = 0  # sound lines or records that are no read or write: comments, flushes, other events


class Bad(NamedTuple):
    """Bad lines or records so far."""

    n: int = 0
    first: InputError | None = None

    def with_more(self, n: int, first: InputError | None) -> "Bad":
        return Bad(self.n + n, self.first or first)


def joined(parts: list[Raw]) -> Raw:
    """The parts of a file, one after the other."""

    def column(name: str) -> LongArray:
        return np.concatenate([getattr(part, name) for part in parts])

    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    return Raw(
        column("number"),
        None if first.time is None else column("time"),
        column("offset"),
        column("size"),
        None if first.write is None else column("write"),
        None if first.volume is None else column("volume"),
    )


def sound(raw: Raw, units: Units, source: str, skip_bad: bool, sort: bool) -> tuple[Raw, Bad]:
    """The requests without the bad ones, in order of time.

    Times that fall are bad: with `sort` the requests are put in order of time instead (those of equal times stay
    as they are), with `skip_bad` as few as possible are left out.

    Raises:
        InputError: a bad request, unless they are to be skipped; the first one is named.
    """
    bad = np.zeros(len(raw.number), np.bool_)
    first: tuple[int, InputError] | None = None
    for field, found, wrong, expected in _wrong(raw, units):
        if not wrong.any():
            continue
        row = int(wrong.argmax())
        if first is None or row < first[0]:
            first = row, _error(raw, units, source, row, field, found, expected)
        bad |= wrong
    if first is not None:
        if not skip_bad:
            raise first[1]
        raw = raw.rows(~bad)
    wrongs = Bad(int(bad.sum()), None if first is None else first[1])
    time = raw.time
    if time is None or not (falls := np.diff(time) < 0).any():
        return raw, wrongs
    if sort:
        return raw.rows(np.argsort(time, kind="stable")), wrongs
    row = int(falls.argmax()) + 1
    expected = f"at least {time[row - 1]}, that before it (or read with `sort`)"
    fall = _error(raw, units, source, row, units.time, time, expected)
    if not skip_bad:
        raise fall
    kept = _longest_rising(time)
    return raw.rows(kept), wrongs.with_more(len(time) - len(kept), fall)


def to_trace(raw: Raw, units: Units, source: str, name: str, page_bytes: int) -> Trace:
    """Number the pages of sound requests.

    Raises:
        InputError: there is none, or their pages are too many or too far apart.
    """
    if not len(raw.number):
        raise InputError(source, "requests", 0, "at least one read or write")
    time = None if raw.time is None else (raw.time - raw.time[0]) * units.time_ns
    offset, size = raw.offset * units.offset_bytes, raw.size * units.size_bytes
    write = np.zeros(len(offset), np.bool_) if raw.write is None else raw.write.astype(np.bool_)
    volume = raw.volume if raw.volume is not None and raw.volume.any() else None
    row = int(offset.argmax())
    pages = int(offset[row] + size[row]) // page_bytes + 3
    if volume is not None and pages * (int(volume.max()) + 1) >= 2**62:
        expected = f"one below {2**62 * page_bytes // (int(volume.max()) + 2)} bytes for so many volumes"
        raise _error(raw, units, source, row, units.offset, raw.offset, expected)
    touched = int(((offset + size - 1) // page_bytes - offset // page_bytes + 1).sum())
    if touched >= 2**40:
        raise InputError(source, "pages touched", touched, f"fewer than 2**40 of {page_bytes} bytes")
    try:
        return Trace.of(name, time, offset, size, write, volume, page_bytes)
    except ValueError as error:
        raise InputError(source, "requests", str(error), "a trace") from None


def _wrong(raw: Raw, units: Units) -> Iterator[tuple[str, Array, BoolArray, str]]:
    """Every check: the field, its values, which are wrong, and what was expected."""
    if raw.time is not None and len(raw.time):
        yield units.time, raw.time, raw.time < 0, "0 to 2**63 - 1"
        middle, span = int(np.partition(raw.time, len(raw.time) // 2)[len(raw.time) // 2]), MAX_SPAN_NS // units.time_ns
        low, high = max(middle - span, 0), min(middle + span, 2**63 - 1)
        far = (raw.time < low) | (raw.time > high)
        yield units.time, raw.time, far, f"{low} to {high}, ten years around most others"
    yield units.size, raw.size, raw.size < 1, "at least 1"
    most = MAX_REQUEST_BYTES // units.size_bytes
    yield units.size, raw.size, raw.size > most, f"at most {most} (1 GiB a request)"
    yield units.offset, raw.offset, raw.offset < 0, "0 to 2**63 - 1 bytes"
    end = (2**63 - 1 - MAX_REQUEST_BYTES) // units.offset_bytes
    yield units.offset, raw.offset, raw.offset > end, f"at most {end}, to end below 2**63 bytes"
    if raw.write is not None:
        yield units.write, raw.write, (raw.write != 0) & (raw.write != 1), "0 (read) or 1 (write)"


def _error(raw: Raw, units: Units, source: str, row: int, field: str, values: Array, expected: str) -> InputError:
    return InputError(source, f"{units.item} {raw.number[row]}, {field}", int(values[row]), expected)


def _longest_rising(time: LongArray) -> LongArray:
    """Places of a longest subsequence that never falls (patience sorting)."""
    tops: list[int] = []  # the least last time of a subsequence of each length
    at: list[int] = []
    before = np.full(len(time), -1, np.int64)
    for i, t in enumerate(time.tolist()):
        length = bisect_right(tops, t)
        if length == len(tops):
            tops.append(t)
            at.append(i)
        else:
            tops[length], at[length] = t, i
        if length:
            before[i] = at[length - 1]
    kept = np.empty(len(tops), np.int64)
    i = at[-1]
    for place in range(len(tops) - 1, -1, -1):
        kept[place], i = i, int(before[i])
    return kept
