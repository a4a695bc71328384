"""What is it worth that a page is on the fastest device? Learnt online, from the next access of pages.

A place there has a rent, as in Whittle's index for restless bandits (1988): a page saves what its next request
saves, by its pages, less the rent until then, and is from then on worth what it is worth at that access; but no
more than some times what coming would cost then, since whoever is not there can still come. A page that is not
accessed for a while is worth what it is worth after that, or nothing: it may leave. Values are learnt from these
labels (temporal differences; Sutton 1988), for several rents and bounds by one perceptron that is told both.
"""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, LongArray
from allocenv.core.bits import next_bits
from allocenv.core.kernel import inlined, kernel
from allocenv.problems.storage.foresight.history import FEATURES, NO_INTERVAL, describe
from allocenv.problems.storage.online.network import adam, backward, forward, glorot

HIDDEN = (24, 24)
VIEWS = (  # of what a place is worth
    # its rent for as many page accesses as there are places, in savings of one access; and times what the most
    # cautious rule asks for that a page is worth at most after its next access
    (0.05, 2.0),
    (0.2, 2.0),
    (0.2, 0.5),
)
TIGHT = 2  # the view with the tight bound: finer near what decides, coarse about who is used much
HORIZON = 12.0  # in capacities of the fastest device, counted in page accesses
DELAY = 1.5  # the same, until a sample is labelled
BATCH = 64
LEARNING_RATE = 2e-3
AVERAGED = 0.005  # share of the newest weights in the average
SLOWEST = 0.1  # of the learning rate, in the long run
QUEUE = 1 << 16  # samples that can wait
MEMORY = 1 << 16  # samples that are kept
STALE = 0.25  # of a page's age, by which it may have grown since its value was predicted
LONG_AGO = -2 * NO_INTERVAL
READY = 2_000  # labelled samples before the predictor is believed


class Predictor(NamedTuple):
    """The network, samples waiting for their label, and labelled ones to learn from."""

    horizon: float  # page accesses by which an eviction that is due then counts 1/e
    delay: float  # page accesses until a sample is labelled
    unit: float  # microseconds of a value of 1
    sizes: LongArray
    weights: Array  # that are learnt
    acting: Array  # their moving average, which predicts
    gradient: Array
    mean: Array
    square: Array
    steps: LongArray  # [1]
    z: Array
    h: Array
    delta: Array
    rent: Array  # [V]  microseconds that a place costs by page access
    most: Array  # [V]  times the cost of coming that a page is worth at most after its next access
    seen_as: Array  # [V, 2]  rent and bound as features
    waiting: Array  # [Q, F]
    waiting_page: LongArray  # [Q]
    waiting_since: LongArray  # [Q]
    waiting_view: LongArray  # [Q]  which view
    waiting_label: Array  # [Q]  or NaN until the page is accessed again
    waiting_next: LongArray  # [Q]  an older sample of the same page, or -1
    newest: LongArray  # [M]  the newest sample of each page that was not accessed since, or -1
    queue: LongArray  # [2]  samples ever put in, ever taken out
    samples: Array  # [R, F]
    labels: Array  # [R]
    known: LongArray  # [1]  samples ever labelled
    value: Array  # [V, M]  the last prediction for each page, microseconds
    valued_at: LongArray  # [V, M]  when it was made, or LONG_AGO


def new_predictor(
    pages: int, capacity: int, unit: float, asked: float, rng: np.random.Generator, views: int = len(VIEWS)
) -> Predictor:
    """A predictor that knows nothing.

    Args:
        pages: of the trace.
        capacity: of the fastest device, in pages.
        unit: what one access saves, microseconds.
        asked: times the cost of coming that the most cautious rule asks for.
        rng: of the first weights.
        views: how many of `VIEWS` are learnt, from the first one on.
    """
    rents, bounds = np.array(VIEWS[:views]).T
    sizes = np.array([len(FEATURES), *HIDDEN, 1], np.int64)
    weights, total = glorot(sizes, rng), int(sizes.sum())
    return Predictor(
        horizon=HORIZON * capacity,
        delay=DELAY * capacity,
        unit=unit,
        sizes=sizes,
        weights=weights,
        acting=weights.copy(),
        gradient=np.zeros_like(weights),
        mean=np.zeros_like(weights),
        square=np.zeros_like(weights),
        steps=np.zeros(1, np.int64),
        z=np.zeros(total),
        h=np.zeros(total),
        delta=np.zeros(total),
        rent=rents * unit / capacity,
        most=bounds * asked,
        seen_as=np.log(VIEWS[:views]) / 4,
        waiting=np.zeros((QUEUE, len(FEATURES))),
        waiting_page=np.zeros(QUEUE, np.int64),
        waiting_since=np.zeros(QUEUE, np.int64),
        waiting_view=np.zeros(QUEUE, np.int64),
        waiting_label=np.zeros(QUEUE),
        waiting_next=np.zeros(QUEUE, np.int64),
        newest=np.full(pages, -1, np.int64),
        queue=np.zeros(2, np.int64),
        samples=np.zeros((MEMORY, len(FEATURES))),
        labels=np.zeros(MEMORY),
        known=np.zeros(1, np.int64),
        value=np.zeros((views, pages)),
        valued_at=np.full((views, pages), LONG_AGO, np.int64),
    )


def forget_waiting(p: Predictor) -> None:
    """Drop what waits for a label, since time is counted anew; what was learnt stays."""
    p.queue[:] = 0
    p.newest[:] = -1
    p.valued_at[:] = LONG_AGO


@inlined
def ready(p):
    """Whether enough has been learnt."""
    return p.known[0] >= READY


@kernel
def predict(p, history, page, v):
    """The value of a page as of now in view v, microseconds."""
    describe(history, page, p.seen_as[v], p.h)
    forward(p.sizes, p.acting, p.z, p.h)
    return p.unit * p.h[p.h.size - 1]


@inlined
def value_of(p, history, page, v):
    """The value of a page, predicted anew where it has aged much since it was predicted last."""
    now = history.clock[0]
    then = p.valued_at[v, page]
    if then < history.last[page] or (now - then) > STALE * (then - history.last[page] + 1):
        p.value[v, page] = predict(p, history, page, v)
        p.valued_at[v, page] = now
    return p.value[v, page]


@kernel
def label_request(p, history, first, n, saving, cost):
    """A request came that saves so much on the fastest device, and whose pages pay so much to come there."""
    for page in range(first, first + n):
        i = p.newest[page]
        while i >= 0:
            v = p.waiting_view[i]
            worth = saving / n - p.rent[v] * (history.clock[0] - p.waiting_since[i])
            if ready(p):
                worth += min(max(value_of(p, history, page, v), 0.0), max(p.most[v] * cost, cost) / n)
            p.waiting_label[i] = worth / p.unit
            i = p.waiting_next[i]
        p.newest[page] = -1


@inlined
def is_due(p, history):
    """Whether it is time for two more samples: so often that half of the queue is enough."""
    if p.queue[0] - p.queue[1] + 2 > p.waiting_page.size:
        return False
    newest = p.waiting_since[(p.queue[0] - 1) % p.waiting_page.size]
    return p.queue[0] == 0 or (history.clock[0] - newest) * p.waiting_page.size > 4 * p.delay


@kernel
def put_sample(p, history, page, v):
    """Remember how a page looks now, to learn its value in view v. The caller has asked `is_due`."""
    i = p.queue[0] % p.waiting_page.size
    describe(history, page, p.seen_as[v], p.waiting[i])
    p.waiting_view[i] = v
    p.waiting_page[i] = page
    p.waiting_since[i] = history.clock[0]
    p.waiting_label[i] = np.nan
    p.waiting_next[i] = p.newest[page]
    p.newest[page] = i
    p.queue[0] += 1


@kernel
def label_samples(p, history):
    """Label what has waited long enough."""
    while p.queue[1] < p.queue[0]:
        i = p.queue[1] % p.waiting_page.size
        if history.clock[0] - p.waiting_since[i] < p.delay:
            break
        j = p.known[0] % p.labels.size
        for f in range(p.samples.shape[1]):
            p.samples[j, f] = p.waiting[i, f]
        p.labels[j] = p.waiting_label[i]
        if np.isnan(p.labels[j]):
            page, v = p.waiting_page[i], p.waiting_view[i]
            _withdraw(p, page, i)
            left = max(value_of(p, history, page, v), 0.0) if ready(p) else 0.0
            p.labels[j] = (left - p.rent[v] * (history.clock[0] - p.waiting_since[i])) / p.unit
        p.known[0] += 1
        p.queue[1] += 1


@inlined
def _withdraw(p, page, i):
    """Sample i waits no longer; it is the oldest of its page."""
    k = p.newest[page]
    if k == i:
        p.newest[page] = -1
        return
    while p.waiting_next[k] != i:
        k = p.waiting_next[k]
    p.waiting_next[k] = -1


@kernel
def learn(p, random):
    """One step of Adam on a batch of labelled samples."""
    n = min(p.known[0], p.labels.size)
    out = p.h.size - 1
    for _ in range(BATCH):
        i = next_bits(random) % n
        for f in range(p.samples.shape[1]):
            p.h[f] = p.z[f] = p.samples[i, f]
        forward(p.sizes, p.weights, p.z, p.h)
        slope = p.h[out] - p.labels[i]
        p.delta[out] = min(max(slope, -20.0), 20.0) / BATCH
        backward(p.sizes, p.weights, p.z, p.h, p.delta, p.gradient, 0, 1)
    rate = LEARNING_RATE * max(SLOWEST, 1.0 / (1.0 + p.steps[0] / 2_000.0))
    adam(p.weights, p.gradient, p.mean, p.square, p.steps, rate)
    share = max(AVERAGED, 1.0 / (1.0 + p.steps[0] / 10.0))
    for i in range(p.weights.size):
        p.acting[i] += share * (p.weights[i] - p.acting[i])
