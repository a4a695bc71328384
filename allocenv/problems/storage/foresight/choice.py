"""Where should a request go, and who leaves for it? Rules of different boldness, all run in a shadow.

A foreseeing rule admits a request where what its pages will save exceeds what moving costs now, times
`caution`, and what the pages that leave would have saved. Requests wait for their slowest page: what is missing
of an extent is worth what the whole extent then saves, and an extent leaves as a whole. Who leaves is the least
valuable of some pages of the device, drawn at random.
Selective LRU (n-hit, random admission) and staying are rules as well.
"""

from math import exp
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, LongArray
from allocenv.core.bits import next_bits
from allocenv.core.kernel import inlined, kernel
from allocenv.core.resource_state import touch_last
from allocenv.problems.storage.devices import MEAN_SQRT_DISTANCE
from allocenv.problems.storage.dynamics import READ, WRITE
from allocenv.problems.storage.foresight.prediction import TIGHT, VIEWS, value_of
from allocenv.problems.storage.rules import FREE

FORESEE, SELECT = 0, 1
NONE = -1
BOLD = 0.3  # the least caution
SAMPLED = 16  # pages that compete for leaving
TRIES = 64  # random pages looked at for each of them, at most


class Rule(NamedTuple):
    """What one rule needs, as arrays of one entry each."""

    kind: int
    caution: float  # FORESEE: times the cost of moving
    hits: int  # SELECT: earlier accesses of the request's first page
    probability: float  # SELECT
    handicap: float = 1.0  # times its latency when rules are compared
    view: int = 0  # FORESEE: which of `VIEWS`


class Rules(NamedTuple):
    """E rules."""

    kind: LongArray  # [E]
    caution: Array  # [E]
    hits: LongArray  # [E]
    probability: Array  # [E]
    handicap: Array  # [E]
    viewed: LongArray  # [E]


# Simple rules must be clearly better: they go on badly with what others have put on the device, and the reverse.
RULES = (
    Rule(SELECT, 0.0, 0, 0.05, 1.02),
    Rule(SELECT, 0.0, 0, 0.0, 1.02),
    Rule(SELECT, 0.0, 2, 1.0, 1.02),
    Rule(SELECT, 0.0, 4, 1.0, 1.02),
    Rule(SELECT, 0.0, 16, 1.0, 1.02),
    Rule(FORESEE, BOLD, 0, 0.0),
    *(Rule(FORESEE, caution, 0, 0.0, view=view) for view in range(len(VIEWS)) for caution in (0.6, 1.1, 2.0)),
)

ONLINE_RULES = tuple(
    r for r in RULES if r.view != TIGHT and r.caution != BOLD
)  # what a tight bound hides is found sooner after a change
FRUGAL = 20.0  # times the caution of the others
FRUGAL_RULES = (  # few moves: "stay", many hits, and foreseeing ones that move only what is worth it many times over
    *(r for r in RULES if r.kind == SELECT and (r.probability == 0.0 or r.hits == 16)),
    *(r._replace(caution=FRUGAL * r.caution) for r in RULES if r.kind == FORESEE),
)


def arrays_of(rules: tuple[Rule, ...]) -> Rules:
    """The rules as kernels take them."""
    return Rules(
        np.array([r.kind for r in rules]),
        np.array([r.caution for r in rules]),
        np.array([r.hits for r in rules]),
        np.array([r.probability for r in rules]),
        np.array([r.handicap for r in rules]),
        np.array([r.view for r in rules]),
    )


@inlined
def access_us(rules, device, op, n, sequential):
    """Expected time of one I/O on an idle device."""
    timing = rules.timing
    us = timing.first[op, device] + (n - 1) * timing.further[op, device]
    if timing.full_seek[device] > 0.0 and not sequential:
        us += timing.track[device] + (timing.full_seek[device] - timing.track[device]) * MEAN_SQRT_DISTANCE
        us += timing.rotation[device]
    return us


@inlined
def saving_us(rules, device, op, n, sequential):
    """What a request saves on the device instead of the slowest."""
    slowest = rules.capacity.size - 1
    return access_us(rules, slowest, op, n, sequential) - access_us(rules, device, op, n, sequential)


@inlined
def eviction_us(rules, device, n):
    """Expected time to move a run of pages down."""
    return access_us(rules, device, READ, n, False) + access_us(rules, device + 1, WRITE, n, False)


@inlined
def coming_us(rules, op, n):
    """What a request's pages pay to come to the fastest device, and for others to leave for them."""
    if rules.accounting == FREE:
        return 0.0
    us = access_us(rules, 0, WRITE, n, False) + eviction_us(rules, 0, n)
    if op == WRITE:
        us -= access_us(rules, rules.capacity.size - 1, WRITE, n, False)
    return us


@kernel
def saving_of_a_read(rules):
    """What a page saves on the fastest device instead of the slowest where it is read."""
    return saving_us(rules, 0, READ, 1, False)


@kernel
def steepest(rules):
    """How many times more of its saving a page may pay to go up one device than to come all the way; 1 of two."""
    slowest = rules.capacity.size - 1
    whole = (access_us(rules, 0, WRITE, 1, False) + eviction_us(rules, 0, 1)) / max(saving_of_a_read(rules), 1.0)
    most = whole
    for device in range(slowest):
        saving = access_us(rules, device + 1, READ, 1, False) - access_us(rules, device, READ, 1, False)
        cost = access_us(rules, device, WRITE, 1, False) + eviction_us(rules, device, 1)
        most = max(most, cost / max(saving, 1.0))
    return most / whole


@inlined
def fills_soon(rules, s, b, device, horizon, clock):
    """How much an eviction counts that is due when the device is full, less the later that is; 1: full now.

    It goes on filling as fast as it did so far, since `clock` page accesses.
    """
    used = s.alloc.used[b, 0, device]
    return exp(-(rules.capacity[device] - used) * clock / max(used, 1) / horizon)


@kernel
def foresee(x, rules, s, b, caution, view, p, history, target, room, random):
    """Whether the next request should come to the target device.

    If so, pages to leave stand at the end of the device's list and room[0] is how many more of them leave than
    the request needs.
    """
    t = s.at[b]
    first, n, op = x.first[t], x.pages[t], WRITE if x.write[t] else READ
    slowest = rules.capacity.size - 1
    whole = saving_us(rules, 0, op, n, False)
    ratio = saving_us(rules, target, op, n, False) / whole if whole > 0.0 else 0.0
    worth, missing = 0.0, 0
    for k in range(n):
        worth += value_of(p, history, first + k, view)
        missing += s.alloc.bin_of[b, first + k] > target
    now, then = _times(rules, s, b, first, n, op, target, missing)
    gain = worth * (now - then) / whole if whole > 0.0 else 0.0
    room[0] = 0
    if missing == 0 or n > rules.capacity[target]:
        return False
    priced = 0.0 if rules.accounting == FREE else caution
    cost = access_us(rules, target, WRITE, missing, False)
    if op == WRITE:  # what is written goes to the target instead of where it is
        cost -= access_us(rules, slowest, WRITE, missing, False)
    short = missing - (rules.capacity[target] - s.alloc.used[b, 0, target])
    if short <= 0:  # nobody leaves now, but one day these pages will
        cost += eviction_us(rules, target, missing) * fills_soon(rules, s, b, target, p.horizon, history.clock[0])
    if gain <= priced * cost:
        return False
    leaving = 0
    while leaving < short:
        victim, value = _least_valuable(s, b, view, p, history, target, first, n, random)
        if victim == NONE:
            return False
        begin, end = _extent(s, b, victim, target, first, n)
        length = end - begin
        cost += eviction_us(rules, target, length)
        gain -= max(value, 0.0) * length * ratio
        if gain <= priced * cost:
            return False
        for page in range(end - 1, begin - 1, -1):
            touch_last(s.alloc, b, page)
        leaving += length
    room[0] = max(leaving - short, 0) if short > 0 else 0
    return True


@inlined
def _times(rules, s, b, first, n, op, target, missing):
    """What such a request takes where its pages are, and with those on slower devices than the target there."""
    now, then = 0.0, 0.0
    for device in range(rules.capacity.size):
        here = 0
        for k in range(n):
            here += s.alloc.bin_of[b, first + k] == device
        if here > 0:
            now = max(now, access_us(rules, device, op, here, False))
        if device == target:
            here += missing
        if here > 0 and device <= target:
            then = max(then, access_us(rules, device, op, here, False))
    return now, then


@inlined
def _least_valuable(s, b, view, p, history, device, first, n, random):
    """Of some random pages of the device, none of the request itself, the one that will save least."""
    victim, least = NONE, 0.0
    pages = s.accesses.shape[1]
    found = 0
    for _ in range(SAMPLED * TRIES):
        page = (next_bits(random) >> 5) % pages
        if s.alloc.bin_of[b, page] != device or (first <= page < first + n):
            continue
        value = value_of(p, history, page, view)
        if victim == NONE or value < least:
            victim, least = page, value
        found += 1
        if found == SAMPLED:
            break
    return victim, least


@inlined
def _extent(s, b, page, device, first, n):
    """The run of neighbours on the device that were last accessed by the same request."""
    last = s.last_access[b, page]
    begin = page
    while (
        begin > 0
        and s.alloc.bin_of[b, begin - 1] == device
        and s.last_access[b, begin - 1] == last
        and not first <= begin - 1 < first + n
    ):
        begin -= 1
    end = page + 1
    while (
        end < s.accesses.shape[1]
        and s.alloc.bin_of[b, end] == device
        and s.last_access[b, end] == last
        and not first <= end < first + n
    ):
        end += 1
    return begin, end


@inlined
def selects(x, s, b, hits, probability, draw):
    """Whether selective LRU admits the next request; `draw` is uniform in [0, 1)."""
    return draw < probability and s.accesses[b, x.first[s.at[b]]] >= hits
