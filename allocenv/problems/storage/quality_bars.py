"""How good is our own policy? The bars of `bars.py` that compare latencies and moves.

Ratios are of mean latencies over the second half of a trace; a policy that draws is run with several seeds and
its mean is taken. Averages are over rows, a row being a trace on a system.
"""

import os
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array
from allocenv.core.bench import Measured, Session
from allocenv.core.kept import Kept, resumed
from allocenv.core.pool import Task, local_pool
from allocenv.core.provenance import code_fingerprint
from allocenv.problems.storage.baselines.selective import Admission, Fixed, Selective
from allocenv.problems.storage.baselines.tuning import CUTOFFS, HITS, PROBABILITIES
from allocenv.problems.storage.dynamics import STAY
from allocenv.problems.storage.evaluation import find_policy, judged
from allocenv.problems.storage.rules import System
from allocenv.problems.storage.simulation import Replayer, Simulation
from allocenv.problems.storage.sources import find_trace
from allocenv.problems.storage.splicing import spliced
from allocenv.problems.storage.trace import Trace

OURS = "foresight"
OURS_FRUGAL = "foresight_frugal"  # moves less; the other setting of ours
OURS_FROM_NOTHING = "foresight_online"  # where the first half of a trace must not be known
TRACES = ("cloudphysics", "w106", "financial1", "OLTP", "P2", "P3")  # of the given ones those with re-use
SHORT = ("cloudphysics", "financial1", "OLTP", "P2", "P3")  # w106 would take the networks half an hour
PAIRS = ("H&M", "H&L_SSD")
THREE, FOUR = "H&M&L_SSD", "H&M&L_SSD&L"
PAPERS = ("harmonia", "sibyl")
SEEDS = 3
DRAWING = (OURS, OURS_FRUGAL, "lru_p05", "tuned_lru", *PAPERS)  # policies whose runs differ by seed

FEWER = 0.7  # of their pages
PHASE = 200_000  # requests until the workload changes
SETTLED = 20_000  # requests after a change by which the gain should be there
PHASES = (("w106", 0), ("OLTP", 0), ("P2", 0), ("w106", 1), ("P2", 1), ("OLTP", 1))  # trace, which of its phases


KEPT = "storage-runs"  # folder of what the policies came to
Label = tuple[str, str]  # trace, devices


class Figures(NamedTuple):
    """Of one policy on one row: means over seeds."""

    mean: float  # latency, microseconds
    moved: float  # pages promoted or demoted


class Table:
    """Figures of policies on rows, a row being a trace on a system: played in processes when first asked for, and kept
    in the session's folder, so that an interrupted bench goes on where it was."""

    def __init__(self, session: Session) -> None:
        self._kept = Kept(session.folder / KEPT, code_fingerprint(), print)
        self._found: dict[Task, list[float]] = {}

    def means(self, labels: Sequence[Label], policy: str, accounting: str = "charged") -> Array:
        """[rows] microseconds."""
        return np.array([one.mean for one in self._figures(labels, policy, accounting)])

    def moved(self, labels: Sequence[Label], policy: str, accounting: str = "charged") -> float:
        """Pages over all rows."""
        return sum(one.moved for one in self._figures(labels, policy, accounting))

    def _figures(self, labels: Sequence[Label], policy: str, accounting: str) -> list[Figures]:
        seeds = range(SEEDS if policy in DRAWING else 1)
        rows = [[f"{trace}|{pair}|{policy}|{accounting}|{seed}" for seed in seeds] for trace, pair in labels]
        missing = [task for tasks in rows for task in tasks if task not in self._found]
        with local_pool(_play, os.cpu_count() or 1) as pool:
            for results in resumed(pool, missing, self._kept):
                self._found |= results
        return [Figures(*np.mean([self._found[task] for task in tasks], axis=0).tolist()) for tasks in rows]


def _play(task: Task) -> list[float]:
    """Mean latency and pages moved."""
    trace, pair, policy, accounting, seed = task.split("|")
    found = judged(find_trace(trace), System.named(pair, accounting=accounting), policy, int(seed)).summary
    return [found.mean, float(found.promoted + found.demoted)]


def rows(session: Session) -> Measured:
    """Bar 3: against the fixed rule, the hindsight-tuned rule, the clairvoyant and Slow-Only."""
    table, labels = Table(session), [(trace, pair) for trace in TRACES for pair in PAIRS]
    ours = table.means(labels, OURS)
    fixed, tuned = table.means(labels, "lru_p05"), table.means(labels, "oracle_tuned_lru")
    clairvoyant, slow = table.means(labels, "oracle_cost_aware"), table.means(labels, "slow_only")
    below_fixed, below_tuned = 1 - ours / fixed, 1 - ours / tuned
    closed = (tuned - ours) / (tuned - clairvoyant)
    passed = (
        below_fixed.mean() >= 0.10 and below_tuned.mean() >= 0.05 and closed.mean() >= 0.40
        and below_fixed.min() >= -0.02 and (ours / slow).max() <= 1.01
    )  # fmt: skip
    each = "; ".join(
        f"{trace} {pair}: {one:.1f} us ({100 * a:+.1f} %, {100 * b:+.1f} %, {100 * c:.0f} %)"
        for (trace, pair), one, a, b, c in zip(labels, ours, -below_fixed, -below_tuned, closed, strict=True)
    )
    figure = (
        f"{100 * below_fixed.mean():.1f} % below lru_p05, {100 * below_tuned.mean():.1f} % below oracle_tuned_lru, "
        f"{100 * closed.mean():.0f} % of the gap closed, means of {len(labels)} rows, {SEEDS} seeds; worst "
        f"{-100 * below_fixed.min():+.1f} % to lru_p05, {100 * ((ours / slow).max() - 1):+.1f} % to slow_only. "
        f"Rows (to lru_p05, to oracle_tuned_lru, of the gap): {each}"
    )
    values = {"ours": ours, "lru_p05": fixed, "tuned": tuned, "clairvoyant": clairvoyant, "slow_only": slow}
    by_row = {f"{trace} {pair}": {k: float(v[i]) for k, v in values.items()} for i, (trace, pair) in enumerate(labels)}
    return Measured(bool(passed), figure, {"rows": by_row})


def papers(session: Session) -> Measured:
    """Bar 4: against Harmonia and Sibyl; and whether those two beat what their papers say.

    Pages are those of the setting of ours that moves fewest while its latency is no higher than theirs.
    """
    table, values, passed = Table(session), {}, True
    told: list[str] = []
    for accounting in ("charged", "free"):
        for count, systems in ((2, PAIRS), (3, (THREE,)), (4, (FOUR,))):
            labels = [(trace, system) for system in systems for trace in SHORT]
            for paper in PAPERS:
                theirs = table.means(labels, paper, accounting)
                pages = max(table.moved(labels, paper, accounting), 1.0)
                ratio = float((table.means(labels, OURS, accounting) / theirs).mean())
                moved = table.moved(labels, OURS, accounting) / pages
                if moved > FEWER and (table.means(labels, OURS_FRUGAL, accounting) / theirs).mean() <= 1.0:
                    moved = min(moved, table.moved(labels, OURS_FRUGAL, accounting) / pages)
                told.append(
                    f"{count} devices, {accounting}, to {paper}: latency {100 * (ratio - 1):+.1f} %, "
                    f"pages moved {100 * (moved - 1):+.0f} %"
                )
                values[f"{count} {accounting} {paper}"] = {"latency": ratio, "moved": moved}
                if accounting == "charged":  # decides; the other is reported
                    passed = passed and ratio <= 0.9 and moved <= FEWER
    claims = _claims(table)
    figure = "; ".join(told) + f". Where moves are free, on {len(PAIRS) * len(SHORT)} rows: {'; '.join(claims)}"
    return Measured(passed, figure, values)


def _claims(table: Table) -> list[str]:
    """Sibyl and Harmonia against CDE and HPS under the accounting of their papers: told, no part of the verdict."""
    labels, told = [(trace, pair) for pair in PAIRS for trace in SHORT], []
    for paper in PAPERS:
        for other in ("cde", "hps"):
            ratios = table.means(labels, paper, "free") / table.means(labels, other, "free")
            told.append(f"{paper} to {other} {100 * (ratios.mean() - 1):+.1f} % (below on {(ratios < 1).sum()})")
    return told


@cache
def changing() -> Trace:
    """Phases of different workloads, each as long as `PHASE`."""
    parts = [find_trace(name).part(k * PHASE, (k + 1) * PHASE) for name, k in PHASES]
    return spliced("changing", [part for part in parts if len(part) == PHASE])


def adaptation(session: Session) -> Measured:
    """Bar 6: of what the best fixed setting of each phase saves to Slow-Only, how much is saved?"""
    adapting = find_policy(OURS_FROM_NOTHING)
    told, values, shares = [], {}, []
    for pair in PAIRS:
        system = System.named(pair)
        slow = _by_phase(system, [Fixed(STAY)])
        tuned = np.minimum.reduce([slow, *(_by_phase(system, [Selective(rule)]) for rule in _settings())])
        trace = changing()
        ours = _by_phase(system, [adapting.make(trace, system, seed) for seed in range(SEEDS)])
        share = (slow - ours).sum() / (slow - tuned).sum()
        shares.append(share)
        phases = ", ".join(
            f"{name} {s:.1f}/{t:.1f}/{o:.1f}" for (name, _), s, t, o in zip(PHASES, slow, tuned, ours, strict=True)
        )
        told.append(f"{pair} {100 * share:.0f} % (us by phase, slow_only/tuned/{OURS_FROM_NOTHING}: {phases})")
        values[pair] = {"share": float(share), "slow": slow.tolist(), "tuned": tuned.tolist(), "ours": ours.tolist()}
    return Measured(bool(min(shares) >= 0.9), f"gain kept: {'; '.join(told)}", values)


def _settings() -> list[Admission]:
    """What a phase may be tuned to."""
    alone = [*(Admission(probability=p) for p in PROBABILITIES), *(Admission(hits=k) for k in HITS)]
    return alone + [Admission(cutoff=cutoff) for cutoff in CUTOFFS]


def _by_phase(system: System, runs: Sequence[Replayer]) -> Array:
    """[phases] mean latency from `SETTLED` requests after the change on, over one run for each of the policies."""
    found = []
    for seed, policy in enumerate(runs):
        run = Simulation(changing(), system, seed)
        run.run(policy)
        found.append(run.latency.reshape(len(PHASES), PHASE)[:, SETTLED:].mean(axis=1))
    mean: Array = np.mean(found, axis=0)
    return mean
