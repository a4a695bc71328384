"""Writing a trace in the formats that other tools read: whole or not at all, packed as the name ends.

What a trace knows is pages, so offsets and sizes are whole pages; volumes lie one after the other in one.
"""

import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray, LongArray
from allocenv.problems.storage.formats.blktrace import blktrace_bytes
from allocenv.problems.storage.formats.iolog import iolog2_text
from allocenv.problems.storage.formats.libcachesim import oracle_bytes, vscsi_bytes
from allocenv.problems.storage.formats.raw import SECTOR
from allocenv.problems.storage.formats.stream import write_packed
from allocenv.problems.storage.trace import Trace

EPOCH_100NS = 128_166_372_000_000_000  # where MSR's traces begin, 22 February 2007
LIMIT_32 = 2**32


class Columns(NamedTuple):
    """Requests in bytes."""

    time: LongArray  # [T] in the format's unit
    offset: LongArray  # [T]
    size: LongArray  # [T]
    write: BoolArray  # [T]
    timed: bool


class Writer(NamedTuple):
    """How a format is written, and what of a trace it does not hold."""

    time_ns: int  # its unit of time; 0: it has no clock
    content: Callable[[Columns], bytes | str]
    losses: tuple[str, ...] = ()
    multiple: int = 1  # of whose bytes offsets and sizes must be
    size_limit: int = 2**63
    time_limit: int = 2**63


def write_trace(trace: Trace, path: str | os.PathLike[str], format: str) -> tuple[str, ...]:
    """Write the trace; says what of it the format does not hold (`LOSSES`), as far as the trace has it.

    Raises:
        ValueError: an unknown format, or a trace beyond its numbers.
    """
    if format not in WRITERS:
        raise ValueError(f"Expected a format among {', '.join(WRITERS)}, got {format!r}.")
    writer, r = WRITERS[format], trace.requests
    if int(r.address[-1]) >= (2**63 - 2**31) // trace.page_bytes:
        raise ValueError("Expected a trace that ends below 2**63 bytes: its volumes are too many or too large.")
    if trace.page_bytes % writer.multiple:
        raise ValueError(f"Expected pages of a multiple of {writer.multiple} bytes, got {trace.page_bytes}.")
    unit = max(writer.time_ns, 1)
    columns = Columns(
        r.time // unit, r.address[r.first] * trace.page_bytes, r.pages.astype(np.int64) * trace.page_bytes, r.write,
        trace.timed,
    )  # fmt: skip
    if int(columns.size.max()) >= writer.size_limit or int(columns.time[-1]) >= writer.time_limit:
        raise ValueError(f"Expected sizes and times that {format} can hold, below {writer.size_limit}.")
    content = writer.content(columns)
    write_packed(os.fspath(path), content.encode() if isinstance(content, str) else content)
    lost = {"clock": trace.timed, "writes": bool(r.write.any())}
    return tuple(name for name in writer.losses if lost.get(name, trace.timed))


def _lines(pattern: str, *columns: Array | list[str], header: str = "") -> str:
    lists = [c if isinstance(c, list) else c.tolist() for c in columns]
    return header + "".join(map((pattern + "\n").__mod__, zip(*lists, strict=True)))


def _named(write: BoolArray, read_name: str, write_name: str) -> list[str]:
    return [write_name if w else read_name for w in write.tolist()]


def _msr(c: Columns) -> str:
    return _lines("%d,trace,0,%s,%d,%d,0", c.time + EPOCH_100NS, _named(c.write, "Read", "Write"), c.offset, c.size)


def _blkparse(c: Columns) -> str:
    number, sector, sectors = np.arange(1, len(c.time) + 1), c.offset // SECTOR, c.size // SECTOR
    pattern = "  8,0    0 %8d %5d.%09d     1  Q %3s %d + %d [trace]"
    return _lines(pattern, number, *_seconds(c.time), _named(c.write, "R", "W"), sector, sectors)


def _seconds(time: LongArray) -> tuple[LongArray, LongArray]:
    return time // 10**9, time % 10**9


def _iolog2(c: Columns) -> str:
    return iolog2_text(c.time if c.timed else None, c.offset, c.size, c.write)


def _iolog3(c: Columns) -> str:
    header = "fio version 3 iolog\n0 /dev/trace add\n0 /dev/trace open\n"
    text = _lines("%d /dev/trace %s %d %d", c.time, _named(c.write, "read", "write"), c.offset, c.size, header=header)
    return f"{text}{c.time[-1]} /dev/trace close\n"


def _spc(c: Columns) -> str:
    return _lines("0,%d,%d,%s,%d.%09d", c.offset // SECTOR, c.size, _named(c.write, "r", "w"), *_seconds(c.time))


def _lis(c: Columns) -> str:
    return _lines("%d %d 0 %d", c.offset // SECTOR, c.size // SECTOR, np.arange(len(c.time)))


def _alibaba(c: Columns) -> str:
    return _lines("0,%s,%d,%d,%d", _named(c.write, "R", "W"), c.offset, c.size, c.time)


def _tencent(c: Columns) -> str:
    return _lines("%d,%d,%d,%d,0", c.time, c.offset // SECTOR, c.size // SECTOR, c.write)


def _systor17(c: Columns) -> str:
    header = "Timestamp,Response,IOType,LUN,Offset,Size\n"
    return _lines("%d.%09d,0,%s,0,%d,%d", *_seconds(c.time), _named(c.write, "R", "W"), c.offset, c.size, header=header)


def _table(c: Columns) -> str:
    op = _named(c.write, "R", "W")
    if not c.timed:
        return _lines("%s,%d,%d", op, c.offset, c.size, header="op,offset_bytes,size_bytes\n")
    return _lines("%d,%s,%d,%d", c.time, op, c.offset, c.size, header="ts_ns,op,offset_bytes,size_bytes\n")


WRITERS: dict[str, Writer] = {
    "alibaba": Writer(1000, _alibaba, ("times below 1 us",)),
    "blkparse": Writer(1, _blkparse, (), SECTOR),
    "blktrace": Writer(1, lambda c: blktrace_bytes(c.time, c.offset, c.size, c.write), (), SECTOR, LIMIT_32),
    "fio_iolog2": Writer(1000, _iolog2, ("times below 1 us",)),
    "fio_iolog3": Writer(1000, _iolog3, ("times below 1 us",)),
    "lis": Writer(0, _lis, ("clock", "writes"), SECTOR),
    "msr": Writer(100, _msr, ("times below 100 ns",)),
    "oracle_general": Writer(
        10**9, lambda c: oracle_bytes(c.time, c.offset, c.size, SECTOR), ("times below 1 s", "writes"), SECTOR,
        LIMIT_32, LIMIT_32,
    ),
    "spc": Writer(1, _spc, (), SECTOR),
    "systor17": Writer(1, _systor17),
    "table": Writer(1, _table),
    "tencent": Writer(10**9, _tencent, ("times below 1 s",), SECTOR),
    "vscsi1": Writer(1000, lambda c: vscsi_bytes(c.time, c.offset, c.size, c.write, "vscsi1"), ("times below 1 us",),
                     SECTOR, LIMIT_32),
    "vscsi2": Writer(1000, lambda c: vscsi_bytes(c.time, c.offset, c.size, c.write, "vscsi2"), ("times below 1 us",),
                     SECTOR, LIMIT_32),
}  # fmt: skip
LOSSES = {name: writer.losses for name, writer in WRITERS.items()}
