"""What is a block trace? Requests in order of arrival, over pages numbered without gaps.

Pages that no request touches do not exist here: the touched ones are numbered 0..M-1 in the order of their
addresses. All pages of one request are touched, so a request is a range of consecutive page numbers.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray, IntArray, LongArray

PAGE_BYTES = 4096


class Requests(NamedTuple):
    """The arrays of a trace as kernels take them, beside the state: shared, read-only, never copied."""

    time: LongArray  # [T] ns since the trace began, never falling
    first: IntArray  # [T] the first page
    pages: IntArray  # [T] how many, at least 1
    write: BoolArray  # [T]
    address: LongArray  # [M] rising; two pages are neighbours where their addresses are


@dataclass(frozen=True, eq=False)
class Trace:
    """Requests, and where their pages lie."""

    name: str
    requests: Requests
    timed: bool = True  # whether the source has a clock; all times are 0 otherwise
    page_bytes: int = PAGE_BYTES

    @classmethod
    def of(
        cls,
        name: str,
        time: Array | None,
        offset: Array,
        size: Array,
        write: Array,
        volume: Array | None = None,
        page_bytes: int = PAGE_BYTES,
    ) -> "Trace":
        """Number the pages of requests in bytes.

        Args:
            name: for tables and plots.
            time: [T] ns, not falling, from any origin; None: the source has no clock.
            offset: [T] bytes, from 0 to 2**63 - 1 with the size.
            size: [T] bytes, at least 1.
            write: [T] bool.
            volume: [T] small numbers of the volumes; None: there is one.
            page_bytes: of a page. A page that a request touches in part counts as touched.

        Raises:
            ValueError: no request; times that fall; a negative offset, a size below 1.
        """
        offset, size = np.asarray(offset, np.int64), np.asarray(size, np.int64)
        _expect(len(offset) > 0, "at least one request")
        _expect(bool((offset >= 0).all()), f"offsets of 0 and above, got {offset.min()}")
        _expect(bool((size >= 1).all()), f"sizes of at least 1 byte, got {size.min()}")
        _expect(bool((offset <= np.iinfo(np.int64).max - size).all()), "requests that end below 2**63 bytes")
        begin, end = offset // page_bytes, (offset + size - 1) // page_bytes + 1
        if volume is not None:
            shift = np.asarray(volume, np.int64) * _stride(end)
            begin, end = begin + shift, end + shift
        first, address = _numbered(begin, end)
        if time is None:
            clock = np.zeros(len(offset), np.int64)
        else:
            clock = np.asarray(time, np.int64) - int(time[0])
            _expect(bool((np.diff(clock) >= 0).all()), "times that never fall")
        requests = Requests(
            clock, first.astype(np.int32), (end - begin).astype(np.int32), np.asarray(write, np.bool_), address
        )
        return cls(name, requests, time is not None, page_bytes)

    def __len__(self) -> int:
        return len(self.requests.first)

    @property
    def n_pages(self) -> int:
        """M: pages that any request of the whole trace touches."""
        return len(self.requests.address)

    def part(self, begin: int, end: int) -> "Trace":
        """Requests begin..end-1; pages keep their numbers."""
        r = self.requests
        part = r._replace(
            time=r.time[begin:end], first=r.first[begin:end], pages=r.pages[begin:end], write=r.write[begin:end]
        )
        return replace(self, requests=part)

    def halves(self) -> tuple["Trace", "Trace"]:
        """The first half to learn on, the second to be judged on."""
        middle = len(self) // 2
        return self.part(0, middle), self.part(middle, len(self))

    @cached_property
    def page_accesses(self) -> IntArray:
        """[P] every page of every request, one after the other."""
        r = self.requests
        ends = np.cumsum(r.pages, dtype=np.int64)
        within = np.arange(ends[-1]) - np.repeat(ends - r.pages, r.pages)
        accesses: IntArray = (np.repeat(r.first, r.pages) + within).astype(np.int32)
        return accesses


def _numbered(begin: LongArray, end: LongArray) -> tuple[LongArray, LongArray]:
    """The number of each request's first page, and the address of every page, from ranges [begin, end)."""
    order = np.argsort(begin, kind="stable")
    start, reach = begin[order], np.maximum.accumulate(end[order])
    opens = np.concatenate([[True], start[1:] > reach[:-1]])  # a gap lies before it
    start, stop = start[opens], reach[np.concatenate([opens[1:], [True]])]
    before = np.concatenate([[0], np.cumsum(stop - start)])
    _expect(before[-1] < 2**31, f"fewer than 2**31 pages, got {before[-1]}")
    of = np.searchsorted(start, begin, side="right") - 1
    address = np.arange(before[-1]) + np.repeat(start - before[:-1], stop - start)
    return before[of] + begin - start[of], address


def _stride(end: LongArray) -> int:
    """Far enough apart that pages of two volumes are never neighbours."""
    return int(end.max()) + 2


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"Expected {what}.")
