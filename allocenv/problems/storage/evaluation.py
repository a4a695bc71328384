"""How does each policy fare on a trace? The same requests, the same rules, several seeds."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from time import process_time
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

from allocenv.core.arrays import Array, LongArray
from allocenv.problems.storage.export.deployed import Deployed
from allocenv.problems.storage.export.network import load_network
from allocenv.problems.storage.policies import POLICIES, Line
from allocenv.problems.storage.rules import System
from allocenv.problems.storage.simulation import Simulation, Summary
from allocenv.problems.storage.trace import Trace

PARTS = ("second-half", "whole")
SIZES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)  # shares of the pages that the fastest device holds
POINTS = 240  # of a curve over time
WINDOWS = 40  # windows of the moving mean side by side
WARM = 2500  # requests: more than two epochs of the policies that go by epochs


class Judged(NamedTuple):
    """One run of a policy."""

    policy: str
    seed: int
    summary: Summary
    course: Array  # [POINTS]  moving mean of the latency, microseconds
    cpu: float  # seconds, learning included


class Interval(NamedTuple):
    """A mean over seeds and half the width of its 95 % interval (Student); NaN of one seed."""

    mean: float
    half: float


class Sized(NamedTuple):
    """One point of a size curve."""

    share: float
    policy: str
    summary: Summary


def find_policy(name: str) -> Line:
    """The policy of this name, or of an exported network, `NAME.npz`.

    Raises:
        ValueError: none such, with the nearest name; or an InputError of the file.
    """
    if name.endswith(".npz"):
        network = load_network(name)
        return Line("an exported placement network", lambda _, system, __: Deployed(network, system), learnt=True)
    if name not in POLICIES:
        near = get_close_matches(name, POLICIES, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"Expected a policy among {', '.join(POLICIES)}; got {name!r}.{hint}")
    return POLICIES[name]


def policy_names(text: str, part: str = PARTS[0]) -> tuple[str, ...]:
    """Names joined by commas, each once, or `all` that may be judged on the part.

    Raises:
        ValueError: an unknown name, none, or one that knows what it would be judged on.
    """
    if text.strip() == "all":
        return tuple(name for name, line in POLICIES.items() if part == PARTS[0] or not line.taught)
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if find_policy(name).taught and part != PARTS[0]:
            raise ValueError(f"Expected part {PARTS[0]} for {name}: it is taught on the first half; got {part}.")
    if not names:
        raise ValueError(f"Expected policies among {', '.join(POLICIES)}, or all; got none.")
    return names


def judged(
    trace: Trace,
    system: System,
    name: str,
    seed: int = 0,
    part: str = PARTS[0],
    progress: Callable[[int], None] | None = None,
) -> Judged:
    """Run a fresh policy over the trace and report one of `PARTS`; `progress` is told of requests served.

    Raises:
        ValueError: an unknown policy or part.
    """
    if part not in PARTS:
        raise ValueError(f"Expected part among {', '.join(PARTS)}, got {part!r}.")
    began = process_time()
    policy, run = find_policy(name).make(trace, system, seed), Simulation(trace, system, seed)
    begin = measured_from(trace, part)
    run.run(policy, begin, progress)
    run.measure_from_here()
    run.run(policy, progress=progress)
    return Judged(name, seed, run.summary(), moving_mean(run.latency[begin:]), process_time() - began)


def measured_from(trace: Trace, part: str) -> int:
    """The first request of a part that counts."""
    return len(trace) // 2 if part == PARTS[0] else 0


def warm_up(trace: Trace, system: System, names: Iterable[str]) -> None:
    """Compile what the policies need, so that their speed can be told."""
    short = trace.part(0, WARM)
    for name in names:
        Simulation(short, system).run(find_policy(name).make(short, system, 0))


def points(n: int) -> LongArray:
    """[POINTS] after how many of n requests the points of `moving_mean` stand."""
    return np.linspace(_window(n), n, POINTS).astype(np.int64)


def moving_mean(latency: Array) -> Array:
    """[POINTS] mean of the requests [n] of the window before each point."""
    total = np.concatenate([[0.0], np.cumsum(latency)])
    ends, window = points(len(latency)), _window(len(latency))
    mean: Array = (total[ends] - total[ends - window]) / window
    return mean


def _window(n: int) -> int:
    return max(1, n // WINDOWS)


def fast_only_course(trace: Trace, system: System, part: str) -> Array:
    """[POINTS] the same as `Judged.course`, had all been on an endless fastest device that is never busy."""
    r, timing = trace.requests, system.rules(trace).timing
    op = r.write.astype(np.int64)
    latency = timing.first[op, 0] + (r.pages - 1) * timing.further[op, 0]
    return moving_mean(latency[measured_from(trace, part) :])


def over_seeds(rows: Sequence[Judged], what: Callable[[Summary], float]) -> Interval:
    """A figure of the runs of one policy."""
    values = np.array([what(row.summary) for row in rows])
    if len(values) < 2:
        return Interval(float(values.mean()), float("nan"))
    spread = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return Interval(float(values.mean()), float(spread))


def by_policy(rows: Sequence[Judged]) -> dict[str, list[Judged]]:
    """The runs of each policy, the least mean latency first."""
    found: dict[str, list[Judged]] = {}
    for row in rows:
        found.setdefault(row.policy, []).append(row)
    mean = {name: over_seeds(of, lambda s: s.mean).mean for name, of in found.items()}
    return dict(sorted(found.items(), key=lambda one: mean[one[0]]))


def size_curve(
    trace: Trace,
    system: System,
    names: Sequence[str],
    part: str = PARTS[0],
    progress: Callable[[int], None] | None = None,
) -> list[Sized]:
    """Each policy with seed 0 at each of `SIZES` of the fastest device; other devices stay as they are."""
    found = []
    for share in SIZES:
        sized = replace(system, shares=(share, *system.shares[1:]))
        found += [Sized(share, name, judged(trace, sized, name, 0, part, progress).summary) for name in names]
    return found
