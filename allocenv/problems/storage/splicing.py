"""Traces made of other traces: a part that forgets the rest, several one after the other."""

from collections.abc import Sequence

import numpy as np

from allocenv.core.arrays import Array
from allocenv.problems.storage.trace import Trace


def alone(trace: Trace, begin: int, end: int) -> Trace:
    """Requests begin..end-1 as a trace of their own: pages that none of them touches are not in it."""
    return spliced(trace.name, [trace.part(begin, end)])


def spliced(name: str, parts: Sequence[Trace]) -> Trace:
    """The requests of the parts one after the other. Parts of one name share their pages; others have their own.

    There is a clock where all parts have one; it stands still between two parts.

    Raises:
        ValueError: no parts, or parts of different page sizes.
    """
    if len({part.page_bytes for part in parts}) != 1:
        raise ValueError(f"Expected parts of one page size, got {sorted({p.page_bytes for p in parts})}.")
    page_bytes, timed = parts[0].page_bytes, all(part.timed for part in parts)
    columns: list[tuple[Array, ...]] = []
    names: dict[str, int] = {}
    now = 0
    for part in parts:
        r = part.requests
        volume = np.full(len(part), names.setdefault(part.name, len(names)))
        time = now + r.time - r.time[0]
        now = int(time[-1])
        columns.append((time, r.address[r.first], r.pages.astype(np.int64), r.write, volume))
    time, page, pages, write, volume = (np.concatenate(column) for column in zip(*columns, strict=True))
    clock = time if timed else None
    return Trace.of(name, clock, page * page_bytes, pages * page_bytes, write, volume, page_bytes)
