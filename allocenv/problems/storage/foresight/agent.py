"""Foresight: our agent for hybrid storage, as a Replayer.

It learns online what pages will save, runs rules of different boldness and the strong simple ones in shadows
(simulations of the same devices beside the real ones), and follows the one that lately did best: where the
learnt rules trail, it is selective LRU. Ideas: relaxed Belady by learning (LRB, Song et al., NSDI 2020), sampled
eviction (Redis), shadow simulation (Waldspurger et al., USENIX ATC 2017); values in time saved instead of hits.
"""

import numpy as np

from allocenv.core.bits import seeded
from allocenv.problems.storage.dynamics import begin, empty_state
from allocenv.problems.storage.foresight.choice import RULES, Rule, arrays_of
from allocenv.problems.storage.foresight.history import empty_history
from allocenv.problems.storage.foresight.prediction import new_predictor
from allocenv.problems.storage.foresight.replay import Mind, replay_foresight
from allocenv.problems.storage.rules import System
from allocenv.problems.storage.simulation import Simulation
from allocenv.problems.storage.trace import Trace

HORIZON = 3.0  # in capacities of the fastest device, counted in page accesses


class Foresight:
    """Made for one trace's pages and one system; reads no request before it is served."""

    def __init__(
        self,
        trace: Trace,
        system: System,
        seed: int = 0,
        rules: tuple[Rule, ...] = RULES,
        horizon: float = HORIZON,
    ) -> None:
        self.rules = system.rules(trace)
        capacity = int(self.rules.capacity[0])
        timing = self.rules.timing
        unit = float(timing.first[0, -1] + timing.full_seek[-1] / 2 + timing.rotation[-1] - timing.first[0, 0])
        rng = np.random.default_rng(seed)
        self.set = arrays_of(rules)
        self.shadow = empty_state(len(rules), trace.n_pages, len(system.devices))
        for e in range(len(rules)):
            begin(self.rules, self.shadow, e, 0)
        self.history = empty_history(trace.n_pages, capacity)
        self.predictor = new_predictor(trace.n_pages, horizon * capacity, max(unit, 1.0), rng)
        self.mind = Mind(
            values=np.zeros(int(trace.requests.pages.max())),
            room=np.zeros(1, np.int64),
            after=np.full(1, -1, np.int64),
            following=np.zeros(1, np.int64),
            score=np.zeros(len(rules)),
            served=np.zeros(1, np.int64),
        )
        self.random = seeded(seed)

    def __call__(self, run: Simulation, n: int) -> None:
        latency = run.next_latencies(n)
        replay_foresight(
            run.trace.requests,
            run.rules,
            run.state,
            self.shadow,
            self.set,
            self.predictor,
            self.history,
            self.mind,
            self.random,
            latency,
            n,
        )
