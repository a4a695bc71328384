"""Named, fixed learners to be judged on."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from allocenv.core.instance_sets import bare_name
from allocenv.problems.budget.instances import Lesson

if TYPE_CHECKING:
    from allocenv.problems.budget.problem import Budget

LEARNERS = 16
JUDGE_SEED, VALIDATION_SEED = 500_000, 500_001  # of the generator; trainings use 0
VERSION = 1  # raised whenever a name comes to hold something else
# Name -> what it holds; for `allocenv list budget`.
INSTANCE_SETS = {
    "default": f"{LEARNERS} made-up learners of all kinds, somewhere in their training; needs no data",
    "validation": "the same of other seeds: to choose and tune by",
}


def instance_set(problem: "Budget", name: str) -> Iterator[tuple[str, Lesson]]:
    """Pairs (label, lesson). Raises ValueError for an unknown name or version."""
    name = bare_name(name, VERSION)
    if name not in INSTANCE_SETS:
        raise ValueError(f"Expected an instance set, one of {', '.join(INSTANCE_SETS)}; got {name!r}.")
    seed = VALIDATION_SEED if name == "validation" else JUDGE_SEED
    for i in range(LEARNERS):
        yield f"learner-{i}", problem.draw(np.random.default_rng([seed, i]))
