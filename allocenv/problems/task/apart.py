"""What do slow opponents come to on fixed missions? Mission by mission, in processes, and kept on disk.

An evaluation of an hour that is interrupted goes on where it was. What is kept goes by the code of the environment
and the opponents, the problem, the mission, and the seed: whatever changes one of them has it computed anew.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from allocenv.core.clock import counted
from allocenv.core.fingerprint import fingerprint
from allocenv.core.kept import Kept, resumed
from allocenv.core.pool import Task as Name
from allocenv.core.pool import local_pool
from allocenv.problems.task.evaluation import Judged, kind_of_opponent
from allocenv.problems.task.mission import Mission
from allocenv.problems.task.opponents import opponents_of
from allocenv.problems.task.problem import Task
from allocenv.problems.task.search.whole_episode import VARIATIONS

PACKAGE = Path(__file__).parents[2]
CODE = ("core", "problems/task")  # what results depend on
# But for these, which only ask, tell and draw.
BESIDE = ("bars.py", "charts.py", "commands.py", "drawing.py", "apart.py", "seeds.py", "zero_shot_bar.py")


@dataclass(frozen=True)
class Apart:
    """An opponent as work on single missions: a task is `mission's number/seed/fingerprint`."""

    problem: Task
    missions: Sequence[Mission]
    name: str
    seconds: float  # of a search

    def __call__(self, task: Name) -> dict[str, Any]:
        i, seed = map(int, task.split("/")[:2])
        play = opponents_of(self.problem)[self.name].play
        with counted() if self.name in VARIATIONS else nullcontext():  # else what they find is the machine's
            played = play(self.problem, [self.missions[i]], seed, self.seconds)
        return {
            "net": 0.0 - float(played.objectives[0]),
            "seconds": played.seconds,
            "decisions": int(played.decisions),
            "illegal": int(played.illegal),
        }


def judged_apart(
    problem: Task,
    missions: Sequence[Mission],
    name: str,
    folder: Path,
    processes: int | None = None,
    seed: int = 0,
    seconds: float = 5.0,
    tell: Callable[[str], None] = print,
) -> Judged:
    """Let an opponent play each mission on its own, mission i with seed `seed + i`; known results come from `folder`.

    Args:
        processes: as many missions are played at once; None: one for each processor.
        tell: hears of what is known already, and of files that are damaged.
    """
    work = Apart(problem, missions, name, seconds)
    tasks = [f"{i}/{seed + i}/{fingerprint(mission)}" for i, mission in enumerate(missions)]
    kept, found = Kept(folder, f"{name}-{_key(work)}", tell), dict[Name, dict[str, Any]]()
    with local_pool(work, processes or os.cpu_count() or 1) as pool:
        for results in resumed(pool, tasks, kept):
            found |= results
    rows = [found[task] for task in tasks]
    return Judged(
        name,
        kind_of_opponent(name, opponents_of(problem)[name]),
        np.array([row["net"] for row in rows]),
        sum(row["seconds"] for row in rows),
        sum(row["decisions"] for row in rows),
        sum(row["illegal"] for row in rows),
    )


def _key(work: Apart) -> str:
    """16 hexadecimal digits."""
    rules = {name: float(value) for name, value in work.problem.rules._asdict().items()}
    return fingerprint((_code(), work.problem.preset, work.problem.mode, rules, work.seconds))


@cache
def _code() -> str:
    digest = blake2b(digest_size=8)
    for part in CODE:
        for path in sorted((PACKAGE / part).rglob("*.py")):
            if path.name not in BESIDE:
                digest.update(path.read_bytes())
    return digest.hexdigest()
