"""Which samples of fixed models are there for test-time allocation? HumanEval and MATH, or made-up ones."""

import csv
import lzma
import os
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray, IntArray
from allocenv.core.data import DataSource, data_folder
from allocenv.core.files import InputError
from allocenv.problems.budget.data_sources import HUMANEVAL, MATH

HUMANEVAL_BETA = (0.25, 0.90)  # fitted to the pass rates of HUMANEVAL (facts, section 3)
MATH_BETA = (4.0, 0.4)  # mean .91, as MATH
WRONG_ANSWERS = 4  # different ones that made-up voters give


class Verified(NamedTuple):
    """Samples of T tasks with a verifier."""

    passed: BoolArray  # [T, S]


class Votes(NamedTuple):
    """Samples of T problems without a verifier."""

    answer: IntArray  # [T, S]  samples of a problem with the same answer share a number from 0 on
    correct: BoolArray  # [T, S]
    score: Array  # [T, S]  of a reward model


def read_humaneval(path: str | os.PathLike[str] | None = None) -> Verified:
    """164 tasks with 100 samples. Raises FileNotFoundError, InputError."""
    columns = _read(HUMANEVAL, path, ("task", "sample", "passed"))
    return Verified(_table(columns, "passed", "task", path or HUMANEVAL.path) != 0)


def read_math(path: str | os.PathLike[str] | None = None) -> Votes:
    """100 problems with 8 samples. Raises FileNotFoundError, InputError."""
    columns = _read(MATH, path, ("problem_id", "sample", "correct", "rm_score", "answer_cluster"))
    found = (
        _table(columns, name, "problem_id", path or MATH.path) for name in ("answer_cluster", "correct", "rm_score")
    )
    answer, correct, score = found
    return Votes(answer.astype(np.int32), correct != 0, score)


def made_up_verified(rng: np.random.Generator, tasks: int = 164, samples: int = 100) -> Verified:
    """Tasks whose pass rates are Beta as those of HumanEval."""
    rates = rng.beta(*HUMANEVAL_BETA, tasks)
    return Verified(rng.random((tasks, samples)) < rates[:, None])


def made_up_votes(rng: np.random.Generator, problems: int = 100, samples: int = 8) -> Votes:
    """Problems whose success rates are Beta as those of MATH; wrong answers 1.. are chosen with falling chances."""
    correct = rng.random((problems, samples)) < rng.beta(*MATH_BETA, problems)[:, None]
    chances = 0.5 ** np.arange(1, WRONG_ANSWERS + 1)
    wrong = rng.choice(np.arange(1, WRONG_ANSWERS + 1), (problems, samples), p=chances / chances.sum())
    score = rng.normal(0.0, 1.0, (problems, samples)) + correct
    return Votes(np.where(correct, 0, wrong).astype(np.int32), correct, score)


def find_verified(source: str) -> Verified:
    """`humaneval` (made-up tasks where the data is absent) or `made_up`. Raises ValueError for another name."""
    if _there(source, "humaneval", HUMANEVAL):
        return read_humaneval()
    return made_up_verified(np.random.default_rng(0))


def find_votes(source: str) -> Votes:
    """`math` (made-up problems where the data is absent) or `made_up`. Raises ValueError for another name."""
    if _there(source, "math", MATH):
        return read_math()
    return made_up_votes(np.random.default_rng(0))


def _there(source: str, name: str, data: DataSource) -> bool:
    if source not in (name, "made_up"):
        raise ValueError(f"Expected a source, {name} or made_up, got {source!r}.")
    folder = data_folder()
    return source == name and folder is not None and (folder / data.path).exists()


def _read(data: DataSource, path: str | os.PathLike[str] | None, needed: tuple[str, ...]) -> dict[str, Array]:
    """Columns of numbers of a CSV file."""
    if path is None:
        folder = data_folder()
        if folder is None:
            raise FileNotFoundError("Expected the real data in $ALLOCENV_DATA or ../shared/data, found neither.")
        path = folder / data.path
    source = os.fspath(path)
    try:
        packed = Path(path).read_bytes()
        text = (lzma.decompress(packed) if source.endswith(".xz") else packed).decode()
    except (OSError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise InputError(source, "file", str(error), "a CSV file, packed with xz where its name says so") from None
    records = list(csv.reader(StringIO(text)))
    header = records[0] if records else []
    for name in needed:
        if name not in header:
            raise InputError(source, "header", ",".join(header), f"a column {name}")
    columns = {}
    for name in needed:
        c = header.index(name)
        try:
            columns[name] = np.array([float(row[c]) for row in records[1:]])
        except (ValueError, IndexError) as error:
            raise InputError(source, f"column {name}", str(error), "a number in every line") from None
    return columns


def _table(columns: dict[str, Array], name: str, by: str, path: str | os.PathLike[str]) -> Array:
    """A column as [T, S], samples in their order."""
    order = np.lexsort((columns["sample"], columns[by]))
    tasks = len(np.unique(columns[by]))
    if tasks == 0 or len(order) % tasks or (np.diff(columns[by][order].reshape(tasks, -1)) != 0).any():
        raise InputError(os.fspath(path), "file", f"{len(order)} samples of {tasks} tasks", "equally many of each")
    return columns[name][order].reshape(tasks, -1)
