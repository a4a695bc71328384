"""Which page leaves first? CLOCK: the oldest, but one used since goes round once more.

Corbató, A Paging Experiment with the Multics System, 1968; one bit a page, as libCacheSim's default. The
clock's hand is written as a FIFO that re-inserts.
"""

from allocenv.core.kernel import inlined, kernel
from allocenv.problems.storage.caches.lists import leave, oldest, push, refresh
from allocenv.problems.storage.caches.state import ADMITTED, CAPACITY, HIT, NOWHERE, SIZE

QUEUE = 1


@inlined
def clock_access(c, page):
    """HIT, ADMITTED or the page that left."""
    if c.where[page] != NOWHERE:
        c.uses[page] = 1
        return HIT
    victim = ADMITTED
    if c.scalars[SIZE + QUEUE] == c.scalars[CAPACITY]:
        victim = oldest(c, QUEUE)
        while c.uses[victim]:
            c.uses[victim] = 0
            refresh(c, victim, QUEUE)
            victim = oldest(c, QUEUE)
        leave(c, victim)
    push(c, page, QUEUE)
    return victim


@kernel
def clock_misses(c, accesses):
    """How many of the accesses miss."""
    misses = 0
    for k in range(len(accesses)):
        misses += clock_access(c, accesses[k]) != HIT
    return misses
