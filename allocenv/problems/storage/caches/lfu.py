"""Which page leaves first? LFU: the one used least often since it came in, the longest at that count first.

In O(1) after Shah, Mitra and Matani (2010). Variant as in libCacheSim: a page that left is forgotten, so it
comes back with count 1; FIFO among pages of equal count, in the order in which they reached it.
One list runs from the least used, oldest page to the most used, newest; `top` marks where each count ends.
"""

from allocenv.core.kernel import inlined, kernel
from allocenv.problems.storage.caches.lists import link, oldest, sentinel, unlink
from allocenv.problems.storage.caches.state import (
    ADMITTED,
    CAPACITY,
    FREE_GROUP,
    HELD,
    HIT,
    NEWER,
    NOWHERE,
    OLDER,
)

QUEUE = 1


@inlined
def lfu_access(c, page):
    """HIT, ADMITTED or the page that left."""
    if c.where[page] != NOWHERE:
        _raise(c, page)
        return HIT
    victim = ADMITTED
    if c.scalars[HELD] == c.scalars[CAPACITY]:
        victim = oldest(c, QUEUE)
        _retreat(c, victim)
        unlink(c, victim)
        c.where[victim] = NOWHERE
        c.scalars[HELD] -= 1
    ring = sentinel(c, QUEUE)
    _join(c, page, 1, c.links[ring, NEWER], ring)
    c.where[page] = QUEUE
    c.scalars[HELD] += 1
    return victim


@inlined
def _raise(c, page):
    """Move a page to the next count."""
    last = c.top[c.group[page]]
    above = c.links[last, NEWER]
    below = c.links[page, OLDER] if last == page else last
    _retreat(c, page)
    unlink(c, page)
    _join(c, page, c.uses[page] + 1, above, below)


@inlined
def _retreat(c, page):
    """End a page's group below it where it was the last one, and free the group where it was alone."""
    group, below = c.group[page], c.links[page, OLDER]
    if c.top[group] != page:
        return
    if c.group[below] == group:
        c.top[group] = below
    else:
        c.top[group] = c.scalars[FREE_GROUP]
        c.scalars[FREE_GROUP] = group


@inlined
def _join(c, page, count, above, below):
    """Link a page as the newest of its count: into the group of `above`, else a new one between the two."""
    if c.uses[above] == count:
        group = c.group[above]
        below = c.top[group]
    else:
        group = c.scalars[FREE_GROUP]
        c.scalars[FREE_GROUP] = c.top[group]
    link(c, page, below)
    c.uses[page] = count
    c.group[page] = group
    c.top[group] = page


@kernel
def lfu_misses(c, accesses):
    """How many of the accesses miss."""
    misses = 0
    for k in range(len(accesses)):
        misses += lfu_access(c, accesses[k]) != HIT
    return misses
