"""Which page leaves first? ARC: from the recency or the frequency list, as ghost hits have taught.

Megiddo and Modha, FAST 2003, figure 4. Variant as in libCacheSim: the target p and its steps are real numbers,
and pages leave only when the cache is full. Lists: T1 (seen once), T2 (seen again), ghosts B1 and B2.
"""

from allocenv.core.kernel import inlined, kernel
from allocenv.problems.storage.caches.lists import leave, oldest, push, refresh, shift
from allocenv.problems.storage.caches.state import ADMITTED, CAPACITY, FIRST_GHOST, HIT, NOWHERE, SIZE

T1, T2, B1, B2 = 1, 2, 4, 5


@inlined
def arc_access(c, page):
    """HIT, ADMITTED or the page that left."""
    at = c.where[page]
    if NOWHERE < at < FIRST_GHOST:  # case I
        if at == T1:
            shift(c, page, T2)
        else:
            refresh(c, page, T2)
        return HIT
    s = c.scalars
    if at != NOWHERE:  # cases II and III
        _adapt(c, at)
        leave(c, page)
    victim = ADMITTED
    if s[SIZE + T1] + s[SIZE + T2] == s[CAPACITY]:
        victim = _replace(c, at == B2) if at != NOWHERE else _evict(c)
    push(c, page, T1 if at == NOWHERE else T2)
    return victim


@inlined
def _adapt(c, ghost):
    """Give the list whose ghost was asked for more of the cache."""
    s = c.scalars
    b1, b2 = s[SIZE + B1], s[SIZE + B2]
    if ghost == B1:
        c.share[0] = min(c.share[0] + max(b2 / b1, 1.0), float(s[CAPACITY]))
    else:
        c.share[0] = max(c.share[0] - max(b1 / b2, 1.0), 0.0)


@inlined
def _evict(c):
    """Case IV: make room for a page that no list knows, in the cache and among the ghosts."""
    s = c.scalars
    recent = s[SIZE + T1] + s[SIZE + B1]
    if recent == s[CAPACITY]:
        if s[SIZE + B1] == 0:
            victim = oldest(c, T1)
            leave(c, victim)
            return victim
        leave(c, oldest(c, B1))
    elif recent + s[SIZE + T2] + s[SIZE + B2] >= 2 * s[CAPACITY]:
        leave(c, oldest(c, B2))
    return _replace(c, False)


@inlined
def _replace(c, in_b2):
    """Turn the oldest page of T1 or T2 into a ghost; `in_b2`: the page asked for was a ghost of T2."""
    s = c.scalars
    t1, p = s[SIZE + T1], c.share[0]
    if s[SIZE + T2] == 0 or (t1 > 0 and (t1 > p or (in_b2 and t1 == p))):
        victim = oldest(c, T1)
        shift(c, victim, B1)
    else:
        victim = oldest(c, T2)
        shift(c, victim, B2)
    return victim


@kernel
def arc_misses(c, accesses):
    """How many of the accesses miss."""
    misses = 0
    for k in range(len(accesses)):
        misses += arc_access(c, accesses[k]) != HIT
    return misses
