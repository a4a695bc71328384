"""Where should a request go? Rules of different boldness, all run in a shadow.

A foreseeing rule admits a request where what its pages will save exceeds what moving costs, times `caution`, and
what the pages that leave would have saved. Requests wait for their slowest page: what is missing of an extent is
worth what the whole extent then saves.
Selective LRU (n-hit, random admission) and staying are rules as well.
"""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, LongArray
from allocenv.core.kernel import inlined, kernel
from allocenv.core.resource_state import touch_last
from allocenv.problems.storage.dynamics import READ, WRITE
from allocenv.problems.storage.foresight.costs import access_us, eviction_us, place_us, saving_us
from allocenv.problems.storage.foresight.leaving import (
    call_anew,
    cheapest_run,
    fills_soon,
    look_at_price,
    remember_price,
)
from allocenv.problems.storage.foresight.prediction import TIGHT, VIEWS, value_of
from allocenv.problems.storage.rules import FREE

FORESEE, SELECT = 0, 1
BOLD = 0.3  # the least caution


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

IF_FREE = (Rule(SELECT, 0.0, 0, 1.0),)  # LRU, which moves too much elsewhere: where moves are free, before the others
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


@kernel
def foresee(x, rules, s, b, caution, view, p, history, target, price, called, room, random):
    """Whether the next request should come to the target device.

    If so, pages to leave stand at the end of the device's list and room[0] is how many more of them leave than
    the request needs; it pays for as many as it needs. `price` of a place is kept up to date.
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
    call_anew(called, first, n)
    short = max(missing - (rules.capacity[target] - s.alloc.used[b, 0, target]), 0)
    if short < missing:  # nobody leaves now for these pages, but one day somebody will
        look_at_price(x, rules, s, b, priced, view, p, history, target, called, price, random)
        due = (missing - short) * fills_soon(rules, s, b, target, p.horizon, history.clock[0])
        cost += due * place_us(rules, price, target, missing)
        gain -= due * price[target, 1] * ratio
    leaving = 0
    while leaving < short and gain > priced * cost:
        begin, end, lost = cheapest_run(x, rules, s, b, priced, view, p, history, target, called, random)
        if begin == end:
            return False
        length = end - begin
        remember_price(rules, price, target, length, lost)
        share = min(length, short - leaving) / length
        cost += share * eviction_us(rules, target, length)
        gain -= share * lost * ratio
        for page in range(end - 1, begin - 1, -1):
            touch_last(s.alloc, b, page)
            called.latest[page] = called.decisions[0]
        leaving += length
    room[0] = leaving - short
    return gain > priced * cost


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
def selects(x, s, b, hits, probability, draw):
    """Whether selective LRU admits the next request; `draw` is uniform in [0, 1)."""
    return draw < probability and s.accesses[b, x.first[s.at[b]]] >= hits
