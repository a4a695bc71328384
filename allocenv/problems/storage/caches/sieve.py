"""Which page leaves first? SIEVE: the first not used since the hand last passed; survivors stay in place.

Zhang et al., SIEVE is Simpler than LRU, NSDI 2024, algorithm 1; libCacheSim's is the same.
"""

from allocenv.core.kernel import inlined, kernel
from allocenv.problems.storage.caches.lists import leave, oldest, push, sentinel
from allocenv.problems.storage.caches.state import ADMITTED, CAPACITY, HAND, HIT, NEWER, NOWHERE, SIZE

QUEUE = 1


@inlined
def sieve_access(c, page):
    """HIT, ADMITTED or the page that left."""
    if c.where[page] != NOWHERE:
        c.uses[page] = 1
        return HIT
    victim = ADMITTED
    if c.scalars[SIZE + QUEUE] == c.scalars[CAPACITY]:
        victim = _sweep(c)
        c.scalars[HAND] = c.links[victim, NEWER]
        leave(c, victim)
    push(c, page, QUEUE)
    return victim


@inlined
def _sweep(c):
    """The first unused page from the hand towards newer ones; clears the marks on the way."""
    ring = sentinel(c, QUEUE)
    page = c.scalars[HAND]
    if page == ring:
        page = oldest(c, QUEUE)
    while c.uses[page]:
        c.uses[page] = 0
        page = c.links[page, NEWER]
        if page == ring:
            page = oldest(c, QUEUE)
    return page


@kernel
def sieve_misses(c, accesses):
    """How many of the accesses miss."""
    misses = 0
    for k in range(len(accesses)):
        misses += sieve_access(c, accesses[k]) != HIT
    return misses
