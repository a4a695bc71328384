"""An episode as the batch holds it: the devices, the window, the candidates of migration, what an agent sees.

Modes:
    placement: slot 0 is the next request; its placement is the target device.
    migration: slot 0 serves the next `stride` requests where their pages are; slots 1.. are pages that may be
        migrated, one a step, at no request's turn.
    joint: slot 0 is the next request, slots 1.. are pages that may be migrated.

Candidates are chosen anew every `stride` requests, and as many pages may be migrated until then as there are
candidates: promotions first, the most often requested of the recently used pages of slower devices; then
demotions, the least recently used ones of the faster devices. The papers leave the rule open.
"""

from typing import NamedTuple

from allocenv.core.arrays import Array, BoolArray, IntArray, LongArray
from allocenv.core.kernel import inlined, kernel
from allocenv.core.resource_state import NOBODY
from allocenv.problems.storage.dynamics import (
    NEVER,
    READ,
    STAY,
    WRITE,
    State,
    forget_totals,
    may_migrate,
    may_target,
    migrate,
    serve,
)

MODES = ("placement", "migration", "joint")
PLACEMENT, MIGRATION, JOINT = range(3)
REWARDS = ("latency", "inverse", "sibyl")
LATENCY, INVERSE, SIBYL = range(3)
EVICTION_PENALTY = 0.001  # Sibyl (ISCA 2022): of the time spent evicting
PARTS = 64  # of a window, for the picture of latency over time
LOOKED_AT = 64  # recently used pages of a device among which promotions are chosen


class Form(NamedTuple):
    """The parameters of an episode as kernels take them."""

    mode: int
    candidates: int  # C
    stride: int  # requests
    binned: bool  # features
    reward: int
    slow_us: float  # a read of one page anywhere on the slowest device
    fast_us: float  # on the fastest


class Seen(NamedTuple):
    """What an agent sees; written by `observation.describe` after each step."""

    slots: Array  # [B, S, F] float32
    bins: Array  # [B, D, G] float32
    context: Array  # [B, C] float32
    slot_mask: BoolArray  # [B, S]
    slot_bin: IntArray  # [B, S]
    legal: BoolArray  # [B, S, D]
    placements: Array  # [B, S, D, P] float32


class Episode(NamedTuple):
    """B windows in the middle of an episode."""

    model: State
    trace: LongArray  # [B]  which one of the problem's traces
    begin: LongArray  # [B]  first request of the window
    end: LongArray  # [B]  the one after its last
    began: Array  # [B]  time at which the window begins
    steps_left: LongArray  # [B]
    rest: Array  # [B]  latency of the requests to come, were they served by the slowest device at rest
    rest_baseline: Array  # [B]  the same had all been on an endless fastest device
    candidates: IntArray  # [B, C]  pages, or NOBODY
    moves_left: LongArray  # [B]  until the candidates are chosen anew
    since: LongArray  # [B]  requests since they were chosen
    course: Array  # [B, PARTS]  sum of latencies in each part of the window
    seen: Seen


@kernel
def serve_many(x, rules, s, b, target, n):
    """Serve the next n requests with the same target."""
    for _ in range(n):
        serve(x, rules, s, b, target)


@kernel
def settle(s, b):
    """Let all clocks and counters begin anew; pages and heads stay where they are."""
    for d in range(s.busy.shape[1]):
        s.free_at[b, d] = 0.0
        s.written[b, d] = 0
    s.clock[b] = s.done[b] = 0.0
    forget_totals(s, b)


@kernel
def start(x, rules, form, e, b, end, steps):
    """Begin an episode of at most `steps` steps: the devices stand as they are, the next request is the first."""
    s = e.model
    begin = s.at[b]
    e.begin[b], e.end[b], e.steps_left[b] = begin, end, steps
    e.began[b] = x.time[begin] * rules.us_per_tick if rules.open_loop else 0.0
    e.rest[b] = e.rest_baseline[b] = 0.0
    for t in range(begin, end):
        e.rest[b] += slow_us(x, rules, t)
        e.rest_baseline[b] += fast_us(x, rules, t)
    for part in range(PARTS):
        e.course[b, part] = 0.0
    choose_candidates(form, e, b)


@inlined
def fast_us(x, rules, t):
    """Latency of a request that the fastest device serves at rest."""
    op = WRITE if x.write[t] else READ
    return rules.timing.first[op, 0] + (x.pages[t] - 1) * rules.timing.further[op, 0]


@inlined
def slow_us(x, rules, t):
    """Latency of a request that the slowest device serves at rest, after the one before."""
    op = WRITE if x.write[t] else READ
    timing, last = rules.timing, rules.capacity.size - 1
    us = timing.first[op, last] + (x.pages[t] - 1) * timing.further[op, last]
    if timing.full_seek[last] > 0.0:
        head = x.address[x.first[t - 1]] + x.pages[t - 1] if t > 0 else 0
        way = abs(x.address[x.first[t]] - head)
        if way > 0:
            far = min(way / rules.span, 1.0)
            us += timing.track[last] + (timing.full_seek[last] - timing.track[last]) * far**0.5 + timing.rotation[last]
    return us


@inlined
def over(e, b):
    """Whether the episode has ended."""
    return e.steps_left[b] <= 0 or e.model.at[b] >= e.end[b]


@inlined
def legal(x, rules, form, e, b, slot, device):
    """Whether the action is legal. Slot 0 with the last device always is."""
    s, last = e.model, rules.capacity.size - 1
    if slot < 0 or slot > e.candidates.shape[1] or device < 0 or device > last:
        return False
    if slot > 0:
        page = e.candidates[b, slot - 1]
        return page != NOBODY and e.moves_left[b] > 0 and not over(e, b) and may_migrate(rules, s, b, page, device)
    if form.mode == MIGRATION or over(e, b):
        return device == last
    return may_target(rules, s, b, device, x.pages[s.at[b]])


@kernel
def act(x, rules, form, e, b, slot, device, out):
    """Carry out one action in row b. In an episode that has ended every action does nothing."""
    s = e.model
    out.illegal[b] = out.terminated[b] = False
    out.rewards[b] = 0.0
    out.truncated[b] = over(e, b)
    if out.truncated[b]:
        return
    if not legal(x, rules, form, e, b, slot, device):
        out.illegal[b] = True
        out.rewards[b] = -1.0 - slow_us(x, rules, s.at[b]) / form.slow_us  # worse than to serve it slowly
        s.n_illegal[b] += 1
    else:
        latency, busy = s.latency[b], total_busy(s, b)
        served = 0
        if slot == 0:
            served = serve_next(x, rules, form, e, b, device)
        else:
            migrate(x, rules, s, b, e.candidates[b, slot - 1], device)
            e.candidates[b, slot - 1] = NOBODY
            e.moves_left[b] -= 1
        out.rewards[b] = reward(form, s, b, served, s.latency[b] - latency, total_busy(s, b) - busy)
    e.steps_left[b] -= 1
    if s.at[b] >= e.end[b]:
        e.steps_left[b] = 0
        e.rest[b] = e.rest_baseline[b] = 0.0
    out.truncated[b] = over(e, b)


@kernel
def serve_next(x, rules, form, e, b, device):
    """Serve the next request, or in migration the next ones; how many."""
    s = e.model
    t, before = s.at[b], s.latency[b]
    n = min(form.stride, e.end[b] - t) if form.mode == MIGRATION else 1
    for i in range(t, t + n):
        e.rest[b] -= slow_us(x, rules, i)
        e.rest_baseline[b] -= fast_us(x, rules, i)
    serve_many(x, rules, s, b, STAY if form.mode == MIGRATION else device, n)
    e.course[b, part_of(t - e.begin[b], e.end[b] - e.begin[b])] += s.latency[b] - before
    e.since[b] += n
    if e.since[b] >= form.stride:
        choose_candidates(form, e, b)
    return n


@inlined
def part_of(i, n):
    """The part of a window of n requests that its i-th belongs to."""
    return i * PARTS // n


@inlined
def total_busy(s, b):
    """Service time of all devices so far."""
    total = 0.0
    for d in range(s.busy.shape[1]):
        total += s.busy[b, d]
    return total


@inlined
def reward(form, s, b, served, latency, busy):
    """What an action earns that served so many requests and lengthened the sum of latencies so much."""
    if form.reward == LATENCY:
        return -latency / form.slow_us / (form.stride if form.mode == MIGRATION else 1)
    earned = form.fast_us * served / latency if served > 0 else 0.0
    if form.reward == SIBYL:
        moving = s.last_eviction_us[b] if served > 0 else busy
        earned -= EVICTION_PENALTY * moving / form.fast_us
        if served > 0:
            earned = max(earned, 0.0)
    return earned


@kernel
def choose_candidates(form, e, b):
    """Choose the pages that may be migrated until `stride` more requests have been served."""
    s, n = e.model, e.candidates.shape[1]
    devices = s.busy.shape[1]
    e.since[b], e.moves_left[b] = 0, n
    for i in range(n):
        e.candidates[b, i] = NOBODY
    promotions = (n + 1) // 2
    for d in range(1, devices):
        page = s.alloc.first_held[b, d]
        for _ in range(LOOKED_AT):
            if n == 0 or page == NOBODY or s.last_access[b, page] == NEVER:
                break
            _insert(e, b, page, promotions)
            page = s.alloc.next_held[b, page]
    i = promotions
    for d in range(devices - 1):
        until = promotions + (n - promotions) * (d + 1) // (devices - 1)
        page = s.alloc.last_held[b, d]
        while i < until and page != NOBODY:
            e.candidates[b, i] = page
            page = s.alloc.prev_held[b, page]
            i += 1
    # A page of a middle device may be wanted both ways; one slot is enough.
    for k in range(promotions, n):
        for j in range(promotions):
            if e.candidates[b, k] == e.candidates[b, j]:
                e.candidates[b, k] = NOBODY


@inlined
def _insert(e, b, page, n):
    """Keep the page among the first n candidates if it is one of the most often requested, earlier ones first."""
    accesses, candidates = e.model.accesses, e.candidates
    i = n
    while i > 0 and (candidates[b, i - 1] == NOBODY or accesses[b, candidates[b, i - 1]] < accesses[b, page]):
        if i < n:
            candidates[b, i] = candidates[b, i - 1]
        i -= 1
    if i < n:
        candidates[b, i] = page
