"""Small traces, and files of every format made of them."""

import numpy as np
from hypothesis import strategies as st

from allocenv.problems.storage.formats.write import WRITERS
from allocenv.problems.storage.trace import Trace

ENDS = ("", ".gz", ".xz")
NAMES = {
    "oracle_general": "t.oracleGeneral",
    "lis": "t.lis",
    "vscsi1": "t.vscsi1",
    "vscsi2": "t.vscsi2",
    "blktrace": "t.blktrace.0",
    "blkparse": "t.blkparse",
}

pages = st.lists(
    st.tuples(st.integers(0, 10**12), st.integers(0, 2**35), st.integers(1, 300), st.booleans()),
    min_size=1,
    max_size=20,
)


def trace_of(rows, page_bytes=4096, timed=True):
    """A trace of rows (ns since the row before, page, pages, write)."""
    gap, page, count, write = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    time = np.cumsum(gap) if timed else None
    return Trace.of("t", time, page * page_bytes, count * page_bytes, write, None, page_bytes)


def example(n=200, seed=0):
    """A trace of n requests."""
    rng = np.random.default_rng(seed)
    rows = np.stack(
        [rng.integers(0, 10**9, n), rng.integers(0, 5000, n), rng.integers(1, 9, n), rng.integers(0, 2, n)], 1
    )
    return trace_of(rows)


def file_name(format, end=""):
    """A name that a file of the format has."""
    return NAMES.get(format, "t.csv") + end


def as_kept(trace, format):
    """Time, first page, pages and write as a file of the format can hold them."""
    unit, losses, r = WRITERS[format].time_ns, WRITERS[format].losses, trace.requests
    time = (r.time // unit - r.time[0] // unit) * unit if unit else 0 * r.time
    write = np.zeros_like(r.write) if "writes" in losses else r.write
    return time.tolist(), r.first.tolist(), r.pages.tolist(), write.tolist()


def as_read(trace):
    """The same of a trace that was read."""
    r = trace.requests
    return r.time.tolist(), r.first.tolist(), r.pages.tolist(), r.write.tolist()
