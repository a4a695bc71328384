"""fio's iolog, versions 2 and 3 (fio's documentation, "Trace file format").

Version 2: `file action offset length`, and `file wait us [0]`, relative to the wait before. Without any wait
there is no clock. Version 3 (fio 3.31) begins each line with microseconds.
"""

from dataclasses import replace

import numpy as np

from allocenv.core.arrays import Array
from allocenv.problems.storage.formats.raw import Bad, Raw, Units
from allocenv.problems.storage.formats.text import Column, Lines, read_lines
from allocenv.problems.storage.formats.tokens import ACTION, BLANK, INTEGER, NAME

UNITS = Units(time_ns=1000, time="timestamp", offset="offset", size="length", write="action")
_ACTION = (
    Column("filename", NAME),
    Column("action", ACTION, "write"),
    Column("offset", INTEGER, "offset"),
    Column("length", INTEGER, "size"),
)
VERSION_2 = Lines(_ACTION, UNITS, BLANK, loose=1)
VERSION_3 = Lines((Column("timestamp", INTEGER, "time"), *_ACTION), UNITS, BLANK)


def read_iolog2(path: str, limit: int | None, skip_bad: bool) -> tuple[Raw, Bad, int]:
    """As `text.read_lines`; waits become the clock."""
    raw, bad, others = read_lines(path, VERSION_2, None, skip_bad)
    waits = raw.write == 2 if raw.write is not None else np.zeros(0, np.bool_)
    if waits.any():
        clock = np.cumsum(np.where(waits & (raw.offset > 0), raw.offset, 0))
        raw = replace(raw, time=clock).rows(~waits)
    return raw if limit is None else raw.rows(slice(0, limit)), bad, others


def iolog2_text(time: Array | None, offset: Array, size: Array, write: Array) -> str:
    """Requests as version 2; `time` in microseconds."""
    lines = ["fio version 2 iolog", "/dev/trace add", "/dev/trace open"]
    before = 0
    times = [0] * len(offset) if time is None else time.tolist()
    for t, o, s, w in zip(times, offset.tolist(), size.tolist(), write.tolist(), strict=True):
        if t > before:
            lines.append(f"/dev/trace wait {t - before} 0")
            before = t
        lines.append(f"/dev/trace {'write' if w else 'read'} {o} {s}")
    return "\n".join([*lines, "/dev/trace close", ""])
