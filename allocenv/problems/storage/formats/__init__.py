"""Reading block traces as they are published and as tools write them: which reader takes which file?

A new text format is a `Lines` in `plain_text.py` and a name in `TEXT`; another kind of file is a function
`(path, limit, skip_bad) -> (Raw, Bad, others)` in `_reader`. What tells it apart belongs in `detect.py`, its
writer in `write.py`.
"""

import os
from collections.abc import Callable

from allocenv.core.files import InputError
from allocenv.problems.storage.formats import libcachesim, plain_text
from allocenv.problems.storage.formats.blktrace import UNITS as BLKTRACE_UNITS
from allocenv.problems.storage.formats.blktrace import read_blktrace
from allocenv.problems.storage.formats.detect import detect_format
from allocenv.problems.storage.formats.iolog import UNITS as IOLOG_UNITS
from allocenv.problems.storage.formats.iolog import VERSION_3, read_iolog2
from allocenv.problems.storage.formats.raw import SECTOR, Bad, Raw, Read, Units, sound, to_trace
from allocenv.problems.storage.formats.stream import bare_name, head
from allocenv.problems.storage.formats.text import Lines, read_lines
from allocenv.problems.storage.formats.write import LOSSES, write_trace
from allocenv.problems.storage.trace import PAGE_BYTES, Trace

__all__ = ["FORMATS", "LOSSES", "Read", "detect_format", "read_requests", "read_trace", "write_trace"]

TEXT = {
    "alibaba": plain_text.ALIBABA,
    "blkparse": plain_text.BLKPARSE,
    "fio_iolog3": VERSION_3,
    "msr": plain_text.MSR,
    "spc": plain_text.SPC,
    "systor17": plain_text.SYSTOR17,
    "tencent": plain_text.TENCENT,
}
FORMATS = (
    *TEXT, "blktrace", "fio_iolog2", "lis", "oracle_general", "table", "u32le", "vscsi", "vscsi1", "vscsi2",
)  # fmt: skip


def read_trace(
    path: str | os.PathLike[str],
    format: str | None = None,
    *,
    page_bytes: int = PAGE_BYTES,
    max_requests: int | None = None,
    block_bytes: int | None = None,
    skip_bad: bool = False,
    sort: bool = False,
) -> Trace:
    """The trace of a file, as `read_requests` reads it.

    Raises:
        InputError: see there.
    """
    return read_requests(
        path,
        format,
        page_bytes=page_bytes,
        max_requests=max_requests,
        block_bytes=block_bytes,
        skip_bad=skip_bad,
        sort=sort,
    ).trace


def read_requests(
    path: str | os.PathLike[str],
    format: str | None = None,
    *,
    page_bytes: int = PAGE_BYTES,
    max_requests: int | None = None,
    block_bytes: int | None = None,
    skip_bad: bool = False,
    sort: bool = False,
) -> Read:
    """Read a trace file, packed with gzip, xz or zstd or not, and say what of it was left out.

    Args:
        path: the file.
        format: one of `FORMATS`; None: told by its content and name.
        page_bytes: of the trace's pages.
        max_requests: stop after so many reads and writes.
        block_bytes: of one block of `.lis`, `start_block` and oracleGeneral's ids; None: 512, but a page for
            ARC's OLTP, whose blocks are pages.
        skip_bad: leave bad lines or records out and count them instead of raising.
        sort: put requests in order of time, where a file notes them as they ended.

    Raises:
        InputError: names the file, the line or record, the field, the value found and what was expected.
    """
    if max_requests is not None and max_requests < 1:
        raise ValueError(f"Expected max_requests >= 1, got {max_requests}.")
    if page_bytes < 1 or (block_bytes is not None and block_bytes < 1):
        raise ValueError(f"Expected sizes of at least 1 byte, got {page_bytes} and {block_bytes}.")
    source = os.fspath(path)
    name = detect_format(source) if format is None else format
    if name not in FORMATS:
        raise InputError(source, "format", name, f"one of {', '.join(FORMATS)}")
    if block_bytes is None:
        block_bytes = page_bytes if "oltp" in bare_name(source).lower() else SECTOR
    read, units = _reader(source, name, block_bytes, page_bytes)
    raw, bad, others = read(source, max_requests, skip_bad)
    raw, more = sound(raw, units, source, skip_bad, sort)
    bad = bad.with_more(*more)
    if not len(raw.number) and bad.first is not None:
        raise bad.first
    trace = to_trace(raw, units, source, bare_name(source).partition(".")[0], page_bytes)
    return Read(trace, name, bad.n, str(bad.first or ""), others)


Reader = Callable[[str, int | None, bool], tuple[Raw, Bad, int]]


def _reader(source: str, name: str, block_bytes: int, page_bytes: int) -> tuple[Reader, Units]:
    if name in TEXT:
        return _of_lines(TEXT[name])
    if name == "lis":
        return _of_lines(plain_text.lis(block_bytes))
    if name == "table":
        header = head(source).decode("utf-8-sig", "replace").partition("\n")[0]
        lines = plain_text.table([field.strip() for field in header.split(",")], block_bytes)
        if lines is None:
            raise InputError(source, "line 1", header, "names of columns, as `ts_ns,op,offset_bytes,size_bytes`")
        return _of_lines(lines)
    if name == "fio_iolog2":
        return read_iolog2, IOLOG_UNITS
    if name == "blktrace":
        return read_blktrace, BLKTRACE_UNITS
    if name == "oracle_general":
        return libcachesim.read_oracle, libcachesim.oracle_units(block_bytes)
    if name == "u32le":
        return libcachesim.read_ids, Units(1, page_bytes, page_bytes, "record", offset="block id")
    version = libcachesim.detected_vscsi(source) if name == "vscsi" else name
    return lambda path, limit, skip: libcachesim.read_vscsi(path, version, limit, skip), libcachesim.VSCSI_UNITS


def _of_lines(lines: Lines) -> tuple[Reader, Units]:
    return lambda path, limit, skip: read_lines(path, lines, limit, skip), lines.units
