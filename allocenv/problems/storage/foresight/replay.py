"""The loop: remember, learn, let every rule serve the request in its shadow, and serve it by the best one."""

from math import exp, isnan, sqrt
from typing import NamedTuple

from allocenv.core.arrays import Array, LongArray
from allocenv.core.bits import next_bits
from allocenv.core.kernel import inlined, kernel
from allocenv.core.resource_state import NOBODY
from allocenv.problems.storage.dynamics import READ, STAY, WRITE, serve
from allocenv.problems.storage.foresight.choice import FORESEE, foresee, selects
from allocenv.problems.storage.foresight.costs import coming_us, place_us, saving_us
from allocenv.problems.storage.foresight.history import record
from allocenv.problems.storage.foresight.leaving import Called, fills_soon
from allocenv.problems.storage.foresight.prediction import (
    is_due,
    label_request,
    label_samples,
    learn,
    put_sample,
    ready,
    value_of,
)
from allocenv.problems.storage.rules import CHARGED

TEACH_EVERY = 16  # requests between two steps of learning ...
EAGER_EVERY, EAGER_STEPS = 2, 8_000  # ... and while few steps were made
LONGER = 10.0  # times the memory, for small differences
CHANCE = 2.3  # by which share another rule must do better before it takes over, times the root of requests judged
SIZE_MEMORY = 1_000.0  # requests over which their mean size is taken
FALLBACK = 0  # the rule that foreseeing ones follow until the predictor is ready


class Mind(NamedTuple):
    """What the loop itself keeps."""

    memory: float  # requests over which a rule is judged
    every: int  # requests between two looks at who does best
    credited: bool  # whether a rule is credited for what its devices hold
    called: Called  # pages that leave for no one now
    room: LongArray  # [1]
    after: LongArray  # [1]  address behind the last request
    following: LongArray  # [1]  the rule in force
    score: Array  # [2, E]  decayed sums of latencies less what the assets grew, of late and for long
    spent: Array  # [2]  the same sums of latencies of the real run
    served: LongArray  # [1]  requests so far
    size: Array  # [1]  mean pages of a request lately
    price: Array  # [E, D - 1, 2]  what a place costs under each rule, see `leaving.new_price`
    asset: Array  # [E]  what the devices of a rule's shadow held is worth, microseconds, when last judged; or NaN


@inlined
def _choose(x, rules, s, b, set_, e, p, history, m, draw, random):
    """The target of rule e for row b; pages that have to leave are put last, `m.room` says how many more."""
    m.room[0] = 0
    kind = set_.kind[e]
    if kind == FORESEE and ready(p):
        for device in range(rules.capacity.size - 1):
            caution, view, price = set_.caution[e], set_.viewed[e], m.price[e]
            if foresee(x, rules, s, b, caution, view, p, history, device, price, m.called, m.room, random):
                return device
        return STAY
    rule = FALLBACK if kind == FORESEE else e
    return 0 if selects(x, s, b, set_.hits[rule], set_.probability[rule], draw) else STAY


@kernel
def replay_foresight(x, rules, s, shadow, set_, p, history, m, random, latency, n):
    """Serve the next n requests in row 0 of `s`; row e of `shadow` is where rule e would stand."""
    for i in range(n):
        t = s.at[0]
        first, pages, op = x.first[t], x.pages[t], WRITE if x.write[t] else READ
        sequential = x.address[first] == m.after[0]
        m.after[0] = x.address[first] + pages
        m.size[0] += (pages - m.size[0]) / SIZE_MEMORY
        record(history, first, pages, x.write[t], sequential)
        label_request(
            p,
            history,
            first,
            pages,
            saving_us(rules, 0, op, pages, sequential),
            coming_us(rules, op, pages, m.price[m.following[0]]),
        )
        if is_due(p, history):
            put_sample(p, history, first + next_bits(random) % pages, next_bits(random) % p.rent.size)
            put_sample(p, history, _some_page(shadow, m, history, random), next_bits(random) % p.rent.size)
        if m.served[0] % (EAGER_EVERY if p.steps[0] < EAGER_STEPS else TEACH_EVERY) == 0:
            label_samples(p, history)
            if ready(p):
                learn(p, random)
        draw = (next_bits(random) >> 10) * (1.0 / (1 << 53))
        for e in range(set_.kind.size):
            target = _choose(x, rules, shadow, e, set_, e, p, history, m, draw, random)
            spent = serve(x, rules, shadow, e, target, m.room[0])
            _add(m, m.score[:, e], spent)
        target = _choose(x, rules, s, 0, set_, m.following[0], p, history, m, draw, random)
        latency[i] = serve(x, rules, s, 0, target, m.room[0])
        _add(m, m.spent, latency[i])
        m.served[0] += 1
        if m.served[0] % m.every == 0:
            if m.credited and ready(p):
                _appraise(rules, shadow, p, history, m)
            _judge(set_, m)


@kernel
def _appraise(rules, shadow, p, history, m):
    """Count to every rule's credit by how much more its devices are worth: else who invests looks worst at first."""
    for e in range(m.asset.size):
        asset = asset_us(rules, shadow, e, p, history, m.price[e], m.size[0])
        if not isnan(m.asset[e]):
            for k in range(m.score.shape[0]):
                m.score[k, e] -= asset - m.asset[e]
        m.asset[e] = asset


@inlined
def asset_us(rules, s, b, p, history, price, size):
    """What row b's devices will save by what they hold, in the tightest view, and by room that nobody has to leave."""
    asset = 0.0
    view = p.rent.size - 1
    for device in range(rules.capacity.size - 1):
        held = 0.0
        page = s.alloc.first_held[b, device]
        while page != NOBODY:
            held += max(value_of(p, history, page, view), 0.0)
            page = s.alloc.next_held[b, page]
        asset += held * saving_us(rules, device, READ, 1, False) / saving_us(rules, 0, READ, 1, False)
        if rules.accounting == CHARGED:
            free = rules.capacity[device] - s.alloc.used[b, 0, device]
            due = fills_soon(rules, s, b, device, p.horizon, history.clock[0])
            asset += free * due * (place_us(rules, price, device, size) + price[device, 1])
    return asset


@inlined
def _add(m, sums, us):
    """A request took so long: the sums of late and for long."""
    sums[0] += us - sums[0] / m.memory
    sums[1] += us - sums[1] / (LONGER * m.memory)


@inlined
def _judge(set_, m):
    """Follow another rule where it does better by more than chance may explain."""
    for k in (1, 0):
        memory = m.memory if k == 0 else LONGER * m.memory
        chance = CHANCE / sqrt(memory * (1.0 - exp(-m.served[0] / memory)))
        best = m.following[0]
        least = m.score[k, best] + (set_.handicap[best] - 1.0 - chance) * m.spent[k]
        for e in range(set_.handicap.size):
            score = m.score[k, e] + (set_.handicap[e] - 1.0) * m.spent[k]
            if score < least:
                best, least = e, score
        m.following[0] = best


@inlined
def _some_page(shadow, m, history, random):
    """A page that was accessed before, of those on the fastest device in the shadow followed if one is found."""
    pages = history.last.size
    page = 0
    for _ in range(64):
        page = (next_bits(random) >> 5) % pages
        if shadow.alloc.bin_of[m.following[0], page] == 0:
            break
    return page
