"""What an agent sees: the request and the candidates (slots), the devices (bins), the whole, and placements.

The features of a slot are the papers' (Sibyl, ISCA 2022, section 5; Harmonia, arXiv 2503.20507, table 1),
either in their bins, so that a trained network becomes a table, or as floats. Both are scaled to [0, 1]:

    binned: size in 8 bins (1, 2-3, 4-7, .. 128 pages and above), intervals and counts in 64 bins of a quarter
        octave, shares in 8 bins. The papers give the numbers of bins and not their edges.
    float: log2(1 + v) / 16 of sizes, intervals and counts, up to 1; shares as they are.

Intervals are counted in requests of the trace; 1 stands for "never". Migration interval: since the page was moved.
"""

import math

import numpy as np

from allocenv.core.kernel import inlined, kernel
from allocenv.core.resource_state import NOBODY
from allocenv.problems.storage.dynamics import NEVER, READ, WRITE, now
from allocenv.problems.storage.episode import MIGRATION, Episode, Form, Seen, act, legal, over
from allocenv.problems.storage.rules import WEAR_CREDIT_US

SLOT_FEATURES = (
    "the request writes",
    "size",
    "access interval of the (first) page",
    "its accesses",
    "its device / (D - 1)",
    "its migration interval",
    "free share of the fastest device",
    "share of the pages that are on the fastest device",
    "the request begins where the last one ended",
    "is a candidate for migration",
)
BIN_FEATURES = (
    "free share",
    "wait until its queue is empty, w / (1 + w) of reads anywhere on the slowest device",
    "read of a page, t / (1 + t) of the same",
    "write of a page, t / (1 + t)",
    "busy share of the time so far",
    "access interval of its least recently used page",
    "used share of the writes that its endurance allows (0: no limit)",
)
CONTEXT = (
    "requests left / those of the window",
    "migrations left / candidates",
    "last latency, l / (1 + l) of reads of the slowest device",
    "pages that the last request drove out, n / (8 + n)",
    "used share of the bandwidth of migration (0: no limit)",
)
PLACEMENT_FEATURES = (
    "share of the pages that are there",
    "pages that would have to leave it, n / (8 + n)",
    "time of the request there at rest, t / (1 + t) of reads of the slowest device",
    "wait until its queue is empty, as in the features of bins",
    "1: faster than where the (first) page is, -1: slower",
)
OCTAVES = 16.0  # floats: log2 of the largest number told apart
COUNT_BINS, SIZE_BINS, SHARE_BINS = 64, 8, 8


def empty_seen(n: int, slots: int, devices: int) -> Seen:
    """Arrays for `n` windows."""

    def floats(*shape: int) -> np.ndarray:
        return np.zeros((n, *shape), np.float32)

    return Seen(
        slots=floats(slots, len(SLOT_FEATURES)),
        bins=floats(devices, len(BIN_FEATURES)),
        context=floats(len(CONTEXT)),
        slot_mask=np.zeros((n, slots), np.bool_),
        slot_bin=np.full((n, slots), -1, np.int32),
        legal=np.zeros((n, slots, devices), np.bool_),
        placements=floats(slots, devices, len(PLACEMENT_FEATURES)),
    )


@kernel
def step(x, rules, form, e, actions, out, lo, hi):
    """Carry out one action in each of the rows lo..hi and describe what came of it."""
    for b in range(lo, hi):
        act(x, rules, form, e, b, actions[b, 0], actions[b, 1], out)
        describe(x, rules, form, e, b)


@kernel
def describe(x, rules, form, e, b):
    """Write what an agent sees of row b."""
    _describe_devices(x, rules, form, e, b)
    _describe_whole(rules, form, e, b)
    free = e.seen.bins[b, 0, 0]
    for slot in range(e.seen.slots.shape[1]):
        _describe_slot(x, rules, form, e, b, slot, free)


@inlined
def _count(form, v):
    """A number of requests (or -1: never) as a feature."""
    if v < 0:
        return 1.0
    octaves = math.log2(1.0 + v)
    if form.binned:
        return min(int(4.0 * octaves), COUNT_BINS - 1) / (COUNT_BINS - 1)
    return min(octaves / OCTAVES, 1.0)


@inlined
def _size(form, pages):
    """A number of pages as a feature."""
    if form.binned:
        return min(int(math.log2(pages)), SIZE_BINS - 1) / (SIZE_BINS - 1)
    return min(math.log2(1.0 + pages) / OCTAVES, 1.0)


@inlined
def _share(form, share):
    """A share as a feature."""
    return min(int(share * SHARE_BINS), SHARE_BINS - 1) / (SHARE_BINS - 1) if form.binned else share


@inlined
def _ago(s, b, when):
    """Requests since then, or -1: never."""
    return -1 if when == NEVER else s.at[b] - when


@inlined
def _wait(x, rules, form, s, b, d):
    """How long the next request would wait for the device."""
    come = now(rules, s, b)
    if rules.open_loop and s.at[b] < x.time.size:
        come = x.time[s.at[b]] * rules.us_per_tick
    wait = max(s.free_at[b, d] - come, 0.0) / form.slow_us
    return wait / (1.0 + wait)


@kernel
def _describe_devices(x, rules, form, e, b):
    s = e.model
    elapsed = s.done[b] - e.began[b]
    for d in range(rules.capacity.size):
        row = e.seen.bins[b, d]
        row[0] = _share(form, (rules.capacity[d] - s.alloc.used[b, 0, d]) / rules.capacity[d])
        row[1] = _wait(x, rules, form, s, b, d)
        for op in (READ, WRITE):
            row[2 + op] = rules.timing.first[op, d] / (rules.timing.first[op, d] + form.slow_us)
        row[4] = min(s.busy[b, d] / elapsed, 1.0) if elapsed > 0.0 else 0.0
        tail = s.alloc.last_held[b, d]
        row[5] = 1.0 if tail == NOBODY else _count(form, _ago(s, b, s.last_access[b, tail]))
        row[6] = min(s.written[b, d] / (rules.wear[d] * (s.clock[b] + WEAR_CREDIT_US)), 1.0)


@inlined
def _describe_whole(rules, form, e, b):
    s, row = e.model, e.seen.context[b]
    row[0] = (e.end[b] - s.at[b]) / (e.end[b] - e.begin[b])
    row[1] = e.moves_left[b] / max(e.candidates.shape[1], 1)
    latency = s.last_latency[b] / form.slow_us
    row[2] = latency / (1.0 + latency)
    row[3] = s.last_evictions[b] / (8.0 + s.last_evictions[b])
    limited = rules.budget < np.inf and s.migrated[b] > 0
    row[4] = min(s.migrated[b] / (rules.budget * now(rules, s, b)), 1.0) if limited else 0.0


@kernel
def _describe_slot(x, rules, form, e, b, slot, free):
    """Features, legality and placements of one slot; all zero where it stands for nothing."""
    s, seen = e.model, e.seen
    devices = rules.capacity.size
    page, n, op = -1, 1, READ
    t = s.at[b]
    if slot > 0:
        page = e.candidates[b, slot - 1]
    elif form.mode != MIGRATION and not over(e, b):
        page, n, op = x.first[t], x.pages[t], WRITE if x.write[t] else READ
    row = seen.slots[b, slot]
    for f in range(row.size):
        row[f] = 0.0
    seen.slot_mask[b, slot] = False
    seen.slot_bin[b, slot] = -1
    for d in range(devices):
        allowed = legal(x, rules, form, e, b, slot, d)
        seen.legal[b, slot, d] = allowed
        seen.slot_mask[b, slot] |= allowed
        for f in range(seen.placements.shape[3]):
            seen.placements[b, slot, d, f] = 0.0
        if allowed and page >= 0:
            _describe_placement(x, rules, form, s, b, page, n, op, d, seen.placements[b, slot, d])
    if page < 0:
        return
    device = s.alloc.bin_of[b, page]
    seen.slot_bin[b, slot] = device
    row[0] = op
    row[1] = _size(form, n)
    row[2] = _count(form, _ago(s, b, s.last_access[b, page]))
    row[3] = _count(form, s.accesses[b, page])
    row[4] = device / (devices - 1)
    row[5] = _count(form, _ago(s, b, s.last_move[b, page]))
    row[6] = free
    row[7] = _share(form, _n_on(s, b, page, n, 0) / n)
    if slot == 0 and t > e.begin[b]:
        row[8] = x.address[page] == x.address[x.first[t - 1]] + x.pages[t - 1]
    row[9] = slot > 0


@inlined
def _n_on(s, b, page, n, device):
    """How many of n pages are on the device."""
    count = 0
    for p in range(page, page + n):
        count += s.alloc.bin_of[b, p] == device
    return count


@inlined
def _describe_placement(x, rules, form, s, b, page, n, op, d, row):
    there = _n_on(s, b, page, n, d)
    leaving = max(n - there - (rules.capacity[d] - s.alloc.used[b, 0, d]), 0)
    time = (rules.timing.first[op, d] + (n - 1) * rules.timing.further[op, d]) / form.slow_us
    here = s.alloc.bin_of[b, page]
    row[0] = there / n
    row[1] = leaving / (8.0 + leaving)
    row[2] = time / (1.0 + time)
    row[3] = _wait(x, rules, form, s, b, d)
    row[4] = 0.0 if d == here else 1.0 if d < here else -1.0


def check(x, rules, form: Form, e: Episode, b: int) -> None:
    """Raise ValueError where what is seen of row b differs from a rebuild."""
    kept = [array[b].copy() for array in e.seen]
    describe(x, rules, form, e, b)
    for name, before, after in zip(Seen._fields, kept, e.seen, strict=True):
        if not np.array_equal(before, after[b]):
            raise ValueError(f"Row {b}: the kept `{name}` differ from a rebuild.")
