"""What do the published agents see of a request? Features in small bins, as whole numbers.

Sources: Sibyl (ISCA 2022), table of state features; Harmonia (arXiv 2503.20507), table 1. Where they are silent:
sizes have a bin per power of two; intervals and counts have one per value below 8 and four per power of two
above (the last bin begins at 114,688); intervals count requests, not page accesses. A request is judged by its
first page.
"""

import numpy as np

from allocenv.core.arrays import LongArray
from allocenv.core.kernel import inlined
from allocenv.problems.storage.dynamics import NEVER

SIZES, LONGS, SHARES = 8, 64, 8  # bins of a size, of an interval or count, of a free share


def sibyl_levels(devices: int) -> LongArray:
    """[F] bins: size, write, access interval, access count, free share of every device but the last, device."""
    return np.array([SIZES, 2, LONGS, LONGS, *[SHARES] * (devices - 1), devices], np.int64)


def harmonia_levels(devices: int) -> LongArray:
    """[7] bins: write, size, access interval, access count, free share of the fastest, device, move interval."""
    return np.array([2, SIZES, LONGS, LONGS, SHARES, devices, LONGS], np.int64)


@inlined
def size_bin(pages):
    """0 for one page, 1 from 2, 2 from 4, .. 7 from 128."""
    found = 0
    while pages >= 2 and found < SIZES - 1:
        pages >>= 1
        found += 1
    return found


@inlined
def long_bin(value):
    """The value itself below 8, then four bins per power of two; at most 63."""
    octave = 0
    while value >= 8:
        value >>= 1
        octave += 1
    return min(4 * octave + value, LONGS - 1)


@inlined
def since_bin(now, then):
    """Bin of the requests since then; the last one for never."""
    return LONGS - 1 if then == NEVER else long_bin(now - then)


@inlined
def free_bin(rules, s, b, device):
    """Bin of the device's free share; 0: less than an eighth."""
    free = rules.capacity[device] - s.alloc.used[b, 0, device]
    return min(SHARES * free // rules.capacity[device], SHARES - 1)


@inlined
def observe_for_sibyl(x, rules, s, b, bins):
    """What Sibyl sees of the next request; writes `bins` [F]."""
    t = s.at[b]
    page = x.first[t]
    last = rules.capacity.size - 1
    bins[0] = size_bin(x.pages[t])
    bins[1] = x.write[t]
    bins[2] = since_bin(t, s.last_access[b, page])
    bins[3] = long_bin(s.accesses[b, page])
    for d in range(last):
        bins[4 + d] = free_bin(rules, s, b, d)
    bins[4 + last] = s.alloc.bin_of[b, page]


@inlined
def observe_for_harmonia(rules, s, b, page, write, size, bins):
    """What both agents of Harmonia see of a page in a request of that type and bin of size; writes `bins` [7]."""
    t = s.at[b]
    bins[0] = write
    bins[1] = size
    bins[2] = since_bin(t, s.last_access[b, page])
    bins[3] = long_bin(s.accesses[b, page])
    bins[4] = free_bin(rules, s, b, 0)
    bins[5] = s.alloc.bin_of[b, page]
    bins[6] = since_bin(t, s.last_move[b, page])
