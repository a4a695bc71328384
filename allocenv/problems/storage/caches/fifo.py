"""Which page leaves first? FIFO: the one admitted first.

One list, newest to oldest. No variant: libCacheSim's FIFO is the textbook's.
"""

from allocenv.core.kernel import inlined, kernel
from allocenv.problems.storage.caches.lists import leave, oldest, push
from allocenv.problems.storage.caches.state import ADMITTED, CAPACITY, HIT, NOWHERE, SIZE

QUEUE = 1


@inlined
def fifo_access(c, page):
    """HIT, ADMITTED or the page that left."""
    if c.where[page] != NOWHERE:
        return HIT
    victim = ADMITTED
    if c.scalars[SIZE + QUEUE] == c.scalars[CAPACITY]:
        victim = oldest(c, QUEUE)
        leave(c, victim)
    push(c, page, QUEUE)
    return victim


@kernel
def fifo_misses(c, accesses):
    """How many of the accesses miss."""
    misses = 0
    for k in range(len(accesses)):
        misses += fifo_access(c, accesses[k]) != HIT
    return misses
