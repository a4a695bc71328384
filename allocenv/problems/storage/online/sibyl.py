"""Sibyl: which device takes a request? Learnt online by categorical Q-learning (Singh et al., ISCA 2022).

As published: six features in bins (one more for each further device), layers of 20 and 30 swish units, 51 atoms
for each device, reward 1 / latency less a penalty for what was evicted, learning every 1000 requests on 8 batches
of 128 from the last 1000 experiences. Reads are placed as writes are: `serve` brings what was read to the target.

Where the paper is silent: latencies of the reward are in microseconds, and the whole is scaled such that a page
read from the idle fastest device gives 1 - gamma, hence returns from 0 to 1, the range of the atoms; untried
actions begin near its middle. Adam; Glorot's initial weights; the deciding network is the target network.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array
from allocenv.core.bits import next_bits, seeded
from allocenv.core.kernel import inlined, kernel
from allocenv.core.state_dict import copy_arrays, load_arrays
from allocenv.problems.storage.dynamics import serve
from allocenv.problems.storage.online.c51 import ATOMS, atom_scratch, best_by_expectation, learn_c51
from allocenv.problems.storage.online.features import observe_for_sibyl, sibyl_levels
from allocenv.problems.storage.online.learner import (
    Learner,
    Learning,
    Memory,
    complete,
    decide,
    empty_learner,
    empty_memory,
    remember,
    take_over,
    uniform,
)
from allocenv.problems.storage.rules import System
from allocenv.problems.storage.simulation import Simulation
from allocenv.problems.storage.trace import Trace

PUBLISHED = Learning(hidden=(20, 30), gamma=0.9, learning_rate=1e-4)
TENFOLD = replace(PUBLISHED, learning_rate=1e-3)  # the published rate is slow on traces of 10**5 requests
PENALTY = 0.001  # of the reward, for each microsecond of eviction (section 5, reward)
HIGHEST = 1.0  # return


class SibylState(NamedTuple):
    """All that an agent has in memory."""

    learner: Learner
    memory: Memory
    atoms: Array  # [2, ATOMS]
    bins: Array  # [F] uint8  of the request at hand
    random: Array  # [1] uint64


@inlined
def reward_of(rules, s, b, gamma):
    """What the last request earned: 1 / latency, less a share of the time that it spent on evictions."""
    earned = 1.0 / s.last_latency[b]
    if s.last_evictions[b] > 0:
        earned = max(0.0, earned - PENALTY * s.last_eviction_us[b])
    return (1.0 - gamma) * rules.timing.first[0, 0] * earned


@kernel
def replay_sibyl(x, rules, s, b, agent, epsilon, gamma, latency, n):
    """Serve the next n requests by the deciding network; writes the latency of each [n]."""
    bins, random = agent.bins, agent.random
    for i in range(n):
        observe_for_sibyl(x, rules, s, b, bins)
        complete(agent.memory, bins)
        if uniform(random) < epsilon:
            action = next_bits(random) % rules.capacity.size
        else:
            decide(agent.learner, bins)
            action = best_by_expectation(agent.learner, agent.atoms)
        latency[i] = serve(x, rules, s, b, action)
        remember(agent.memory, bins, action, reward_of(rules, s, b, gamma))


class Sibyl:
    """A Replayer that learns while it serves, from random weights. All in it follows from the seed."""

    def __init__(self, trace: Trace, system: System, seed: int = 0, learning: Learning = PUBLISHED) -> None:
        devices = len(system.devices)
        levels = sibyl_levels(devices)
        self.learning = learning
        self.state = SibylState(
            empty_learner(levels, learning.hidden, devices * ATOMS, np.random.default_rng(seed)),
            empty_memory(learning.replay, len(levels)),
            atom_scratch(),
            np.zeros(len(levels), np.uint8),
            seeded(seed),
        )

    def __call__(self, run: Simulation, n: int) -> None:
        """Serve the next n requests, and learn every period."""
        how, end = self.learning, run.at + n
        while run.at < end:
            until_learning = how.period - int(self.state.memory.written[0]) % how.period
            count = min(until_learning, end - run.at)
            latency = run.next_latencies(count)
            replay_sibyl(
                run.trace.requests, run.rules, run.state, 0, self.state, how.epsilon, how.gamma, latency, count
            )
            if count == until_learning:
                self._learn()

    def _learn(self) -> None:
        how, (learner, memory, atoms, _, random) = self.learning, self.state
        for _ in range(how.batches):
            learn_c51(learner, memory, atoms, how.gamma, HIGHEST, how.learning_rate, how.batch, random)
        if how.batches:
            take_over(learner)

    def state_dict(self) -> dict[str, Array]:
        """Everything learnt and remembered, by name."""
        return copy_arrays(self.state)

    def load_state_dict(self, saved: dict[str, Array]) -> None:
        """Go on from what `state_dict` gave. Raises ValueError where it is of another network or system."""
        load_arrays(self.state, saved)
