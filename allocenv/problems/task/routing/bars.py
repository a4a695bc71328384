"""How good are the shipped policies and the planner on the given coalition routing problems?

Figures are mean makespans over all instances given, in time units. The policies have seen made-up instances only.
"""

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np

from allocenv.core.bench import Measured, Session
from allocenv.core.construction import Scorer
from allocenv.core.data import data_folder
from allocenv.problems.task.routing.construct import rollout
from allocenv.problems.task.routing.formats import read_dcmrta, read_heteromrta
from allocenv.problems.task.routing.instance import Routing
from allocenv.problems.task.routing.schedule import serve
from allocenv.problems.task.routing.solvers import plan_routing

SAMPLES = 64
SAMPLE_SECONDS = 1.0  # that 64 samples may take
PLANNER_SECONDS = 1.0


class Promise(NamedTuple):
    """Of one benchmark: largest mean makespans."""

    scorer: str  # of the shipped weights
    one_pass: float
    samples: float
    planner: float


DCMRTA, HETEROMRTA = "DCMRTA", "HeteroMRTA"
PROMISES = {
    DCMRTA: Promise("task_dcmrta", 34.2, 32.5, 31.9),
    HETEROMRTA: Promise("task_heteromrta", 25.0, 23.2, 22.5),
}


def benchmark(name: str) -> list[Routing]:
    """The given instances of a benchmark.

    Raises:
        FileNotFoundError: the data is not on this machine.
    """
    if name == DCMRTA:
        return read_dcmrta(_file("dcmrta_20a50t.json"))
    return read_heteromrta(_file("heteromrta_15r20t.json"))


def _file(name: str) -> Path:
    folder = data_folder()
    if folder is None or not (folder / "task" / name).is_file():
        raise FileNotFoundError(f"Expected task/{name} in $ALLOCENV_DATA or ../shared/data.")
    return folder / "task" / name


class Makespans(NamedTuple):
    """Means over instances."""

    one_pass: float
    samples: float
    repaired: float  # samples and local search
    seconds: float  # of 64 samples, the slowest


def policy_makespans(problems: Sequence[Routing], scorer: Scorer) -> Makespans:
    """What the policy reaches; every schedule is timed anew."""
    weights, n_hidden, temperature = scorer
    rollout(problems[0], weights, n_hidden, 2, temperature, repaired=0)  # compiles
    rows, slowest = [], 0.0
    for problem in problems:
        one = rollout(problem, weights, n_hidden, repaired=0)
        began = perf_counter()
        drawn = rollout(problem, weights, n_hidden, SAMPLES, temperature, repaired=0)
        slowest = max(slowest, perf_counter() - began)
        repaired = rollout(problem, weights, n_hidden, SAMPLES, temperature)
        rows.append([serve(problem, each.order, each.rules).makespan for each in (one, drawn, repaired)])
    one_pass, samples, with_search = (float(mean) for mean in np.mean(rows, axis=0))
    return Makespans(one_pass, samples, with_search, slowest)


def dcmrta_figures(scorer: Scorer) -> dict[str, float]:
    """Mean makespans on the given DCMRTA instances, for cards."""
    return _figures(DCMRTA, scorer)


def heteromrta_figures(scorer: Scorer) -> dict[str, float]:
    """Mean makespans on the given HeteroMRTA instances, for cards."""
    return _figures(HETEROMRTA, scorer)


def _figures(name: str, scorer: Scorer) -> dict[str, float]:
    found = policy_makespans(benchmark(name), scorer)
    drawn = f"{SAMPLES} samples"
    return {"one pass": found.one_pass, drawn: found.samples, f"{drawn} and local search": found.repaired}


def policy(session: Session) -> Measured:
    """Bar 6, what is learnt: one pass, and 64 samples without any search."""
    told, values, passed = [], {}, True
    for name, promise in PROMISES.items():
        problems = benchmark(name)
        found = policy_makespans(problems, session.scorer(promise.scorer))
        passed = passed and found.one_pass <= promise.one_pass and found.samples <= promise.samples
        passed = passed and found.seconds < SAMPLE_SECONDS
        told.append(
            f"{name} ({len(problems)} instances): one pass {found.one_pass:.2f}, {SAMPLES} samples "
            f"{found.samples:.2f} (at most {found.seconds:.2f} s), with local search {found.repaired:.2f}"
        )
        values[name] = found._asdict()
    return Measured(passed, "; ".join(told), values)


def planner(session: Session) -> Measured:
    """Bar 6, the planner within 1 s."""
    told, values, passed = [], {}, True
    for name, promise in PROMISES.items():
        problems = benchmark(name)
        plan_routing(problems[0], 0.01)  # compiles
        plans = [plan_routing(problem, PLANNER_SECONDS) for problem in problems]
        mean, slowest = float(np.mean([plan.makespan for plan in plans])), max(plan.seconds for plan in plans)
        passed = passed and mean <= promise.planner
        told.append(f"{name} ({len(plans)} instances): {mean:.2f}, at most {slowest:.2f} s")
        values[name] = {"makespan": mean, "slowest": slowest}
    return Measured(passed, "; ".join(told), values)
