"""Harmonia's second agent: which pages move in the background, and where to?

Every 50 requests it looks at up to ten candidates: of each device but the last the least recently used pages
(five in all, at least one a device), then of the pages that the last requests found on slower devices the most
often accessed. Each gets a target device; its own means that it stays. Moves that `may_migrate` allows are made
at once, those of the least recently used first, so that they make room. After the next 50 requests all
candidates of the batch earn n / (sum of their latencies), less a penalty for a page that was moved
although it had been accessed or moved shortly before.

Source: Harmonia (arXiv 2503.20507 v4, section 4 and tables) for x = 10, n = 50 and the delayed reward; penalty as a
public re-implementation has it: 10 / intervals beside 100 / latency in microseconds, so that at intervals of 1 in
all it takes what a device of 10 us would earn. The papers name no rule for candidates, nor what is idle: the batch
of every 50 requests is ours.
"""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, IntArray, LongArray
from allocenv.core.bits import next_bits
from allocenv.core.kernel import inlined, kernel
from allocenv.core.resource_state import NOBODY
from allocenv.problems.storage.dynamics import NEVER, may_migrate, migrate
from allocenv.problems.storage.online.features import observe_for_harmonia
from allocenv.problems.storage.online.learner import Learner, Memory, complete, decide, remember, uniform
from allocenv.problems.storage.online.q_learning import best_output

WINDOW = 50  # n: requests that follow a batch, and tell what it was worth
CANDIDATES = 10  # x
COLD = 5  # of them, least recently used
QUEUE = 64  # pages found on slower devices that are kept in mind
SIZE_BITS = 3  # of what is kept of a page's last request; the bit above: a write
PENALTY = 1.0  # of the best reward, for a move at intervals of 1 in all


class MigrationState(NamedTuple):
    """The migration agent: networks, memory, and the batch whose reward is still to come. X candidates."""

    learner: Learner
    memory: Memory
    page: LongArray  # [X]
    bins: Array  # [X, 7] uint8
    action: LongArray  # [X]
    penalty: Array  # [X]
    size: LongArray  # [1]  candidates in the batch
    queue: IntArray  # [QUEUE]  ring of pages found on slower devices
    queued: LongArray  # [1]  ever
    requests: LongArray  # [1]  since the batch
    latency: Array  # [1]  of these, and what the batch itself was charged
    kind: Array  # [M] uint8  of the page's last request: bin of its size, and whether it wrote
    next_bins: Array  # [7] uint8


def empty_migration(learner: Learner, memory: Memory, pages: int) -> MigrationState:
    """A migration agent before its first batch."""
    features = len(learner.levels)
    return MigrationState(
        learner=learner,
        memory=memory,
        page=np.zeros(CANDIDATES, np.int64),
        bins=np.zeros((CANDIDATES, features), np.uint8),
        action=np.zeros(CANDIDATES, np.int64),
        penalty=np.zeros(CANDIDATES),
        size=np.zeros(1, np.int64),
        queue=np.full(QUEUE, NOBODY, np.int32),
        queued=np.zeros(1, np.int64),
        requests=np.zeros(1, np.int64),
        latency=np.zeros(1),
        kind=np.zeros(pages, np.uint8),
        next_bins=np.zeros(features, np.uint8),
    )


@inlined
def keep_in_mind(x, s, b, a, t, size):
    """Note the kind of request t for its pages, and queue those that are not on the fastest device."""
    kind = size | (x.write[t] << SIZE_BITS)
    for page in range(x.first[t], x.first[t] + x.pages[t]):
        a.kind[page] = kind
        if s.alloc.bin_of[b, page] != 0:
            a.queue[a.queued[0] % QUEUE] = page
            a.queued[0] += 1


@kernel
def migrate_batch(x, rules, s, b, a, random, epsilon, gamma):
    """Reward the batch of one window ago, then choose and move the next one."""
    _settle(rules, s, b, a, gamma)
    a.size[0] = 0
    _add_cold(rules, s, b, a)
    _add_hot(s, b, a)
    before = s.done[b]
    for i in range(a.size[0]):
        page, bins = a.page[i], a.bins[i]
        _observe(rules, s, b, a, page, bins)
        if uniform(random) < epsilon:
            a.action[i] = next_bits(random) % rules.capacity.size
        else:
            decide(a.learner, bins)
            a.action[i] = best_output(a.learner)
        a.penalty[i] = 0.0
        if may_migrate(rules, s, b, page, a.action[i]):
            a.penalty[i] = PENALTY / (_since(s.at[b], s.last_access[b, page]) + _since(s.at[b], s.last_move[b, page]))
            migrate(x, rules, s, b, page, a.action[i])
    a.requests[0] = 0
    a.latency[0] = s.done[b] - before


@inlined
def _since(now, then):
    return now + 1.0 if then == NEVER else max(now - then, 1.0)


@inlined
def _observe(rules, s, b, a, page, bins):
    kind = a.kind[page]
    observe_for_harmonia(rules, s, b, page, kind >> SIZE_BITS, kind & ((1 << SIZE_BITS) - 1), bins)


@inlined
def _settle(rules, s, b, a, gamma):
    """Write what the candidates of the last batch have earned into the memory."""
    if a.requests[0] > 0:
        earned = rules.timing.first[0, 0] * a.requests[0] / a.latency[0]
        for i in range(a.size[0]):
            remember(a.memory, a.bins[i], a.action[i], (1.0 - gamma) * (earned - a.penalty[i]))
            _observe(rules, s, b, a, a.page[i], a.next_bins)
            complete(a.memory, a.next_bins)


@inlined
def _add_cold(rules, s, b, a):
    """The least recently used pages of every device but the last."""
    levels = rules.capacity.size - 1
    for device in range(levels):
        page = s.alloc.last_held[b, device]
        for _ in range(max(COLD // levels, 1)):
            if page != NOBODY:
                a.page[a.size[0]] = page
                a.size[0] += 1
                page = s.alloc.prev_held[b, page]


@inlined
def _add_hot(s, b, a):
    """Pages of the queue that are still on slower devices, the most often accessed first, of equal ones the latest."""
    begin = a.size[0]
    for k in range(1, QUEUE + 1):
        page = a.queue[(a.queued[0] - k) % QUEUE]
        if page == NOBODY or s.alloc.bin_of[b, page] == 0 or _chosen(a, page):
            continue
        if a.size[0] < CANDIDATES:
            a.size[0] += 1
        elif s.accesses[b, page] <= s.accesses[b, a.page[CANDIDATES - 1]]:
            continue
        place = a.size[0] - 1
        while place > begin and s.accesses[b, page] > s.accesses[b, a.page[place - 1]]:
            a.page[place] = a.page[place - 1]
            place -= 1
        a.page[place] = page


@inlined
def _chosen(a, page):
    """Whether the page is a candidate already."""
    found = False
    for i in range(a.size[0]):
        found |= a.page[i] == page
    return found
