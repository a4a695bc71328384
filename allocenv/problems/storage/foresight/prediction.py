"""What will a page save if it stays on the fastest device? Learnt online, from what requests came to save.

The value of a page at a moment is the sum of what its later accesses would save, discounted by their distance
in page accesses; the share of one access is what its request saves on the fastest instead of the slowest
device, by its pages. A sample is labelled after a part of that horizon by what came in it and the value of the
page at its end, as predicted then (temporal differences over many accesses; Sutton 1988): a long horizon is
learnt from short waits, and nothing is known too early. The predictor is exp(perceptron), fitted by the Poisson
likelihood: its mean is right however skewed values are.
"""

from math import exp
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, LongArray
from allocenv.core.bits import next_bits
from allocenv.core.kernel import inlined, kernel
from allocenv.problems.storage.foresight.history import FEATURES, NO_INTERVAL, describe
from allocenv.problems.storage.online.network import adam, backward, forward, glorot

HIDDEN = (24, 24)
HIGHEST = 8.0  # of the logarithm of a value
BATCH = 64
LEARNING_RATE = 2e-3
AVERAGED = 0.005  # share of the newest weights in the average
SLOWEST = 0.1  # of the learning rate, in the long run
MOST_AHEAD = 4.0  # horizons from `origin` on
QUEUE = 1 << 16  # samples that can wait
MEMORY = 1 << 16  # samples that are kept
STALE = 0.25  # of a page's age, by which it may have grown since its value was predicted
LONG_AGO = -2 * NO_INTERVAL
READY = 2_000  # labelled samples before the predictor is believed


class Predictor(NamedTuple):
    """The network, samples waiting for their label, and labelled ones to learn from."""

    horizon: float  # page accesses by which a saving counts 1/e
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
    credit: Array  # [M]  savings of each page since `origin`, discounted by their distance from it
    origin: LongArray  # [1]
    waiting: Array  # [Q, F]
    waiting_page: LongArray  # [Q]
    waiting_since: LongArray  # [Q]
    waiting_credit: Array  # [Q]
    queue: LongArray  # [2]  samples ever put in, ever taken out
    samples: Array  # [R, F]
    labels: Array  # [R]
    known: LongArray  # [1]  samples ever labelled
    value: Array  # [M]  the last prediction for each page, microseconds
    valued_at: LongArray  # [M]  when it was made, or LONG_AGO


def new_predictor(pages: int, horizon: float, delay: float, unit: float, rng: np.random.Generator) -> Predictor:
    """A predictor that knows nothing."""
    sizes = np.array([len(FEATURES), *HIDDEN, 1], np.int64)
    weights, total = glorot(sizes, rng), int(sizes.sum())
    return Predictor(
        horizon=float(horizon),
        delay=float(delay),
        unit=float(unit),
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
        credit=np.zeros(pages),
        origin=np.zeros(1, np.int64),
        waiting=np.zeros((QUEUE, len(FEATURES))),
        waiting_page=np.zeros(QUEUE, np.int64),
        waiting_since=np.zeros(QUEUE, np.int64),
        waiting_credit=np.zeros(QUEUE),
        queue=np.zeros(2, np.int64),
        samples=np.zeros((MEMORY, len(FEATURES))),
        labels=np.zeros(MEMORY),
        known=np.zeros(1, np.int64),
        value=np.zeros(pages),
        valued_at=np.full(pages, LONG_AGO, np.int64),
    )


def forget_waiting(p: Predictor) -> None:
    """Drop what waits for a label, and count time from zero; what was learnt stays."""
    p.queue[:], p.origin[0] = 0, 0
    p.credit[:] = 0.0
    p.valued_at[:] = LONG_AGO


@inlined
def ready(p):
    """Whether enough has been learnt."""
    return p.known[0] >= READY


@kernel
def predict(p, history, page):
    """The value of a page as of now, microseconds."""
    describe(history, page, p.h)
    forward(p.sizes, p.acting, p.z, p.h)
    return p.unit * exp(min(p.h[p.h.size - 1], HIGHEST))


@inlined
def value_of(p, history, page):
    """The value of a page, predicted anew where it has aged much since it was predicted last."""
    now = history.clock[0]
    then = p.valued_at[page]
    if then < history.last[page] or (now - then) > STALE * (then - history.last[page] + 1):
        p.value[page] = predict(p, history, page)
        p.valued_at[page] = now
    return p.value[page]


@kernel
def credit_request(p, history, first, n, saving):
    """A request came that saves so much on the fastest device."""
    ahead = (history.clock[0] - p.origin[0]) / p.horizon
    if ahead > MOST_AHEAD:
        _begin_anew(p, exp(ahead))
        p.origin[0] = history.clock[0]
        ahead = 0.0
    share = saving / n / p.unit * exp(-ahead)
    for page in range(first, first + n):
        p.credit[page] += share


@kernel
def _begin_anew(p, grown):
    """Count credit from zero, before what is new is lost beside what is old; samples keep their difference."""
    for k in range(p.queue[1], p.queue[0]):
        i = k % p.waiting_page.size
        p.waiting_credit[i] = (p.waiting_credit[i] - p.credit[p.waiting_page[i]]) * grown
    for page in range(p.credit.size):
        p.credit[page] = 0.0


@inlined
def is_due(p, history):
    """Whether it is time for two more samples: so often that the queue never overflows."""
    if p.queue[0] - p.queue[1] + 2 > p.waiting_page.size:
        return False
    newest = p.waiting_since[(p.queue[0] - 1) % p.waiting_page.size]
    return p.queue[0] == 0 or (history.clock[0] - newest) * p.waiting_page.size > 2 * p.delay


@kernel
def put_sample(p, history, page):
    """Remember how a page looks now, to learn what it will have saved. The caller has asked `is_due`."""
    i = p.queue[0] % p.waiting_page.size
    describe(history, page, p.waiting[i])
    p.waiting_page[i] = page
    p.waiting_since[i] = history.clock[0]
    p.waiting_credit[i] = p.credit[page]
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
        page = p.waiting_page[i]
        grown = exp((p.waiting_since[i] - p.origin[0]) / p.horizon)
        p.labels[j] = (p.credit[page] - p.waiting_credit[i]) * grown
        if ready(p):
            left = exp((p.waiting_since[i] - history.clock[0]) / p.horizon)
            p.labels[j] += left * value_of(p, history, page) / p.unit
        p.known[0] += 1
        p.queue[1] += 1


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
        value = exp(min(p.h[out], HIGHEST))
        slope = value - p.labels[i]
        p.delta[out] = min(max(slope, -20.0), 20.0) / BATCH
        backward(p.sizes, p.weights, p.z, p.h, p.delta, p.gradient, 0, 1)
    rate = LEARNING_RATE * max(SLOWEST, 1.0 / (1.0 + p.steps[0] / 2_000.0))
    adam(p.weights, p.gradient, p.mean, p.square, p.steps, rate)
    share = max(AVERAGED, 1.0 / (1.0 + p.steps[0] / 10.0))
    for i in range(p.weights.size):
        p.acting[i] += share * (p.weights[i] - p.acting[i])
