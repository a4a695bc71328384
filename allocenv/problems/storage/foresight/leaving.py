"""Who leaves a device for others, and what does a place on it cost?

Pages that are neighbours leave by one I/O, so that a place costs a fraction where a run of them leaves: room is
made for the next requests as well, as logs are cleaned in segments by cost and benefit (Rosenblum and Ousterhout,
SOSP 1991). Of the runs around some pages of the device, drawn at random, the one leaves by which a place costs
least: moves and what its pages would have saved.
"""

from math import exp, inf
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, LongArray
from allocenv.core.bits import next_bits
from allocenv.core.kernel import inlined, kernel
from allocenv.problems.storage.foresight.costs import eviction_us
from allocenv.problems.storage.foresight.prediction import value_of
from allocenv.problems.storage.rules import FREE, Rules

SAMPLED = 16  # pages around which runs compete for leaving
TRIES = 64  # random pages looked at for each of them, at most
LONGEST = 32  # pages of a run
NEWEST = 0.02  # share of the newest run in the price of a place
LOOK_EVERY = 8  # times that a free place is asked for: then the price is looked at anew


class Called(NamedTuple):
    """Pages that leave for no one now: the request's own, and those chosen already."""

    decisions: LongArray  # [1]  so far
    latest: LongArray  # [M]  the decision in which a page was called last


def nobody_called(pages: int) -> Called:
    """Before the first decision."""
    return Called(np.zeros(1, np.int64), np.zeros(pages, np.int64))


@inlined
def call_anew(called, first, n):
    """Begin a decision about a request's pages."""
    called.decisions[0] += 1
    called.latest[first : first + n] = called.decisions[0]


def new_price(rules: Rules) -> Array:
    """[D - 1, 2]  what a place on a device costs by page, lately: moves, and what who leaves would have saved."""
    price = np.zeros((len(rules.capacity) - 1, 2))
    price[:, 0] = [eviction_us(rules, device, 1) for device in range(len(price))]
    return price


@inlined
def fills_soon(rules, s, b, device, horizon, clock):
    """How much an eviction counts that is due when the device is full, less the later that is; 1: full now.

    It goes on filling as fast as it did so far, since `clock` page accesses.
    """
    used = s.alloc.used[b, 0, device]
    return exp(-(rules.capacity[device] - used) * clock / max(used, 1) / horizon)


@inlined
def look_at_price(x, rules, s, b, caution, view, p, history, device, called, price, random):
    """Now and then, remember what a place would cost."""
    if next_bits(random) % LOOK_EVERY == 0 and s.alloc.used[b, 0, device] > 0:
        begin, end, lost = cheapest_run(x, rules, s, b, caution, view, p, history, device, called, random)
        if end > begin:
            remember_price(rules, price, device, end - begin, lost)


@inlined
def remember_price(rules, price, device, n, lost):
    """Runs of n pages leave that would have saved so much."""
    price[device, 0] += NEWEST * (eviction_us(rules, device, n) / n - price[device, 0])
    price[device, 1] += NEWEST * (lost / n - price[device, 1])


@kernel
def cheapest_run(x, rules, s, b, caution, view, p, history, device, called, random):
    """Of the runs around some random pages of the device, the one by which a place costs least.

    Returns:
        Its first page, the one behind its last, and what they would save. Empty where none was found. No page that
        is `called` is in it.
    """
    best, begin, end, lost = inf, 0, 0, 0.0
    pages = s.accesses.shape[1]
    found = 0
    for _ in range(SAMPLED * TRIES):
        page = (next_bits(random) >> 5) % pages
        if s.alloc.bin_of[b, page] != device or called.latest[page] == called.decisions[0]:
            continue
        front, back, value = _run_around(x, rules, s, b, page, view, p, history, device, called)
        each = (min(caution, 1.0) * eviction_us(rules, device, back - front) + value) / (back - front)
        if each < best:
            best, begin, end, lost = each, front, back, value
        found += 1
        if found == SAMPLED:
            break
    return begin, end, max(lost, 0.0)


@inlined
def _run_around(x, rules, s, b, page, view, p, history, device, called):
    """A page and its neighbours, as long as each makes a place cheaper; and what they would save."""
    begin, end = page, page + 1
    value = value_of(p, history, page, view)
    further = 0.0 if rules.accounting == FREE else eviction_us(rules, device, 2) - eviction_us(rules, device, 1)
    total = value + (0.0 if rules.accounting == FREE else eviction_us(rules, device, 1))
    while end - begin < LONGEST:
        left = right = inf
        if begin > 0 and _leaves_with(x, s, b, begin - 1, begin, device, called):
            left = max(value_of(p, history, begin - 1, view), 0.0)
        if end < s.accesses.shape[1] and _leaves_with(x, s, b, end, end - 1, device, called):
            right = max(value_of(p, history, end, view), 0.0)
        if (further + min(left, right)) * (end - begin) >= total:
            break
        total += further + min(left, right)
        value += min(left, right)
        if left <= right:
            begin -= 1
        else:
            end += 1
    return begin, end, value


@inlined
def _leaves_with(x, s, b, page, beside, device, called):
    """Whether a page may leave by the same I/O as its neighbour: not so one that is called."""
    if s.alloc.bin_of[b, page] != device or called.latest[page] == called.decisions[0]:
        return False
    return abs(x.address[page] - x.address[beside]) == 1
