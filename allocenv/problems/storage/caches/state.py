"""What does a cache-replacement policy remember? Arrays over page numbers, one type for all policies.

A page lies on at most one list, held or remembered (ghost). A list is a ring through a sentinel of its own:
from the sentinel the older neighbour is the newest page, the newer neighbour is the oldest.
"""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, IntArray, LongArray

HIT = -2  # what an access returns, else the page that left
ADMITTED = -1

CACHES = {
    "fifo": "first in, first out",
    "lru": "least recently used",
    "clock": "FIFO that gives pages used since a second chance (1 bit)",
    "sieve": "a hand drops pages not used since it last passed; nothing moves on a hit",
    "lfu": "least frequently used while held, FIFO among equals",
    "2q": "FIFO of newcomers (25 %), LRU of pages seen again (ghosts: 50 %)",
    "arc": "recency and frequency lists, whose shares follow ghost hits",
    "s3fifo": "small FIFO (10 %) filters for a main FIFO with 2-bit counters (ghosts: 90 %)",
    "wtinylfu": "LRU window (1 %), then frequency sketch decides who enters a segmented LRU",
    "belady": "the future known: hold the pages used next (MIN with bypass)",
}
KINDS = tuple(CACHES)
FIFO, LRU, CLOCK, SIEVE, LFU, TWO_Q, ARC, S3_FIFO, W_TINY_LFU, BELADY = range(len(KINDS))

NOWHERE = 0  # lists; below FIRST_GHOST they hold pages, from there on they remember pages that left
FIRST_GHOST = 4
LISTS = 6
OLDER, NEWER = 0, 1

KIND, CAPACITY, HELD, HAND, FREE_GROUP, SAMPLED, SEED = range(7)  # places in `scalars`
SIZE = 7  # + list
LIMIT = SIZE + LISTS  # + list
SCALARS = LIMIT + LISTS

SKETCH_ROWS = 4


class Cache(NamedTuple):
    """One cache over M pages, written in place; a policy's own arrays are empty for the others."""

    scalars: LongArray  # [SCALARS]
    where: Array  # [M] int8, the list a page lies on
    links: IntArray  # [M + LISTS, 2]  older, newer; sentinels behind the pages
    uses: IntArray  # [M + LISTS]  hits or frequency; slot in the heap (Belady)
    group: IntArray  # [M + LISTS]  pages of equal frequency (LFU)
    top: IntArray  # [G] newest page of a group, or the next free group (LFU)
    share: Array  # [1] float64, pages that the recency list may hold (ARC: p)
    sketch: Array  # [SKETCH_ROWS, W] uint8 counters up to 15, W a power of 2 (W-TinyLFU)
    heap: IntArray  # [H] pages, the one used last on top (Belady)
    next_use: LongArray  # [M] of held pages (Belady)


def new_cache(name: str, n_pages: int, capacity: int, seed: int = 0) -> Cache:
    """An empty cache.

    Args:
        name: one of CACHES.
        n_pages: M, pages are numbered 0..M-1.
        capacity: pages held at most, at least 1.
        seed: of the hash functions (W-TinyLFU only).

    Raises:
        ValueError: unknown name, no page, capacity below 1.
    """
    if name not in CACHES:
        raise ValueError(f"Expected a cache among {', '.join(CACHES)}, got {name!r}.")
    if not 1 <= n_pages < 2**31 - LISTS:
        raise ValueError(f"Expected 1 <= n_pages < 2**31 - {LISTS}, got {n_pages}.")
    if capacity < 1:
        raise ValueError(f"Expected capacity >= 1, got {capacity}.")
    kind, rows = KINDS.index(name), n_pages + LISTS
    held = min(capacity, n_pages)
    scalars = np.zeros(SCALARS, np.int64)
    scalars[[KIND, CAPACITY, HAND, SEED]] = kind, capacity, n_pages + 1, seed % 2**32
    scalars[LIMIT : LIMIT + LISTS] = _limits(kind, capacity)
    return Cache(
        scalars=scalars,
        where=np.zeros(n_pages, np.int8),
        links=np.repeat(np.arange(rows, dtype=np.int32)[:, None], 2, axis=1),
        uses=np.zeros(rows, np.int32),
        group=np.full(rows if kind == LFU else 0, -1, np.int32),
        top=np.arange(1, held + 2 if kind == LFU else 1, dtype=np.int32),
        share=np.zeros(1),
        sketch=np.zeros((SKETCH_ROWS, _sketch_width(held) if kind == W_TINY_LFU else 0), np.uint8),
        heap=np.zeros(held if kind == BELADY else 0, np.int32),
        next_use=np.zeros(n_pages if kind == BELADY else 0, np.int64),
    )


def _limits(kind: int, capacity: int) -> list[int]:
    """How many pages each list may take, by the shares that the papers recommend."""
    limits = [capacity] * LISTS
    if kind == TWO_Q:  # newcomers, -, -, -, ghosts; at least one newcomer, as tiny caches must work too
        limits[1], limits[4] = max(1, int(0.25 * capacity)), max(1, int(0.5 * capacity))
    elif kind == S3_FIFO:  # small, main, -, -, ghosts
        limits[1] = max(1, int(0.1 * capacity))
        limits[2], limits[4] = capacity - limits[1], int(0.9 * capacity)
    elif kind == W_TINY_LFU:  # window, probation, protected
        limits[1] = max(1, capacity - int(0.99 * capacity))
        limits[2] = capacity - limits[1]  # probation and protected together
        limits[3] = int(0.8 * limits[2])
    return limits


def _sketch_width(held: int) -> int:
    """Counters a row: four for each page held, as in Caffeine, rounded up to a power of 2."""
    return 4 << (held - 1).bit_length()
