"""How few misses are possible? Belady's MIN with bypass: hold the pages that are used next.

Belady, IBM Systems Journal 1966; with bypass a page that is used again later than all pages held is refused,
and so is one that is never used again. O(log capacity) an access, through a heap of the pages held.
"""

import numpy as np

from allocenv.core.arrays import IntArray, LongArray
from allocenv.core.kernel import inlined, kernel
from allocenv.problems.storage.caches.heap import sift_down, sift_up
from allocenv.problems.storage.caches.state import ADMITTED, CAPACITY, HELD, HIT, NOWHERE

NEVER = 2**62
HELD_LIST = 1


def next_uses(accesses: IntArray, n_pages: int) -> LongArray:
    """[P] when the page of each of the accesses [P] is accessed next: a place in `accesses`, or NEVER."""
    out = np.empty(len(accesses), np.int64)
    _next_uses(accesses, np.full(n_pages, NEVER, np.int64), out)
    return out


@kernel
def _next_uses(accesses, following, out):
    """Fill `out` [P] backwards; `following` [M]: the earliest access of each page seen so far."""
    for k in range(len(accesses) - 1, -1, -1):
        out[k] = following[accesses[k]]
        following[accesses[k]] = k


@inlined
def belady_access(c, page, next_use):
    """HIT, ADMITTED, the page that left, or the page itself where it is refused.

    Args:
        c: the cache.
        page: asked for now.
        next_use: when it is asked for next, on any clock that rises; NEVER: not again.
    """
    if c.where[page] != NOWHERE:
        c.next_use[page] = next_use
        sift_up(c.heap, c.uses, c.next_use, c.uses[page], page)
        return HIT
    if next_use >= NEVER:
        return page
    held = c.scalars[HELD]
    if held < c.scalars[CAPACITY]:
        c.scalars[HELD] += 1
        _hold(c, page, next_use)
        sift_up(c.heap, c.uses, c.next_use, held, page)
        return ADMITTED
    victim = c.heap[0]
    if next_use >= c.next_use[victim]:
        return page
    c.where[victim] = NOWHERE
    _hold(c, page, next_use)
    sift_down(c.heap, c.uses, c.next_use, held, 0, page)
    return victim


@inlined
def _hold(c, page, next_use):
    c.where[page] = HELD_LIST
    c.next_use[page] = next_use


@kernel
def belady_misses(c, accesses, next_use):
    """How many of the accesses [P] miss, given their next uses [P]."""
    misses = 0
    for k in range(len(accesses)):
        misses += belady_access(c, accesses[k], next_use[k]) != HIT
    return misses
