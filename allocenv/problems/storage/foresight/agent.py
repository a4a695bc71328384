"""Foresight: our agent for hybrid storage, as a Replayer.

It learns online what pages will save, runs rules of different boldness and the strong simple ones in shadows
(simulations of the same devices beside the real ones), and follows the one that lately did best, what its devices
hold counted: where the learnt rules trail, it is selective LRU. Neighbours leave by one I/O, which makes places
cheap. Ideas: an index by the rent of a place (Whittle 1988), relaxed Belady by learning (LRB, Song et al., NSDI
2020), sampled eviction (Redis), cleaning by cost and benefit (Rosenblum and Ousterhout, SOSP 1991), shadow
simulation (Waldspurger et al., USENIX ATC 2017); values in time saved instead of hits.
"""

import numpy as np

from allocenv.core.bits import seeded
from allocenv.problems.storage.dynamics import begin, empty_state
from allocenv.problems.storage.foresight.choice import IF_FREE, RULES, Rule, arrays_of
from allocenv.problems.storage.foresight.costs import saving_of_a_read, steepest
from allocenv.problems.storage.foresight.history import empty_history
from allocenv.problems.storage.foresight.leaving import new_price, nobody_called
from allocenv.problems.storage.foresight.prediction import forget_waiting, new_predictor
from allocenv.problems.storage.foresight.replay import Mind, replay_foresight
from allocenv.problems.storage.rules import FREE, System
from allocenv.problems.storage.simulation import Simulation
from allocenv.problems.storage.trace import Trace

LESSON = 40_000  # requests that are seen before the start: a shorter first half is seen several times ...
LESSONS = 4  # ... at most so often
MEMORY = (2_000, 10_000)  # requests over which rules are judged: as many as the capacity, within these limits
LOOKS = (4, 8)  # at who does best, within the memory: at least, and at most ...
APPRAISED = 200  # ... or as a request pays for so many pages of each shadow to be appraised, at most


class Foresight:
    """Made for one trace's pages and one system; reads no request before it is served.

    Args:
        trace, system: whose pages and devices.
        seed: of the first weights and of all draws.
        rules: that are run in shadows.
        credited: whether rules are credited for what their devices hold when they are compared.
        if_free: rules that are run besides, before the others, where moves are free.
    """

    def __init__(
        self,
        trace: Trace,
        system: System,
        seed: int = 0,
        rules: tuple[Rule, ...] = RULES,
        credited: bool = True,
        if_free: tuple[Rule, ...] = IF_FREE,
    ) -> None:
        self.rules = system.rules(trace)
        self.set = arrays_of(if_free + rules if self.rules.accounting == FREE else rules)
        self.n_pages = trace.n_pages
        self.credited = credited
        unit = max(saving_of_a_read(self.rules), 1.0)
        asked = float(self.set.caution.max()) * steepest(self.rules)
        rng = np.random.default_rng(seed)
        self.predictor = new_predictor(
            trace.n_pages, int(self.rules.capacity[0]), unit, asked, rng, 1 + int(self.set.viewed.max())
        )
        self.random = seeded(seed)
        self.begin()

    def begin(self) -> None:
        """Start at an empty fast device, with what was learnt so far."""
        n, capacity = len(self.set.kind), int(self.rules.capacity[0])
        memory = int(np.clip(capacity, *MEMORY))
        every = max(memory // LOOKS[1], int(self.rules.capacity[:-1].sum()) // APPRAISED)
        self.shadow = empty_state(n, self.n_pages, len(self.rules.capacity))
        for e in range(n):
            begin(self.rules, self.shadow, e, 0)
        self.history = empty_history(self.n_pages, capacity)
        forget_waiting(self.predictor)
        self.mind = Mind(
            memory=float(max(memory, LOOKS[0] * every)),
            every=every,
            credited=self.credited,
            called=nobody_called(self.n_pages),
            room=np.zeros(1, np.int64),
            after=np.full(1, -1, np.int64),
            following=np.zeros(1, np.int64),
            score=np.zeros((2, n)),
            spent=np.zeros(2),
            served=np.zeros(1, np.int64),
            size=np.ones(1),
            price=np.stack([new_price(self.rules)] * n),
            asset=np.full(n, np.nan),
        )

    @classmethod
    def taught(
        cls,
        trace: Trace,
        system: System,
        seed: int = 0,
        rules: tuple[Rule, ...] = RULES,
        if_free: tuple[Rule, ...] = IF_FREE,
    ) -> "Foresight":
        """One that has seen the first half of the trace before, and begins anew.

        It follows the rule first whose shadow did best in the last quarter before the middle: a device once filled
        by another rule is dear to change.
        """
        agent = cls(trace, system, seed, rules, if_free=if_free)
        half = len(trace) // 2
        spent = agent.shadow.latency.copy()
        for _ in range(int(np.clip(LESSON // max(half, 1), 1, LESSONS))):
            agent.begin()
            lesson = Simulation(trace, system, seed)
            lesson.run(agent, half // 2)
            spent = agent.shadow.latency.copy()
            lesson.run(agent, half - half // 2)
        best = int(np.argmin((agent.shadow.latency - spent) * agent.set.handicap))
        agent.begin()
        agent.mind.following[0] = best
        return agent

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
