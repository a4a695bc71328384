"""Which rules are judged on which prompts, and where did their rollouts go? Around the replay of `replay.py`."""

from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, LongArray
from allocenv.problems.budget.real_run import ABSENT, read_real_run, true_rates, tuning_half
from allocenv.problems.budget.replay import HARD, Step
from allocenv.problems.budget.rules import RULES
from allocenv.problems.budget.values import VALUES, known, worth

PARTS = ("held-out", "tuning", "all")
EDGES = np.linspace(0, 1, 21)  # of true rates
MOST_SEEN = 0.998  # visits that a smaller share of the prompts has are left out: 46 of the real run are used


class Course(NamedTuple):
    """Where the rollouts of a rule went, seed 0; written in place."""

    prompts: LongArray  # [K]  by true rate
    rollouts: LongArray  # [K]
    by_visit: Array  # [V, 3]  rollouts, those expected in effective groups, those on hard prompts


class Courses:
    """Watches a replay and keeps a `Course` of each rule."""

    def __init__(self, visits: int) -> None:
        self.visits = visits
        self.of: dict[str, Course] = {}

    def __call__(self, step: Step) -> None:
        if step.seed:
            return
        k = len(EDGES) - 1
        empty = Course(np.zeros(k, np.int64), np.zeros(k, np.int64), np.zeros((self.visits, 3)))
        course = self.of.setdefault(step.rule, empty)
        which = np.clip(np.digitize(step.rates, EDGES) - 1, 0, k - 1)
        np.add.at(course.prompts, which, 1)
        np.add.at(course.rollouts, which, step.rollouts)
        both = worth(VALUES["gradient"], known(step.rates), step.rollouts)
        hard = step.rollouts[step.rates < HARD].sum()
        course.by_visit[step.visit] += (step.rollouts.sum(), (step.rollouts * both).sum(), hard)


def rule_names(text: str) -> tuple[str, ...]:
    """Names joined by commas, each once, or `all`.

    Raises:
        ValueError: an unknown name, or none.
    """
    if text.strip() == "all":
        return tuple(RULES)
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in RULES:
            near = get_close_matches(name, RULES, n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"Expected a rule among {', '.join(RULES)}; got {name!r}.{hint}")
    if not names:
        raise ValueError(f"Expected rules among {', '.join(RULES)}, or all; got none.")
    return names


def rates_of(path: Path | None, part: str) -> Array:
    """Smooth success rates [P, V] of the real run, or of one in its format, at the visits that most prompts have.

    Raises:
        ValueError: an unknown part, no prompt in it, or an InputError of the file.
        FileNotFoundError: there is no data folder.
    """
    if part not in PARTS:
        raise ValueError(f"--part: expected one of {', '.join(PARTS)}, got {part!r}.")
    run = read_real_run(path)
    tuning = tuning_half(run)
    which = np.ones(len(tuning), bool) if part == "all" else tuning if part == "tuning" else ~tuning
    if not which.any():
        raise ValueError(f"--part: expected prompts in part {part}, found none.")
    seen = (run.correct != ABSENT).mean(axis=0) >= MOST_SEEN
    visits = int(np.argmin(seen)) if not seen.all() else len(seen)
    return true_rates(run.correct)[which][:, :visits]
