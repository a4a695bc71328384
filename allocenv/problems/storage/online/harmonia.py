"""Harmonia: two agents, one places what is written, one migrates in the background (arXiv 2503.20507 v4).

As published: both see the same seven features in bins, each has a Q-network of one hidden layer with ten swish
units, and a copy of it that learns from the last 1000 experiences and is taken over every 1000 requests. The
placement agent chooses the device of writes and of pages touched for the first time (other reads stay where they
are) and earns 1 / latency; the migration agent is `migration.py`. No message passes between them: they see the
same system and are paid by the same latencies.

Where the paper is silent: 8 batches each time; rewards are scaled such that a page read from the idle fastest
device gives 1 - gamma; Adam; Glorot's initial weights; the deciding network is the target network.
"""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, LongArray
from allocenv.core.bits import next_bits, seeded
from allocenv.core.kernel import inlined, kernel
from allocenv.core.state_dict import copy_arrays, load_arrays
from allocenv.problems.storage.dynamics import NEVER, STAY, serve
from allocenv.problems.storage.online.features import harmonia_levels, observe_for_harmonia, size_bin
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
from allocenv.problems.storage.online.migration import (
    WINDOW,
    MigrationState,
    empty_migration,
    keep_in_mind,
    migrate_batch,
)
from allocenv.problems.storage.online.q_learning import best_output, learn_q
from allocenv.problems.storage.rules import System
from allocenv.problems.storage.simulation import Simulation
from allocenv.problems.storage.trace import Trace

PLACEMENT = Learning(hidden=(10,), gamma=0.9, learning_rate=1e-3)
MIGRATION = Learning(hidden=(10,), gamma=0.1, learning_rate=1e-2, batch=256)


class PlacementState(NamedTuple):
    """The placement agent."""

    learner: Learner
    memory: Memory
    bins: Array  # [7] uint8  of the request at hand


class HarmoniaState(NamedTuple):
    """All that both agents have in memory."""

    placement: PlacementState
    migration: MigrationState
    served: LongArray  # [1]  requests
    random: Array  # [1] uint64


@inlined
def place_next(x, rules, s, b, p, random, epsilon, size):
    """The device for the next request, by the placement agent."""
    t = s.at[b]
    observe_for_harmonia(rules, s, b, x.first[t], x.write[t], size, p.bins)
    complete(p.memory, p.bins)
    if uniform(random) < epsilon:
        return next_bits(random) % rules.capacity.size
    decide(p.learner, p.bins)
    return best_output(p.learner)


@kernel
def replay_harmonia(x, rules, s, b, agent, epsilon, gammas, latency, n):
    """Serve the next n requests, migrating after every 50; writes the latency of each [n].

    `epsilon` and `gammas` are pairs: of the placement agent, of the migration agent.
    """
    place, moves, random = agent.placement, agent.migration, agent.random
    for i in range(n):
        t = s.at[b]
        size = size_bin(x.pages[t])
        decides = x.write[t] or s.last_access[b, x.first[t]] == NEVER
        target = place_next(x, rules, s, b, place, random, epsilon[0], size) if decides else STAY
        keep_in_mind(x, s, b, moves, t, size)
        latency[i] = serve(x, rules, s, b, target)
        if decides:
            earned = (1.0 - gammas[0]) * rules.timing.first[0, 0] / latency[i]
            remember(place.memory, place.bins, target, earned)
        moves.requests[0] += 1
        moves.latency[0] += latency[i]
        agent.served[0] += 1
        if agent.served[0] % WINDOW == 0:
            migrate_batch(x, rules, s, b, moves, random, epsilon[1], gammas[1])


class Harmonia:
    """A Replayer that learns while it serves, from random weights. All in it follows from the seed."""

    def __init__(
        self,
        trace: Trace,
        system: System,
        seed: int = 0,
        placement: Learning = PLACEMENT,
        migration: Learning = MIGRATION,
    ) -> None:
        if placement.period != migration.period:
            raise ValueError(f"Expected one period, got {placement.period} and {migration.period} requests.")
        levels = harmonia_levels(len(system.devices))
        rng = np.random.default_rng(seed)
        placing, moving = (
            (
                empty_learner(levels, how.hidden, len(system.devices), rng),
                empty_memory(how.replay, len(levels)),
            )
            for how in (placement, migration)
        )
        self.learning = (placement, migration)
        self.state = HarmoniaState(
            PlacementState(*placing, np.zeros(len(levels), np.uint8)),
            empty_migration(*moving, trace.n_pages),
            np.zeros(1, np.int64),
            seeded(seed),
        )

    def __call__(self, run: Simulation, n: int) -> None:
        """Serve the next n requests, and learn every period."""
        period, end = self.learning[0].period, run.at + n
        epsilon = tuple(how.epsilon for how in self.learning)
        gammas = tuple(how.gamma for how in self.learning)
        while run.at < end:
            until_learning = period - int(self.state.served[0]) % period
            count = min(until_learning, end - run.at)
            latency = run.next_latencies(count)
            replay_harmonia(run.trace.requests, run.rules, run.state, 0, self.state, epsilon, gammas, latency, count)
            if count == until_learning:
                self._learn()

    def _learn(self) -> None:
        place, moves = self.state.placement, self.state.migration
        agents = ((place.learner, place.memory), (moves.learner, moves.memory))
        for how, (learner, memory) in zip(self.learning, agents, strict=True):
            if how.batches and memory.written[0] >= 2:
                for _ in range(how.batches):
                    learn_q(learner, memory, how.gamma, how.learning_rate, how.batch, self.state.random)
                take_over(learner)

    def state_dict(self) -> dict[str, Array]:
        """Everything learnt and remembered, by name."""
        return copy_arrays(self.state)

    def load_state_dict(self, saved: dict[str, Array]) -> None:
        """Go on from what `state_dict` gave. Raises ValueError where it is of another network or system."""
        load_arrays(self.state, saved)
