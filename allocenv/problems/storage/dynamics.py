"""The model of hybrid storage: state, what serving a request does, what moves cost. Start reading here.

Every page lives on exactly one device (tiering, not caching). A request is served with a target device: what
it writes is written there; what it reads is read where it is and, where that is elsewhere, then written
to the target. Where the target is full its least recently used pages are moved down to the next device, and
so on. Devices work in parallel, each I/O waits for the ones before it on the same device. Moves of
neighbouring pages are one I/O.

Sources: Sibyl (ISCA 2022, sections 2 and 5) for the model of placement and eviction; who pays for moves is a
rule of its own here (`rules.ACCOUNTING_MEANS`), since it decides every ranking.
"""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, IntArray, LongArray
from allocenv.core.bits import next_bits, seeded
from allocenv.core.kernel import inlined, kernel
from allocenv.core.resource_state import (
    NOBODY,
    ResourceState,
    clear,
    empty_resource_state,
    in_line,
    move_piece,
    place,
    touch,
    touch_last,
)
from allocenv.problems.storage.rules import CHARGED, FREE, WEAR_CREDIT_US

READ, WRITE = 0, 1
STAY = -1  # target: every page where it is
NEVER = -1


class State(NamedTuple):
    """B systems in the middle of a trace. Kernels of this file are the only writers. Times in microseconds."""

    alloc: ResourceState  # page = item, device = bin; the list of a device is in order of recency
    accesses: IntArray  # [B, M]  requests that touched the page
    last_access: IntArray  # [B, M]  number of the last one, or NEVER
    last_move: IntArray  # [B, M]  number of the request before which it was moved last, or NEVER
    free_at: Array  # [B, D]  when the device's queue is empty
    head: LongArray  # [B, D]  address after the last one accessed
    busy: Array  # [B, D]  total service time
    written: LongArray  # [B, D]  pages written: wear
    clock: Array  # [B]  arrival of the last request
    done: Array  # [B]  when the last request was done
    at: LongArray  # [B]  number of the next request
    served: LongArray  # [B]  requests served
    latency: Array  # [B]  sum over the requests served
    baseline: Array  # [B]  the same had all been on an endless fastest device
    pages: LongArray  # [B]  pages of the requests served
    fast_pages: LongArray  # [B]  of these, on the fastest device when their request came
    last_latency: Array  # [B]  of the last request
    last_evictions: LongArray  # [B]  pages that the last request drove out
    last_eviction_us: Array  # [B]  service time of that
    promoted: LongArray  # [B]  pages moved to a faster device
    demoted: LongArray  # [B]
    migrated: LongArray  # [B]  pages moved in the background, against the budget
    n_illegal: LongArray  # [B]
    noise: Array  # [B, 1] uint64  generator of the devices' spread


def empty_state(n: int, pages: int, devices: int) -> State:
    """Arrays for `n` systems."""

    def longs(*shape: int) -> LongArray:
        return np.zeros((n, *shape), np.int64)

    def floats(*shape: int) -> Array:
        return np.zeros((n, *shape), np.float64)

    return State(
        alloc=empty_resource_state(n, pages, devices, 1, 1, 1),
        accesses=np.zeros((n, pages), np.int32),
        last_access=np.full((n, pages), NEVER, np.int32),
        last_move=np.full((n, pages), NEVER, np.int32),
        free_at=floats(devices),
        head=longs(devices),
        busy=floats(devices),
        written=longs(devices),
        clock=floats(),
        done=floats(),
        at=longs(),
        served=longs(),
        latency=floats(),
        baseline=floats(),
        pages=longs(),
        fast_pages=longs(),
        last_latency=floats(),
        last_evictions=longs(),
        last_eviction_us=floats(),
        promoted=longs(),
        demoted=longs(),
        migrated=longs(),
        n_illegal=longs(),
        noise=np.array([seeded(b) for b in range(n)]).reshape(n, 1),
    )


@kernel
def begin(rules, s, b, at):
    """Start at request `at` with every page on the last device, neighbours in order, and all clocks at zero."""
    a = s.alloc
    devices = rules.capacity.size
    pages = rules.capacity[devices - 1]  # of this trace; the arrays may hold more
    clear(a, b)
    a.n_items[b], a.n_bins[b] = pages, devices
    a.n_variants[b, 0] = 1
    a.demand[b, 0, 0, 0] = 1
    for d in range(devices):
        a.capacity[b, 0, d] = rules.capacity[d]
        s.free_at[b, d] = s.busy[b, d] = 0.0
        s.head[b, d] = s.written[b, d] = 0
    for page in range(pages):
        place(a, b, page, devices - 1, 0)
        s.accesses[b, page] = 0
        s.last_access[b, page] = s.last_move[b, page] = NEVER
    s.clock[b] = s.done[b] = 0.0
    s.at[b] = at
    s.n_illegal[b] = 0
    forget_totals(s, b)


@kernel
def forget_totals(s, b):
    """Begin to count anew; pages and clocks stay."""
    s.served[b] = s.promoted[b] = s.demoted[b] = s.migrated[b] = 0
    s.pages[b] = s.fast_pages[b] = 0
    s.latency[b] = s.baseline[b] = 0.0
    s.last_latency[b] = s.last_eviction_us[b] = 0.0
    s.last_evictions[b] = 0
    for d in range(s.busy.shape[1]):
        s.busy[b, d] = 0.0


@inlined
def service_us(rules, s, b, device, op, address, n):
    """Time of one I/O of n pages on an idle device; moves its head and counts it."""
    timing = rules.timing
    us = timing.first[op, device] + (n - 1) * timing.further[op, device]
    if timing.full_seek[device] > 0.0:
        if s.head[b, device] != address:
            far = min(abs(address - s.head[b, device]) / rules.span, 1.0)
            us += timing.track[device] + (timing.full_seek[device] - timing.track[device]) * np.sqrt(far)
            us += timing.rotation[device]
        s.head[b, device] = address + n
    if timing.sigma[op, device] > 0.0:
        us *= _spread(s.noise, b, timing.sigma[op, device])
    s.busy[b, device] += us
    return us


@kernel
def _spread(noise, b, sigma):
    """A lognormal factor of mean 1 (Box and Muller 1958)."""
    one = ((next_bits(noise[b]) >> 10) + 1) * (1.0 / (1 << 53))
    two = (next_bits(noise[b]) >> 10) * (1.0 / (1 << 53))
    normal = np.sqrt(-2.0 * np.log(one)) * np.cos(2.0 * np.pi * two)
    return np.exp(sigma * normal - sigma * sigma / 2.0)


@inlined
def may_write(rules, s, b, device, n):
    """Whether the device's endurance allows n more pages. The last device has to take what no other may."""
    if device == rules.capacity.size - 1:
        return True
    return s.written[b, device] + n <= rules.wear[device] * (s.clock[b] + WEAR_CREDIT_US)


@inlined
def may_target(rules, s, b, device, n):
    """Whether a request of n pages may be placed on the device."""
    return n <= rules.capacity[device] and may_write(rules, s, b, device, n)


@inlined
def serve(x, rules, s, b, target, spare=0):
    """Serve the next request of trace `x` with a target device (or STAY); its latency.

    A target that cannot take the request is replaced by the next slower one that can. Where pages come to the
    target, so many leave it that `spare` more would fit.
    """
    t = s.at[b]
    first, n, op = x.first[t], x.pages[t], WRITE if x.write[t] else READ
    _come(x, rules, s, b, t)
    if target != STAY:
        while not may_target(rules, s, b, target, n):
            target += 1
    if op == WRITE and target == STAY and not _may_write_in_place(rules, s, b, first, n):
        target = rules.capacity.size - 1
    _touch(s, b, first, n, t)
    redirected = op == WRITE and target != STAY
    if redirected:
        finish = _queue(x, rules, s, b, target, WRITE, first, n)
    else:
        finish = _serve_in_place(x, rules, s, b, first, n, op)
    moving = 0.0
    missing = _missing(s, b, first, n, target) if target != STAY else 0
    if missing > 0:
        moving = _make_room(x, rules, s, b, target, missing + spare, finish)
        if redirected:
            _arrive(s, b, first, n, target, t)
        else:
            moving += _bring(x, rules, s, b, first, n, target, t, finish)
    return _leave(rules, s, b, t, n, op, finish, moving)


@inlined
def serve_by_page(x, rules, s, b, target, leaving, n_leaving):
    """Serve the next request with a target device (or STAY) for each of its pages; its latency.

    As `serve`, with an I/O for every run of pages of one target.

    Args:
        x, rules, s, b: trace, rules, state and its row.
        target: [>= pages of the request]  where each page goes; STAY becomes where the page is, a target that
            may not be written the next slower one that can take the request. No device gets more than it holds.
        leaving: pages that leave first where room is made, in this order; none of the request itself.
        n_leaving: how many.
    """
    t = s.at[b]
    first, n, op = x.first[t], x.pages[t], WRITE if x.write[t] else READ
    _come(x, rules, s, b, t)
    for k in range(n):
        here = s.alloc.bin_of[b, first + k]
        if target[k] == STAY:
            target[k] = here
        if (op == WRITE or target[k] != here) and not may_write(rules, s, b, target[k], n):
            target[k] += 1
            while not may_target(rules, s, b, target[k], n):
                target[k] += 1
    _touch(s, b, first, n, t)
    for k in range(n_leaving - 1, -1, -1):
        touch_last(s.alloc, b, leaving[k])
    if op == WRITE:
        finish = _write_by_page(x, rules, s, b, target, first, n)
    else:
        finish = _serve_in_place(x, rules, s, b, first, n, op)
    moving, evicting = 0.0, 0.0
    for device in range(rules.capacity.size - 1, -1, -1):  # what goes down frees room above
        missing = 0
        for k in range(n):
            missing += target[k] == device and s.alloc.bin_of[b, first + k] != device
        if missing > 0:
            evicting += _make_room(x, rules, s, b, device, missing, finish)
            moving += _bring_by_page(x, rules, s, b, target, first, n, op, device, t, finish)
    s.last_eviction_us[b] = evicting
    return _leave(rules, s, b, t, n, op, finish, moving + evicting)


@inlined
def _come(x, rules, s, b, t):
    """The request arrives."""
    s.clock[b] = x.time[t] * rules.us_per_tick if rules.open_loop else s.done[b]
    s.last_evictions[b] = 0
    s.last_eviction_us[b] = 0.0


@inlined
def _touch(s, b, first, n, t):
    """Count the request's access to its pages."""
    fast = 0
    for page in range(first, first + n):
        s.accesses[b, page] += 1
        s.last_access[b, page] = t
        fast += s.alloc.bin_of[b, page] == 0
    touch(s.alloc, b, first, n)
    s.fast_pages[b] += fast
    s.pages[b] += n


@inlined
def _leave(rules, s, b, t, n, op, finish, moving):
    """The request is done; its latency."""
    if rules.accounting == CHARGED:
        finish += moving
    latency = finish - s.clock[b]
    s.done[b] = finish
    s.at[b] = t + 1
    s.served[b] += 1
    s.latency[b] += latency
    s.baseline[b] += rules.timing.first[op, 0] + (n - 1) * rules.timing.further[op, 0]
    s.last_latency[b] = latency
    return latency


@inlined
def _write_by_page(x, rules, s, b, target, first, n):
    """An I/O for every run of pages that go to one device; when the last one is done."""
    finish = s.clock[b]
    run = 0
    for k in range(1, n + 1):
        if k == n or target[k] != target[run]:
            finish = max(finish, _queue(x, rules, s, b, target[run], WRITE, first + run, k - run))
            run = k
    return finish


@inlined
def _bring_by_page(x, rules, s, b, target, first, n, op, device, t, now):
    """Let the pages that go to one device live there; where they were read, write them first; its time."""
    moving = 0.0
    length = 0
    for k in range(n + 1):
        if k < n and target[k] == device and s.alloc.bin_of[b, first + k] != device:
            _relocate(s, b, first + k, first + k, 1, device, t)
            length += 1
        elif length > 0:
            if op == READ:
                s.written[b, device] += length
                moving += _move_io(x, rules, s, b, device, WRITE, first + k - length, length, now)
            length = 0
    return moving


@inlined
def _may_write_in_place(rules, s, b, first, n):
    """Whether the endurance of every device that holds some of the pages allows to write all of them."""
    allowed, asked = True, NOBODY
    for page in range(first, first + n):
        device = s.alloc.bin_of[b, page]
        if device != asked:
            allowed &= may_write(rules, s, b, device, n)
            asked = device
    return allowed


@inlined
def _missing(s, b, first, n, target):
    """How many of the pages are not on the target."""
    missing = 0
    for page in range(first, first + n):
        missing += s.alloc.bin_of[b, page] != target
    return missing


@inlined
def _queue(x, rules, s, b, device, op, first, n):
    """One I/O of the request itself behind what the device has to do; when it is done."""
    if op == WRITE:
        s.written[b, device] += n
    start = max(s.clock[b], s.free_at[b, device])
    s.free_at[b, device] = start + service_us(rules, s, b, device, op, x.address[first], n)
    return s.free_at[b, device]


@inlined
def _serve_in_place(x, rules, s, b, first, n, op):
    """An I/O for every run of pages that one device holds; when the last one is done."""
    finish = s.clock[b]
    run = first
    while run < first + n:
        device, end = s.alloc.bin_of[b, run], run + 1
        while end < first + n and s.alloc.bin_of[b, end] == device:
            end += 1
        finish = max(finish, _queue(x, rules, s, b, device, op, run, end - run))
        run = end
    return finish


@inlined
def _relocate(s, b, front, back, n, target, t):
    """Change where n pages live that stand in line on a device, from `front` to `back`, and count them."""
    if target < s.alloc.bin_of[b, front]:
        s.promoted[b] += n
    else:
        s.demoted[b] += n
    move_piece(s.alloc, b, front, back, n, target)
    page = front
    for _ in range(n):
        s.last_move[b, page] = t
        page = s.alloc.next_held[b, page]


@inlined
def _settle(s, b, page, end, target, t):
    """Let pages `page` to `end` - 1, none of them on the target, live there."""
    while page < end:
        front = in_line(s.alloc, b, page, end)
        _relocate(s, b, front, page, front - page + 1, target, t)
        page = front + 1


@inlined
def _arrive(s, b, first, n, target, t):
    """Pages that were just written to the target live there now."""
    page = first
    while page < first + n:
        end = _run_elsewhere(s, b, page, first + n, target)
        _settle(s, b, page, end, target, t)
        page = max(end, page + 1)


@inlined
def _bring(x, rules, s, b, first, n, target, t, now):
    """Write pages that were just read to the target, an I/O for every run of missing ones; its time."""
    moving = 0.0
    page = first
    while page < first + n:
        end = _run_elsewhere(s, b, page, first + n, target)
        if end > page:
            _settle(s, b, page, end, target, t)
            s.written[b, target] += end - page
            moving += _move_io(x, rules, s, b, target, WRITE, page, end - page, now)
        page = max(end, page + 1)
    return moving


@inlined
def _run_elsewhere(s, b, page, end, target):
    """Where the run of pages, from `page` on, that are not on the target ends."""
    while page < end and s.alloc.bin_of[b, page] != target:
        page += 1
    return page


@inlined
def _move_io(x, rules, s, b, device, op, page, n, now):
    """An I/O that moves pages, begun at `now` or later; its time, by the accounting in force."""
    if rules.accounting == FREE:
        return 0.0
    us = service_us(rules, s, b, device, op, x.address[page], n)
    s.free_at[b, device] = max(s.free_at[b, device], now) + us
    return us


@kernel
def _make_room(x, rules, s, b, device, n, now):
    """Move the least recently used pages down until n more fit; the time it takes.

    The slowest full device begins, so that what comes down from above finds room. Where a device is too small
    for all of that, all its pages leave, and the rest goes by it to the next one.
    """
    moving = 0.0
    for level in range(rules.capacity.size - 2, device - 1, -1):
        short = min(_short(rules, s, b, device, n, level), s.alloc.used[b, 0, level])
        moving += _move_down(x, rules, s, b, level, short, now)
    s.last_eviction_us[b] = moving
    return moving


@inlined
def _short(rules, s, b, device, n, level):
    """Pages that must leave `level` when n more come to `device`."""
    short = n
    for d in range(device, level + 1):
        short = max(short - (rules.capacity[d] - s.alloc.used[b, 0, d]), 0)
    return short


@kernel
def _move_down(x, rules, s, b, device, n, now):
    """Move the n least recently used pages of a device down; victims that are neighbours go by one I/O."""
    moving = 0.0
    while n > 0:
        below = _below(rules, s, b, device)
        many = min(n, rules.capacity[below] - s.alloc.used[b, 0, below])
        while not may_write(rules, s, b, below, many):  # one it may: `_below` has asked
            many -= 1
        moving += _move_last(x, rules, s, b, device, below, many, now)
        n -= many
    return moving


@inlined
def _move_last(x, rules, s, b, device, below, n, now):
    """Move the n least recently used pages of a device to `below`; the time it takes."""
    moving = 0.0
    back = s.alloc.last_held[b, device]
    run = front = back
    length = 1
    for _ in range(n - 1):
        front = s.alloc.prev_held[b, front]
        if x.address[front] == x.address[run] + length:
            length += 1
        else:
            moving += _move_run(x, rules, s, b, device, below, run, length, now)
            run, length = front, 1
    moving += _move_run(x, rules, s, b, device, below, run, length, now)
    _relocate(s, b, front, back, n, below, s.at[b])
    s.written[b, below] += n
    s.last_evictions[b] += n
    return moving


@inlined
def _below(rules, s, b, device):
    """Where victims of a device go: the next slower one that may be written and has room."""
    below = device + 1
    while not may_write(rules, s, b, below, 1) or s.alloc.used[b, 0, below] >= rules.capacity[below]:
        below += 1
    return below


@kernel
def _move_run(x, rules, s, b, source, dest, page, n, now):
    """Read n neighbouring pages and write them elsewhere; the time of both."""
    read = _move_io(x, rules, s, b, source, READ, page, n, now)
    return read + _move_io(x, rules, s, b, dest, WRITE, page, n, now + read)


@inlined
def now(rules, s, b):
    """The time between two requests: in the open loop a later one may be done earlier, on another device."""
    return s.clock[b] if rules.open_loop else s.done[b]


@inlined
def may_migrate(rules, s, b, page, target):
    """Whether the page may be migrated there now: endurance, and the bandwidth that migration may use.

    A migration moves at most one page a device: its own, and one from each full device down.
    """
    if s.alloc.bin_of[b, page] == target or s.migrated[b] + rules.capacity.size > rules.budget * now(rules, s, b):
        return False
    return may_write(rules, s, b, target, 1)


@kernel
def migrate(x, rules, s, b, page, target):
    """Move one page in the background; no request waits for it as its own unless moves are charged.

    The caller has asked `may_migrate`. Where the target is full its least recently used page goes down.
    """
    began = now(rules, s, b)
    s.last_evictions[b] = 0
    moving = _make_room(x, rules, s, b, target, 1, began)
    source = s.alloc.bin_of[b, page]  # making room may have moved it down
    moving += _move_run(x, rules, s, b, source, target, page, 1, began)
    _relocate(s, b, page, page, 1, target, s.at[b])
    s.written[b, target] += 1
    s.migrated[b] += 1 + s.last_evictions[b]
    if rules.accounting == CHARGED:
        s.done[b] += moving
        s.latency[b] += moving
