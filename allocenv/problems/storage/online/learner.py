"""One learning agent's arrays: the network that decides, the copy that learns, and what was experienced.

The copy learns from batches of the replay memory, with the deciding network as its target; every period the
deciding network takes over the copy's weights (Sibyl, ISCA 2022, section 6: two networks, two threads).
Inputs are bins, so the first layer of the deciding network is a sum of table rows.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, LongArray
from allocenv.core.bits import next_bits
from allocenv.core.kernel import inlined, kernel
from allocenv.problems.storage.online.network import activate, glorot, propagate


@dataclass(frozen=True)
class Learning:
    """How an agent learns."""

    hidden: tuple[int, ...]
    gamma: float
    learning_rate: float
    epsilon: float = 0.001
    batch: int = 128
    replay: int = 1000  # entries
    period: int = 1000  # requests between two times of learning
    batches: int = 8  # each time

    def __post_init__(self) -> None:
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError(f"Expected at least one hidden layer, of 1 or more units, got {self.hidden}.")
        if not 0 <= self.gamma < 1:
            raise ValueError(f"Expected gamma from 0 and below 1, got {self.gamma}.")
        if not 0 <= self.epsilon <= 1:
            raise ValueError(f"Expected epsilon from 0 to 1, got {self.epsilon}.")
        if not self.learning_rate > 0:
            raise ValueError(f"Expected learning_rate > 0, got {self.learning_rate}.")
        if self.replay < 2:
            raise ValueError(f"Expected replay of at least 2 entries, got {self.replay}.")
        if self.batch < 1 or self.period < 2 or self.batches < 0:
            got = f"{self.batch}, {self.period} and {self.batches}"
            raise ValueError(f"Expected batch >= 1, period >= 2, batches >= 0, got {got}.")


class Learner(NamedTuple):
    """Both networks. F features, W weights, N numbers in all layers, H units of the first hidden one."""

    sizes: LongArray  # [L + 1]  inputs, hidden units, outputs
    levels: LongArray  # [F]  bins of each feature
    offset: LongArray  # [F]  where a feature's rows begin in `rows`
    acting: Array  # [W]
    rows: Array  # [sum(levels), H]  first layer of `acting`, per feature and bin
    training: Array  # [W]
    gradient: Array  # [W]
    mean: Array  # [W]  of Adam
    square: Array  # [W]
    steps: LongArray  # [1]
    z: Array  # [N]
    h: Array  # [N]
    delta: Array  # [N]


class Memory(NamedTuple):
    """The last R experiences, in a ring. The newest one's next observation is not known yet."""

    bins: Array  # [R, F] uint8
    action: LongArray  # [R]
    reward: Array  # [R]
    next_bins: Array  # [R, F] uint8
    written: LongArray  # [1]  how many ever


def empty_learner(levels: LongArray, hidden: tuple[int, ...], outputs: int, rng: np.random.Generator) -> Learner:
    """A learner with random weights."""
    sizes = np.array([len(levels), *hidden, outputs], np.int64)
    weights, total = glorot(sizes, rng), int(sizes.sum())
    learner = Learner(
        sizes=sizes,
        levels=levels,
        offset=np.cumsum(levels) - levels,
        acting=np.zeros_like(weights),
        rows=np.zeros((int(levels.sum()), hidden[0])),
        training=weights,
        gradient=np.zeros_like(weights),
        mean=np.zeros_like(weights),
        square=np.zeros_like(weights),
        steps=np.zeros(1, np.int64),
        z=np.zeros(total),
        h=np.zeros(total),
        delta=np.zeros(total),
    )
    take_over(learner)
    return learner


def empty_memory(entries: int, features: int) -> Memory:
    """A memory without experiences."""
    return Memory(
        bins=np.zeros((entries, features), np.uint8),
        action=np.zeros(entries, np.int64),
        reward=np.zeros(entries),
        next_bins=np.zeros((entries, features), np.uint8),
        written=np.zeros(1, np.int64),
    )


@kernel
def take_over(a):
    """Let the deciding network have the weights that were learnt."""
    units = a.sizes[1]
    for i in range(a.acting.size):
        a.acting[i] = a.training[i]
    for f in range(a.levels.size):
        for level in range(a.levels[f]):
            share = level / (a.levels[f] - 1)
            for k in range(units):
                bias = a.acting[a.levels.size * units + k] if f == 0 else 0.0
                a.rows[a.offset[f] + level, k] = bias + share * a.acting[f * units + k]


@inlined
def outputs_begin(a):
    """Where the outputs stand in `h`, `z` and `delta`."""
    return a.h.size - a.sizes[a.sizes.size - 1]


@inlined
def decide(a, bins):
    """Run the deciding network on binned features; its outputs stand at the end of `a.h`."""
    o, units = a.sizes[0], a.sizes[1]
    sums, row = a.z[o : o + units], a.rows[a.offset[0] + bins[0]]
    for k in range(units):
        sums[k] = row[k]
    for f in range(1, bins.size):
        row = a.rows[a.offset[f] + bins[f]]
        for k in range(units):
            sums[k] += row[k]
    activate(a.z, a.h, o, units)
    propagate(a.sizes, a.acting, a.z, a.h, 1)


@inlined
def run_training(a, bins):
    """Run the learning network on binned features."""
    for f in range(bins.size):
        a.z[f] = a.h[f] = bins[f] / (a.levels[f] - 1)
    propagate(a.sizes, a.training, a.z, a.h, 0)


@inlined
def uniform(random):
    """A random number from 0 and below 1."""
    return (next_bits(random) >> 10) * (1.0 / (1 << 53))


@inlined
def drawn(m, random):
    """The place of a random experience whose next observation is known. There must be two in the memory."""
    entries = m.action.size
    known = min(m.written[0], entries) - 1
    return (m.written[0] - 2 - next_bits(random) % known) % entries


@inlined
def complete(m, bins):
    """Tell the newest experience what was observed next."""
    if m.written[0] > 0:
        newest = (m.written[0] - 1) % m.action.size
        for f in range(bins.size):
            m.next_bins[newest, f] = bins[f]


@inlined
def remember(m, bins, action, reward):
    """Write an experience over the oldest one."""
    i = m.written[0] % m.action.size
    for f in range(bins.size):
        m.bins[i, f] = bins[f]
    m.action[i], m.reward[i] = action, reward
    m.written[0] += 1
