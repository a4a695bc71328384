"""How good are the shipped policy and the planner on the given generalised assignment problems?

Gaps are to the best known cost (`gap_bounds.tsv`), in percent, means over instances. Costs are minimised, as in the
bounds' first pair; gap1-gap12 are also solved as their source states them, maximised. The policy has seen made-up
instances only.
"""

import csv
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from allocenv.core.bench import Measured, Session
from allocenv.core.construction import Scorer
from allocenv.core.data import data_folder
from allocenv.problems.task.gap.construct import rollout
from allocenv.problems.task.gap.formats import read_gap_zip
from allocenv.problems.task.gap.instance import GAP, Sense
from allocenv.problems.task.gap.solvers import plan_gap

SCORER = "task_gap"  # of the shipped weights
SAMPLES = 64
MOST_JOBS = 200
ORLIB, C, D = "ORLIB-gap", "type-C", "type-D"  # families as the bounds call them
PLANNER_SECONDS = 5.0


class Known(NamedTuple):
    """An instance and the best value known of it."""

    problem: GAP
    best: int
    proven: bool


def known(family: str, sense: Sense = "min") -> list[Known]:
    """The given instances of a family, up to 200 jobs.

    Raises:
        FileNotFoundError: the data is not on this machine.
    """
    folder = data_folder()
    if folder is None or not (folder / "task" / "gap_instances.zip").is_file():
        raise FileNotFoundError("Expected task/gap_instances.zip in $ALLOCENV_DATA or ../shared/data.")
    problems = read_gap_zip(folder / "task" / "gap_instances.zip", sense)
    with open(folder / "task" / "gap_bounds.tsv", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["family"] == family]
    best = "min_ub" if sense == "min" else "max_lb"
    return [
        Known(problems[row["instance"]], int(row[best]), row[f"{sense}_lb"] == row[f"{sense}_ub"])
        for row in rows
        if int(row["jobs"]) <= MOST_JOBS
    ]


class Gaps(NamedTuple):
    """Of a family: means in percent."""

    one_pass: float
    samples: float
    repaired: float  # samples and local search
    searched: int  # single passes that needed local search to keep the capacities
    feasible: bool  # all


def policy_gaps(instances: Iterable[Known], scorer: Scorer) -> Gaps:
    """What the policy reaches."""
    rows, searched, feasible = [], 0, True
    for problem, best, _ in instances:
        one = rollout(problem, scorer.weights, scorer.n_hidden, repaired=0)
        drawn = [
            rollout(problem, scorer.weights, scorer.n_hidden, SAMPLES, scorer.temperature, 0, repaired)
            for repaired in (0, 8)
        ]
        found = (one, *drawn)
        rows.append([100 * problem.gap(each.value, best) for each in found])
        searched += one.tries > 1
        feasible = feasible and all(each.feasible and problem.is_feasible(each.agent_of) for each in found)
    one_pass, samples, with_search = (float(gap) for gap in np.mean(rows, axis=0))
    return Gaps(one_pass, samples, with_search, searched, feasible)


def figures(scorer: Scorer) -> dict[str, float]:
    """Mean gaps on the given instances, for cards."""
    out = {}
    for name, family in (("gap1-12", ORLIB), ("C", C), ("D", D)):
        found = policy_gaps(known(family), scorer)
        out[f"{name}, one pass, gap in %"] = found.one_pass
        out[f"{name}, {SAMPLES} samples, gap in %"] = found.samples
        out[f"{name}, {SAMPLES} samples and local search, gap in %"] = found.repaired
    return out


def policy(session: Session) -> Measured:
    """Bar 5, what is learnt: one pass, 64 samples, 64 samples and local search."""
    scorer = session.scorer(SCORER)
    families = {
        "gap1-12": known(ORLIB),
        "gap1-12 maximised": known(ORLIB, "max"),
        "C": known(C),
        "D": known(D),
    }
    gaps = {name: policy_gaps(instances, scorer) for name, instances in families.items()}
    orlib, c, d = gaps["gap1-12"], gaps["C"], gaps["D"]
    passed = orlib.one_pass <= 1.0 and orlib.repaired <= 0.1 and c.repaired <= 1.5 and d.repaired <= 3.0
    passed = passed and all(g.feasible for g in gaps.values())
    told = "; ".join(
        f"{name} ({len(families[name])} instances): one pass {g.one_pass:.3f} % ({g.searched} of them repaired), "
        f"{SAMPLES} samples {g.samples:.3f} %, with local search {g.repaired:.3f} %"
        f"{'' if g.feasible else ', NOT ALL FEASIBLE'}"
        for name, g in gaps.items()
    )
    return Measured(passed, told, {name: g._asdict() for name, g in gaps.items()})


def planner(session: Session) -> Measured:
    """Bar 5, the planner: proofs of gap1-gap12, and gaps on C and D, within 5 s."""
    told, values, passed = [], {}, True
    plan_gap(known(ORLIB)[0].problem, 0.5)  # compiles
    for name, family, most in (("gap1-12", ORLIB, None), ("C", C, 0.3), ("D", D, 1.0)):
        instances = known(family)
        plans = [plan_gap(each.problem, PLANNER_SECONDS) for each in instances]
        pairs = list(zip(instances, plans, strict=True))
        gap = float(np.mean([100 * k.problem.gap(plan.value, k.best) for k, plan in pairs]))
        proven = sum(plan.proven for plan in plans)
        slowest = max(plan.seconds for plan in plans)
        feasible = all(plan.feasible for plan in plans)
        passed = passed and feasible and (proven == len(plans) if most is None else gap <= most)
        told.append(f"{name}: gap {gap:.3f} %, {proven} of {len(plans)} proven, at most {slowest:.1f} s")
        values[name] = {"gap": gap, "proven": proven, "instances": len(plans), "slowest": slowest}
    return Measured(passed, "; ".join(told), values)
