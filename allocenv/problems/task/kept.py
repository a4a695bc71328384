"""What do slow opponents come to on fixed missions? Mission by mission, in processes, and kept on disk.

An evaluation of an hour that is interrupted goes on where it was. What is kept goes by the code of the environment
and the opponents, the problem, the mission, and the seed: whatever changes one of them has it computed anew.
"""

import json
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np

from allocenv.core.clock import counted
from allocenv.core.files import write_atomically
from allocenv.core.fingerprint import fingerprint
from allocenv.problems.task.evaluation import Judged
from allocenv.problems.task.mission import Mission
from allocenv.problems.task.opponents import Played, opponents_of
from allocenv.problems.task.problem import Task
from allocenv.problems.task.search.whole_episode import VARIATIONS

PACKAGE = Path(__file__).parents[2]
CODE = ("core", "problems/task")  # what results depend on
# But for these, which only ask, tell and draw.
BESIDE = ("bars.py", "charts.py", "commands.py", "drawing.py", "kept.py", "seeds.py", "zero_shot_bar.py")


class Job(NamedTuple):
    """One opponent on one mission."""

    problem: Task
    mission: Mission
    name: str
    seed: int
    seconds: float  # of a search


def judged_apart(
    problem: Task,
    missions: Sequence[Mission],
    name: str,
    folder: Path,
    processes: int | None = None,
    seed: int = 0,
    seconds: float = 5.0,
) -> Judged:
    """Let an opponent play each mission on its own, mission i with seed `seed + i`; known results come from `folder`.

    `processes`: as many missions are played at once; None: one for each processor.
    """
    jobs = [Job(problem, mission, name, seed + i, seconds) for i, mission in enumerate(missions)]
    files = [folder / f"{name}-{_key(job)}.json" for job in jobs]
    missing = [i for i in range(len(jobs)) if not files[i].is_file()]
    for i, played in zip(missing, _played([jobs[i] for i in missing], processes), strict=True):
        kept = {**played._asdict(), "objectives": played.objectives.tolist()}
        write_atomically(files[i], json.dumps(kept, default=float) + "\n")
    found = [json.loads(file.read_text()) for file in files]
    return Judged(
        name,
        opponents_of(problem)[name].what,
        np.array([0.0 - one["objectives"][0] for one in found]),
        sum(one["seconds"] for one in found),
        sum(one["decisions"] for one in found),
        sum(one["illegal"] for one in found),
    )


def _key(job: Job) -> str:
    """16 hexadecimal digits."""
    rules = {name: float(value) for name, value in job.problem.rules._asdict().items()}
    return fingerprint((_code(), job.problem.preset, job.problem.mode, rules, job.mission, job.seed, job.seconds))


@cache
def _code() -> str:
    digest = blake2b(digest_size=8)
    for part in CODE:
        for path in sorted((PACKAGE / part).rglob("*.py")):
            if path.name not in BESIDE:
                digest.update(path.read_bytes())
    return digest.hexdigest()


def _played(jobs: Sequence[Job], processes: int | None) -> Iterator[Played]:
    """The results in the order of the jobs, each as soon as it is there."""
    n = min(processes or os.cpu_count() or 1, len(jobs))
    if n <= 1:
        yield from map(_play, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(n) as pool:
        yield from pool.imap(_play, jobs)


def _play(job: Job) -> Played:
    play = opponents_of(job.problem)[job.name].play
    with counted() if job.name in VARIATIONS else nullcontext():  # else what they find is the machine's
        return play(job.problem, [job.mission], job.seed, job.seconds)
