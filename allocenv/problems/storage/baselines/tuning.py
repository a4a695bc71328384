"""Which settings of selective LRU fit a trace best, and what would they gain? Found by replaying each.

The grids are those of facts/hybrid_storage.md 8: random admission p, n-hit k (Open CAS `nhit`, dm-cache's
promotion threshold), neither, and a sequential cut-off (bcache), tried one beside the other: the best of p and k, then
the best cut-off with it.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from allocenv.problems.storage.baselines.selective import NO_CUTOFF, Admission, Fixed, Selective
from allocenv.problems.storage.dynamics import STAY
from allocenv.problems.storage.rules import System
from allocenv.problems.storage.simulation import Replayer, Simulation, Summary
from allocenv.problems.storage.trace import Trace

PROBABILITIES = (0.01, 0.02, 0.05, 0.1, 0.2)
HITS = (1, 2, 4, 8, 16, 32)
CUTOFFS = (NO_CUTOFF, 1024, 256, 64, 16)  # pages; none is taken where others are no better
EVERYTHING = Admission()  # LRU as in a cache: the best where moves are free
NOTHING = Admission(probability=0.0)  # no request is ever admitted: Slow-Only
RATE_HEADROOM = 2.0  # a limit of twice the mean leaves room for bursts


class Tried(NamedTuple):
    """A setting and what it gave."""

    rule: Admission
    summary: Summary


def replayed(trace: Trace, system: System, policy: Replayer, begin: int, seed: int = 0) -> Summary:
    """The figures of the requests from `begin` on, after those before were served too."""
    run = Simulation(trace, system, seed)
    run.run(policy, begin)
    run.measure_from_here()
    run.run(policy)
    return run.summary()


def tuned_selective(
    trace: Trace,
    system: System,
    begin: int = 0,
    seed: int = 0,
    progress: Callable[[Tried], None] | None = None,
) -> Admission:
    """The setting of selective LRU with the least mean latency.

    Args:
        trace: what to tune on; hand over `trace.halves()[0]` to keep the second half unseen.
        system: the devices and their accounting.
        begin: the first request that counts; those before only fill the devices.
        seed: of random admission.
        progress: told of every setting tried.
    """

    def best(rules: Iterable[Admission]) -> Tried:
        tried = []
        for rule in rules:
            tried.append(Tried(rule, replayed(trace, system, Selective(rule), begin, seed)))
            if progress is not None:
                progress(tried[-1])
        return min(tried, key=lambda one: one.summary.mean)

    alone = [*(Admission(probability=p) for p in PROBABILITIES), *(Admission(hits=k) for k in HITS)]
    found = best([*alone, EVERYTHING]).rule
    return best(found._replace(cutoff=cutoff) for cutoff in CUTOFFS).rule


def hindsight_tuned(trace: Trace, system: System, seed: int = 0) -> Selective:
    """Selective LRU tuned on the second half of the trace, on which it will be judged: no fair rule does that."""
    return Selective(tuned_selective(trace, system, len(trace) // 2, seed))


def tuned_before(trace: Trace, system: System, seed: int = 0) -> Selective:
    """Selective LRU tuned on the first half of the trace."""
    return Selective(tuned_selective(trace.halves()[0], system, 0, seed))


@dataclass(frozen=True)
class Knob:
    """One knob of today's storage stacks, at its best while the others are open."""

    name: str
    value: float  # inf: no cut-off
    unit: str
    summary: Summary


@dataclass(frozen=True)
class Advice:
    """What to set for a trace, and what it is expected to give."""

    system: System
    knobs: tuple[Knob, ...]  # the best n-hit k, admission probability and cut-off, each alone
    rule: Admission  # all of them together; `NOTHING` where no move pays
    rate_mb_s: float  # 10**6 bytes a second: a limit on promotion that this rule rarely meets
    expected: Summary
    today: Summary
    slow_only: Summary

    @property
    def gain(self) -> float:
        """Share of today's mean latency that the advice saves; never negative: today's setting may stay."""
        return max(0.0, 1.0 - self.expected.mean / self.today.mean)


def advise(
    trace: Trace,
    system: System,
    today: Admission | None = None,
    begin: int | None = None,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Advice:
    """The best settings of the knobs that storage stacks have today, judged on the requests from `begin` on.

    Args:
        trace: replayed once for each setting.
        system: the devices and their accounting.
        today: the setting in force; None: LRU that admits everything.
        begin: the first request that counts; None: half of them.
        seed: of random admission.
        progress: told the number of settings tried so far, of `N_TRIED`.
    """
    begin = len(trace) // 2 if begin is None else begin
    count = 0

    def attempt(rule: Admission) -> Tried:
        nonlocal count
        # Nothing is ever promoted by NOTHING, so that the pages need no LRU order: the fixed target is faster.
        policy: Replayer = Fixed(STAY) if rule == NOTHING else Selective(rule)
        tried = Tried(rule, replayed(trace, system, policy, begin, seed))
        count += 1
        if progress is not None:
            progress(count)
        return tried

    def best(rules: Iterable[Admission]) -> Tried:
        return min((attempt(rule) for rule in rules), key=lambda one: one.summary.mean)

    now, slow = attempt(Admission() if today is None else today), attempt(NOTHING)
    by_hits = best(Admission(hits=k) for k in HITS)
    by_chance = best(Admission(probability=p) for p in PROBABILITIES)
    by_run = best(Admission(cutoff=c) for c in CUTOFFS)
    leader = min(by_hits, by_chance, key=lambda one: one.summary.mean)
    together = best(leader.rule._replace(cutoff=c) for c in CUTOFFS)
    chosen = min(together, now, slow, key=lambda one: one.summary.mean)
    knobs = (
        Knob("nhit", by_hits.rule.hits, "earlier accesses", by_hits.summary),
        Knob("admission probability", by_chance.rule.probability, "", by_chance.summary),
        Knob("sequential cut-off", _mib(by_run.rule.cutoff, trace), "MiB", by_run.summary),
    )
    promoted = chosen.summary.promoted * trace.page_bytes / 1e6
    return Advice(
        system=system,
        knobs=knobs,
        rule=chosen.rule,
        rate_mb_s=RATE_HEADROOM * promoted / max(chosen.summary.seconds, 1e-9),
        expected=chosen.summary,
        today=now.summary,
        slow_only=slow.summary,
    )


def _mib(cutoff: int, trace: Trace) -> float:
    return math.inf if cutoff == NO_CUTOFF else cutoff * trace.page_bytes / 2**20


N_TRIED = 2 + len(HITS) + len(PROBABILITIES) + 2 * len(CUTOFFS)
