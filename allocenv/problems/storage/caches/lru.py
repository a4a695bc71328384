"""Which page leaves first? LRU: the one not used for longest.

One list, newest to oldest (Mattson et al., IBM Systems Journal 1970). No variant.
"""

from allocenv.core.kernel import inlined, kernel
from allocenv.problems.storage.caches.lists import leave, oldest, push, refresh
from allocenv.problems.storage.caches.state import ADMITTED, CAPACITY, HIT, NOWHERE, SIZE

QUEUE = 1


@inlined
def lru_access(c, page):
    """HIT, ADMITTED or the page that left."""
    if c.where[page] != NOWHERE:
        refresh(c, page, QUEUE)
        return HIT
    victim = ADMITTED
    if c.scalars[SIZE + QUEUE] == c.scalars[CAPACITY]:
        victim = oldest(c, QUEUE)
        leave(c, victim)
    push(c, page, QUEUE)
    return victim


@kernel
def lru_misses(c, accesses):
    """How many of the accesses miss."""
    misses = 0
    for k in range(len(accesses)):
        misses += lru_access(c, accesses[k]) != HIT
    return misses
