"""Which page leaves first? S3-FIFO: most pages fail in a small FIFO, the others live in a main FIFO.

Yang et al., FIFO Queues are All You Need for Cache Eviction, SOSP 2023, algorithm 1. Sizes as in libCacheSim:
small 10 %, main 90 %, ghosts of the small queue 90 % of the capacity; two hits move a page to main. For a
capacity below 20, where libCacheSim admits nothing, the small queue takes 1 page and the cache works.
"""

from allocenv.core.kernel import inlined, kernel
from allocenv.problems.storage.caches.lists import leave, oldest, push, refresh, shift
from allocenv.problems.storage.caches.state import ADMITTED, CAPACITY, FIRST_GHOST, HIT, LIMIT, NOWHERE, SIZE

SMALL, MAIN, GHOSTS = 1, 2, 4
MAX_HITS = 3  # 2 bits
HITS_TO_MAIN = 2


@inlined
def s3_fifo_access(c, page):
    """HIT, ADMITTED or the page that left."""
    at = c.where[page]
    if NOWHERE < at < FIRST_GHOST:
        c.uses[page] = min(c.uses[page] + 1, MAX_HITS)
        return HIT
    if at == GHOSTS:
        leave(c, page)
    s = c.scalars
    victim = ADMITTED
    if s[SIZE + SMALL] + s[SIZE + MAIN] == s[CAPACITY]:
        victim = _evict(c)
    c.uses[page] = 0
    push(c, page, MAIN if at == GHOSTS else SMALL)
    return victim


@inlined
def _evict(c):
    s = c.scalars
    if s[SIZE + MAIN] <= s[LIMIT + MAIN]:
        while s[SIZE + SMALL] > 0:
            page = oldest(c, SMALL)
            if c.uses[page] < HITS_TO_MAIN:
                return _to_ghosts(c, page)
            c.uses[page] = 0
            shift(c, page, MAIN)
    page = oldest(c, MAIN)
    while c.uses[page] > 0:
        c.uses[page] -= 1
        refresh(c, page, MAIN)
        page = oldest(c, MAIN)
    leave(c, page)
    return page


@inlined
def _to_ghosts(c, page):
    shift(c, page, GHOSTS)
    if c.scalars[SIZE + GHOSTS] > c.scalars[LIMIT + GHOSTS]:
        leave(c, oldest(c, GHOSTS))
    return page


@kernel
def s3_fifo_misses(c, accesses):
    """How many of the accesses miss."""
    misses = 0
    for k in range(len(accesses)):
        misses += s3_fifo_access(c, accesses[k]) != HIT
    return misses
