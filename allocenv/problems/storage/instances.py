"""Where do episodes begin? At a window of a trace, after the requests before it have filled the devices."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from allocenv.core.arrays import Array
from allocenv.problems.storage.sources import find_trace
from allocenv.problems.storage.trace import Trace


@dataclass(frozen=True, eq=False)
class Window:
    """Requests begin..end-1 of a trace, and how the devices stand before them.

    Args:
        trace: shared, never copied.
        begin, end: numbers of requests.
        warm: so many requests before the window have been served by LRU, without taking time.
        saved: arrays of an episode in the middle of the window, by name; it goes on from there.
    """

    trace: Trace
    begin: int
    end: int
    warm: int = 0
    saved: Mapping[str, Array] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.begin < self.end <= len(self.trace):
            raise ValueError(
                f"Expected 0 <= begin < end <= {len(self.trace)} requests of {self.trace.name}, "
                f"got {self.begin} and {self.end}."
            )
        if not 0 <= self.warm <= self.begin:
            raise ValueError(f"Expected warm from 0 to {self.begin}, the requests before it, got {self.warm}.")

    def __len__(self) -> int:
        return self.end - self.begin


def shuffled(window: Window, rng: np.random.Generator) -> Window:
    """The window with the requests of its second half in another order, at the same times."""
    r = window.trace.requests
    order = np.arange(len(r.first))
    middle = window.begin + len(window) // 2
    order[middle : window.end] = rng.permutation(order[middle : window.end])
    changed = r._replace(first=r.first[order], pages=r.pages[order], write=r.write[order])
    return replace(window, trace=replace(window.trace, requests=changed))


def share_requests(one: Window, other: Window) -> bool:
    """Whether a request of the same trace, whatever it is called, is in both windows."""
    if one.begin >= other.end or other.begin >= one.end:
        return False
    if one.trace is other.trace:
        return True
    ours, theirs = one.trace.requests, other.trace.requests
    return all(np.array_equal(getattr(ours, field), getattr(theirs, field)) for field in ours._fields)


class Source(Protocol):
    """Where a problem's windows come from."""

    @property
    def traces(self) -> tuple[Trace, ...]:
        """All traces that its windows lie in."""

    @property
    def longest(self) -> int:
        """No window has more requests."""

    def draw(self, rng: np.random.Generator) -> Window:
        """A window."""


@dataclass(frozen=True, eq=False)
class FirstHalf:
    """Windows of `length` requests anywhere in the first half of a trace; the second is for judging."""

    trace: Trace
    length: int
    warm: int

    @property
    def traces(self) -> tuple[Trace, ...]:
        return (self.trace,)

    @property
    def longest(self) -> int:
        return min(self.length, len(self.trace))

    def draw(self, rng: np.random.Generator) -> Window:
        begin = int(rng.integers(max(len(self.trace) // 2 - self.length, 0) + 1))
        return window_at(self.trace, begin, self.length, self.warm)


@dataclass(frozen=True, eq=False)
class Given:
    """The given windows, each as likely."""

    windows: tuple[Window, ...]

    def __post_init__(self) -> None:
        if not self.windows:
            raise ValueError("Expected at least one window, got none.")

    @property
    def traces(self) -> tuple[Trace, ...]:
        return tuple(dict.fromkeys(window.trace for window in self.windows))

    @property
    def longest(self) -> int:
        return max(len(window) for window in self.windows)

    def draw(self, rng: np.random.Generator) -> Window:
        return self.windows[int(rng.integers(len(self.windows)))]


def find_source(source: str | Trace | Source, length: int, warm: int) -> Source:
    """Windows of the trace of a name of `sources.TRACES`, of a file, or of the trace given.

    Raises:
        ValueError: an unknown name, or data that is not there; or an InputError of the file.
    """
    if isinstance(source, str):
        source = find_trace(source)
    return FirstHalf(source, length, warm) if isinstance(source, Trace) else source


def window_at(trace: Trace, begin: int, length: int, warm: int) -> Window:
    """A window of up to `length` requests, with up to `warm` before it."""
    return Window(trace, begin, min(begin + length, len(trace)), min(warm, begin))


def second_half_windows(trace: Trace, n: int, length: int, warm: int) -> list[Window]:
    """Up to `n` windows that do not overlap, evenly spread over the second half of a trace."""
    middle = len(trace) // 2
    fit = max(1, min(n, (len(trace) - middle) // length))
    stride = (len(trace) - middle) // fit
    return [window_at(trace, middle + i * stride, length, warm) for i in range(fit)]
