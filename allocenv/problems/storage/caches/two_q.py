"""Which page leaves first? 2Q: newcomers pass through a FIFO; only pages asked for again enter the LRU.

Johnson and Shasha, VLDB 1994, full version: Kin 25 %, Kout 50 % of the capacity; libCacheSim's is the same.
Lists: A1in (newcomers), Am (LRU), A1out (ghosts of newcomers). For a capacity below 4, where libCacheSim
holds nothing, Kin is 1.
"""

from allocenv.core.kernel import inlined, kernel
from allocenv.problems.storage.caches.lists import leave, oldest, push, refresh, shift
from allocenv.problems.storage.caches.state import ADMITTED, CAPACITY, HIT, LIMIT, SIZE

NEWCOMERS, MAIN, GHOSTS = 1, 2, 4


@inlined
def two_q_access(c, page):
    """HIT, ADMITTED or the page that left."""
    at = c.where[page]
    if at == NEWCOMERS:
        return HIT
    if at == MAIN:
        refresh(c, page, MAIN)
        return HIT
    if at == GHOSTS:
        leave(c, page)
    s = c.scalars
    victim = ADMITTED
    if s[SIZE + NEWCOMERS] + s[SIZE + MAIN] == s[CAPACITY]:
        victim = _evict(c)
    push(c, page, MAIN if at == GHOSTS else NEWCOMERS)
    return victim


@inlined
def _evict(c):
    s = c.scalars
    if s[SIZE + NEWCOMERS] <= s[LIMIT + NEWCOMERS] and s[SIZE + MAIN] > 0:
        victim = oldest(c, MAIN)
        leave(c, victim)
        return victim
    victim = oldest(c, NEWCOMERS)
    shift(c, victim, GHOSTS)
    if s[SIZE + GHOSTS] > s[LIMIT + GHOSTS]:
        leave(c, oldest(c, GHOSTS))
    return victim


@kernel
def two_q_misses(c, accesses):
    """How many of the accesses miss."""
    misses = 0
    for k in range(len(accesses)):
        misses += two_q_access(c, accesses[k]) != HIT
    return misses
