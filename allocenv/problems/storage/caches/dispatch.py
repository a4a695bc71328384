"""What does any of the policies do on an access? One kernel for all, chosen by the cache's kind."""

import numpy as np

from allocenv.core.arrays import IntArray
from allocenv.core.kernel import kernel
from allocenv.problems.storage.caches.arc import arc_access, arc_misses
from allocenv.problems.storage.caches.belady import belady_access, belady_misses, next_uses
from allocenv.problems.storage.caches.clock import clock_access, clock_misses
from allocenv.problems.storage.caches.fifo import fifo_access, fifo_misses
from allocenv.problems.storage.caches.lfu import lfu_access, lfu_misses
from allocenv.problems.storage.caches.lru import lru_access, lru_misses
from allocenv.problems.storage.caches.s3_fifo import s3_fifo_access, s3_fifo_misses
from allocenv.problems.storage.caches.sieve import sieve_access, sieve_misses
from allocenv.problems.storage.caches.state import (
    ARC,
    BELADY,
    CLOCK,
    FIFO,
    FIRST_GHOST,
    KIND,
    LFU,
    LRU,
    NOWHERE,
    S3_FIFO,
    SIEVE,
    TWO_Q,
    W_TINY_LFU,
    Cache,
)
from allocenv.problems.storage.caches.two_q import two_q_access, two_q_misses
from allocenv.problems.storage.caches.w_tiny_lfu import w_tiny_lfu_access, w_tiny_lfu_misses

_MISSES = (
    fifo_misses,
    lru_misses,
    clock_misses,
    sieve_misses,
    lfu_misses,
    two_q_misses,
    arc_misses,
    s3_fifo_misses,
    w_tiny_lfu_misses,
)  # in the order of KINDS; Belady's needs the future as well


@kernel
def access(c, page):
    """HIT, ADMITTED, or the page that left: the page itself where it is refused.

    Belady, who is not told the future here, refuses every page; see `access_knowing`.
    """
    kind = c.scalars[KIND]
    if kind == FIFO:
        return fifo_access(c, page)
    if kind == LRU:
        return lru_access(c, page)
    if kind == CLOCK:
        return clock_access(c, page)
    if kind == SIEVE:
        return sieve_access(c, page)
    if kind == LFU:
        return lfu_access(c, page)
    if kind == TWO_Q:
        return two_q_access(c, page)
    if kind == ARC:
        return arc_access(c, page)
    if kind == S3_FIFO:
        return s3_fifo_access(c, page)
    if kind == W_TINY_LFU:
        return w_tiny_lfu_access(c, page)
    return page


@kernel
def access_knowing(c, page, next_use):
    """As `access`, for Belady too: `next_use` is when the page is asked for next, NEVER where it is not."""
    if c.scalars[KIND] == BELADY:
        return belady_access(c, page, next_use)
    return access(c, page)


@kernel
def contains(c, page):
    """Whether the cache holds the page."""
    return NOWHERE < c.where[page] < FIRST_GHOST


def count_misses(c: Cache, accesses: IntArray) -> int:
    """How many of the accesses [P] miss; the cache goes on from where it stands.

    Raises:
        ValueError: a page that the cache does not number.
    """
    accesses = np.ascontiguousarray(accesses, np.int32)
    if len(accesses) and not 0 <= accesses.min() <= accesses.max() < len(c.where):
        raise ValueError(f"Expected pages 0..{len(c.where) - 1}, got {accesses.min()}..{accesses.max()}.")
    kind = int(c.scalars[KIND])
    if kind == BELADY:
        return int(belady_misses(c, accesses, next_uses(accesses, len(c.where))))
    return int(_MISSES[kind](c, accesses))
