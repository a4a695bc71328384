"""Which page leaves first? W-TinyLFU: of the page that leaves a small window and the oldest of the main part,
the one that was asked for less often lately.

Einziger, Friedman and Manes, TinyLFU, ACM Transactions on Storage 2017, section 4, with the sizes of its
authors' Caffeine: window 1 %, main part a segmented LRU of 20 % probation and 80 % protected; a count-min
sketch of 4-bit counters, halved after 10 accesses per page of capacity. Without the doorkeeper (as Caffeine),
without Caffeine's window that adapts its size and without its random tie-break. libCacheSim's variant differs.
"""

from allocenv.core.kernel import inlined, kernel
from allocenv.problems.storage.caches.lists import leave, oldest, push, refresh, shift
from allocenv.problems.storage.caches.state import (
    ADMITTED,
    CAPACITY,
    HIT,
    LIMIT,
    NOWHERE,
    SAMPLED,
    SEED,
    SIZE,
    SKETCH_ROWS,
)

WINDOW, PROBATION, PROTECTED = 1, 2, 3
MAX_COUNT = 15  # 4 bits
SAMPLE = 10  # accesses per page of capacity until the counters are halved

WORD = 2**32 - 1
MIX = 0x45D9F3B  # multiplier of a 32-bit mixer (T. Mueller, 2012); products stay below 2**63
STEP = 0x9E3779B9  # 2**32 / golden ratio


@inlined
def w_tiny_lfu_access(c, page):
    """HIT, ADMITTED or the page that left."""
    _note(c, page)
    at = int(c.where[page])
    if at == NOWHERE:
        push(c, page, WINDOW)
        if c.scalars[SIZE + WINDOW] <= c.scalars[LIMIT + WINDOW]:
            return ADMITTED
        return _contest(c)
    if at == PROBATION:
        shift(c, page, PROTECTED)
        if c.scalars[SIZE + PROTECTED] > c.scalars[LIMIT + PROTECTED]:
            shift(c, oldest(c, PROTECTED), PROBATION)
    else:
        refresh(c, page, at)
    return HIT


@inlined
def _contest(c):
    """Let the window's oldest page into the main part, in place of a page asked for less often."""
    s = c.scalars
    candidate = oldest(c, WINDOW)
    if s[SIZE + PROBATION] + s[SIZE + PROTECTED] < s[LIMIT + PROBATION]:
        shift(c, candidate, PROBATION)
        return ADMITTED
    if s[SIZE + PROBATION] > 0:
        victim = oldest(c, PROBATION)
        if _estimate(c, candidate) > _estimate(c, victim):
            leave(c, victim)
            shift(c, candidate, PROBATION)
            return victim
    leave(c, candidate)
    return candidate


@inlined
def _mix(x):
    """The 32 bits of x, well mixed."""
    x = (x ^ (x >> 16)) * MIX & WORD
    x = (x ^ (x >> 16)) * MIX & WORD
    return x ^ (x >> 16)


@inlined
def _hashes(c, page):
    """Where the page's counter lies in the first row of the sketch, and how far on in each further row.

    Double hashing: Kirsch and Mitzenmacher, Less Hashing, Same Performance, 2006.
    """
    start = _mix(page ^ c.scalars[SEED])
    return start, _mix((start + STEP) & WORD) | 1


@inlined
def _note(c, page):
    """Count an access; halve all counters when the sample is full."""
    start, step = _hashes(c, page)
    last = c.sketch.shape[1] - 1
    for row in range(SKETCH_ROWS):
        k = (start + row * step) & last
        if c.sketch[row, k] < MAX_COUNT:
            c.sketch[row, k] += 1
    c.scalars[SAMPLED] += 1
    if c.scalars[SAMPLED] == SAMPLE * c.scalars[CAPACITY]:
        c.scalars[SAMPLED] //= 2
        for row in range(SKETCH_ROWS):
            for k in range(c.sketch.shape[1]):
                c.sketch[row, k] >>= 1


@inlined
def _estimate(c, page):
    """How often a page was asked for lately, at most."""
    start, step = _hashes(c, page)
    last = c.sketch.shape[1] - 1
    least = MAX_COUNT
    for row in range(SKETCH_ROWS):
        least = min(least, int(c.sketch[row, (start + row * step) & last]))
    return least


@kernel
def w_tiny_lfu_misses(c, accesses):
    """How many of the accesses miss."""
    misses = 0
    for k in range(len(accesses)):
        misses += w_tiny_lfu_access(c, accesses[k]) != HIT
    return misses
