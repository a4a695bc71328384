"""What is remembered of every page, and what the predictor sees of it. Independent of any placement.

The clock counts page accesses, so that nothing depends on the source having times.
"""

from math import exp, log1p
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, LongArray
from allocenv.core.kernel import inlined

FEATURES = (
    "time since the last access, log",
    "accesses lately: half of them within a tenth of the fast capacity, log",
    "the same within one capacity",
    "the same within six",
    "the same within thirty",
    "accesses lately of its 16 neighbours, log",
    "of its 256 neighbours, log",
    "time between the last two accesses, log",
    "between the two before, log",
    "the last access was a write",
    "pages of the last request, log",
    "the last request went on where the one before ended",
    "all accesses, log",
    "of the accesses lately of its 16 neighbours, share to pages accessed before within six capacities",
    "the same of its 256 neighbours",
    "the same of the last accesses of all pages",
    "the rent of a place on the fastest device, log",
    "the bound of what a page is worth after its next access, log",
)
SPANS = (0.1, 1.0, 6.0, 30.0)  # time constants of the counters, in capacities of the fastest device
NEAR, FAR = 4, 8  # bits: neighbours are pages of equal number but for these
NO_INTERVAL = 1 << 24
DOUBT = 0.5  # accesses of a region that count as if they were of the larger one


class History(NamedTuple):
    """Arrays over pages and regions."""

    spans: Array  # [4]
    clock: LongArray  # [1]  page accesses so far
    last: LongArray  # [M]  clock of the last access, or -NO_INTERVAL
    ever: LongArray  # [M]  accesses
    lately: Array  # [M, 4]  decayed counters as of the last access
    trait: Array  # [M, 5]  intervals, write, size, sequential: features as they are
    near: Array  # [M >> NEAR]  decayed counter of the region
    near_again: Array  # of them, to pages accessed before within the third span
    near_last: LongArray
    far: Array  # [M >> FAR]
    far_again: Array
    far_last: LongArray
    again: Array  # [2]  the same two counters of all pages, over the first span


def empty_history(pages: int, capacity: int) -> History:
    """Nothing was accessed yet."""
    regions = ((pages >> NEAR) + 1, (pages >> FAR) + 1)
    trait = np.zeros((pages, 5))
    trait[:, :2] = np.log1p(NO_INTERVAL) / 16
    return History(
        spans=np.array(SPANS) * capacity,
        clock=np.zeros(1, np.int64),
        last=np.full(pages, -NO_INTERVAL, np.int64),
        ever=np.zeros(pages, np.int64),
        lately=np.zeros((pages, len(SPANS))),
        trait=trait,
        near=np.zeros(regions[0]),
        near_again=np.zeros(regions[0]),
        near_last=np.zeros(regions[0], np.int64),
        far=np.zeros(regions[1]),
        far_again=np.zeros(regions[1]),
        far_last=np.zeros(regions[1], np.int64),
        again=np.zeros(2),
    )


@inlined
def record(h, first, n, write, sequential):
    """A request has come; the clock goes on by its pages."""
    h.clock[0] += n
    now = h.clock[0]
    size = log1p(n) / 6
    for page in range(first, first + n):
        age = now - h.last[page]
        for i in range(h.spans.size):
            h.lately[page, i] = h.lately[page, i] * exp(-age / h.spans[i]) + 1.0
        trait = h.trait[page]
        trait[1] = trait[0]
        trait[0] = log1p(min(age, NO_INTERVAL)) / 16
        trait[2] = write
        trait[3] = size
        trait[4] = sequential
        h.last[page] = now
        h.ever[page] += 1
        again = 1.0 if age < h.spans[2] else 0.0
        _count(h.near, h.near_again, h.near_last, page >> NEAR, again, now, h.spans[1])
        _count(h.far, h.far_again, h.far_last, page >> FAR, again, now, h.spans[1])
        h.again[0] += 1.0 - h.again[0] / max(h.spans[0], 1.0)
        h.again[1] += again - h.again[1] / max(h.spans[0], 1.0)


@inlined
def _count(all_, again_, last, r, again, now, span):
    """An access to region r; `again`: to a page accessed before."""
    kept = exp(-(now - last[r]) / span)
    all_[r] = all_[r] * kept + 1.0
    again_[r] = again_[r] * kept + again
    last[r] = now


@inlined
def describe(h, page, view, out):
    """Write the features of a page as of now, and of a view of its worth."""
    now = h.clock[0]
    age = now - h.last[page]
    out[0] = log1p(age) / 12
    for i in range(h.spans.size):
        out[1 + i] = log1p(h.lately[page, i] * exp(-age / h.spans[i])) / 2
    span = h.spans[1]
    r = page >> NEAR
    out[5] = log1p(h.near[r] * exp(-(now - h.near_last[r]) / span)) / 4
    r = page >> FAR
    out[6] = log1p(h.far[r] * exp(-(now - h.far_last[r]) / span)) / 6
    for i in range(5):
        out[7 + i] = h.trait[page, i]
    out[12] = log1p(h.ever[page]) / 4
    out[15] = h.again[1] / max(h.again[0], 1.0)
    r = page >> FAR
    out[14] = (h.far_again[r] + DOUBT * out[15]) / (h.far[r] + DOUBT)
    r = page >> NEAR
    out[13] = (h.near_again[r] + DOUBT * out[14]) / (h.near[r] + DOUBT)
    out[16], out[17] = view[0], view[1]
