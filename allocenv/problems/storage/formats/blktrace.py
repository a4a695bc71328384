"""blktrace's binary records (linux/blktrace_api.h), of either byte order: 48 bytes and a note of `pdu_len`.

Events Q (queued) with data to read or write are the requests. Each processor writes its own buffer, so the
records of a file are in no order; they are put in order of time, as blkparse does.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from allocenv.core.arrays import Array
from allocenv.core.files import InputError
from allocenv.core.kernel import kernel
from allocenv.problems.storage.formats.raw import SECTOR, Bad, Raw, Units, joined
from allocenv.problems.storage.formats.records import long
from allocenv.problems.storage.formats.stream import blocks, head

UNITS = Units(1, SECTOR, 1, "record", "time", "sector", "bytes", "action")
MAGIC = 0x65617407  # BLK_IO_TRACE_MAGIC | BLK_IO_TRACE_VERSION
QUEUE = 1  # __BLK_TA_QUEUE, in the low half of `action`
WRITE, DISCARD, NOTIFY = 1 << 17, 1 << 29, 1 << 26  # BLK_TC_*, in the high half
_FIELDS = (
    ("magic", "u4"), ("sequence", "u4"), ("time", "u8"), ("sector", "u8"), ("bytes", "u4"), ("action", "u4"),
    ("pid", "u4"), ("device", "u4"), ("cpu", "u4"), ("error", "u2"), ("pdu_len", "u2"),
)  # fmt: skip
LITTLE: np.dtype[Any] = np.dtype([(name, "<" + kind) for name, kind in _FIELDS])
BIG: np.dtype[Any] = np.dtype([(name, ">" + kind) for name, kind in _FIELDS])
SIZE = LITTLE.itemsize


def byte_order(first: bytes) -> np.dtype[Any] | None:
    """The records of a file that begins so; None: they are not blktrace's."""
    return {MAGIC.to_bytes(4, "little"): LITTLE, MAGIC.to_bytes(4, "big"): BIG}.get(first[:4])


def read_blktrace(path: str, limit: int | None, skip_bad: bool) -> tuple[Raw, Bad, int]:
    """The queued reads and writes, what is bad, and how many other records there are.

    Raises:
        InputError: a record that does not begin with the magic number, or a part of one at the end.
    """
    dtype = byte_order(head(path, 4))
    if dtype is None:
        raise InputError(path, "record 1, magic", head(path, 4), f"{MAGIC:#x} in either byte order")
    magic = np.frombuffer(np.array([MAGIC], dtype["magic"]).tobytes(), np.uint8)
    parts, bad, others, done, left = [], Bad(), 0, 0, b""
    for block in blocks(path):
        data = left + block
        starts = np.empty(len(data) // SIZE + 1, np.int64)
        state = np.zeros(3, np.int64)  # where reading stopped, bad stretches, whether inside of one
        n = walk(np.frombuffer(data, np.uint8), magic, dtype is BIG, skip_bad, starts, state)
        if state[1]:
            found = data[state[0] : state[0] + 4] if not skip_bad else b"other bytes"
            error = InputError(path, f"record {done + n + 1}, magic", found, f"{MAGIC:#x}")
            if not skip_bad:
                raise error
            bad = bad.with_more(int(state[1]), error)
        bytes_ = (
            np.frombuffer(data, np.uint8)[starts[:n, None] + np.arange(SIZE)] if n else np.empty((0, SIZE), np.uint8)
        )
        records = np.ascontiguousarray(bytes_).view(dtype).ravel()
        raw, passed = _queued(records, done)
        parts.append(raw)
        others, done, left = others + passed, done + n, data[state[0] :]
    if left:
        cut = InputError(path, f"record {done + 1}", f"{len(left)} bytes", f"a whole record of {SIZE} and its note")
        if not skip_bad:
            raise cut
        bad = bad.with_more(1, cut)
    raw = joined(parts)
    if raw.time is not None and raw.volume is not None:
        device = np.unique(raw.volume, return_inverse=True)[1].astype(np.int64)
        raw = replace(raw, volume=device).rows(np.argsort(raw.time, kind="stable"))
    return (raw if limit is None else raw.rows(slice(0, limit))), bad, others


@kernel
def walk(data, magic, big, skip_bad, starts, state):
    """Note where whole records begin. Stops at a part of one, or where the magic number is missing."""
    at, n, inside = np.int64(0), 0, False
    while at + 48 <= len(data):
        same = True
        for i in range(4):
            same &= data[at + i] == magic[i]
        if not same:
            state[1] += not inside
            if not skip_bad:
                break
            inside = True
            at += 1
            continue
        low, high = np.int64(data[at + 46]), np.int64(data[at + 47])
        note = low * 256 + high if big else high * 256 + low
        if at + 48 + note > len(data):
            break
        inside = False
        starts[n] = at
        n += 1
        at += 48 + note
    state[0] = at
    return n


def _queued(records: Array, done: int) -> tuple[Raw, int]:
    action = records["action"]
    taken = (action & 0xFFFF == QUEUE) & (action & (NOTIFY | DISCARD) == 0) & (records["bytes"] > 0)
    queued = records[taken]
    number = np.flatnonzero(taken) + done + 1
    write = (queued["action"] & WRITE != 0).astype(np.int64)
    raw = Raw(
        number, long(queued["time"]), long(queued["sector"]), long(queued["bytes"]), write, long(queued["device"])
    )
    return raw, int(len(records) - len(queued))


def blktrace_bytes(time: Array, offset: Array, size: Array, write: Array) -> bytes:
    """Requests as little-endian Q records."""
    records = np.zeros(len(offset), LITTLE)
    records["magic"], records["sequence"] = MAGIC, np.arange(1, len(offset) + 1)
    records["time"], records["sector"], records["bytes"] = time, offset // SECTOR, size
    records["action"] = QUEUE | (1 << 20) | np.where(write, WRITE, 1 << 16)
    records["device"] = 8 << 20
    return records.tobytes()
