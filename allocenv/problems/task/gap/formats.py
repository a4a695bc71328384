"""How is a generalised assignment problem read and written?

The text format of the OR-Library (Beasley, 1990): white-space separated whole numbers `agents jobs`, then a row
of costs for each agent, a row of weights for each agent, and the capacities. A row may go over several lines but
ends where a line ends. A file of several problems begins with their number on a line of its own.
"""

import os
import zipfile
from pathlib import Path

import numpy as np

from allocenv.core.arrays import LongArray
from allocenv.core.files import InputError, read_text, write_atomically
from allocenv.problems.task.gap.instance import GAP, LARGEST, GAPError, Sense


def read_gap(path: str | os.PathLike[str], sense: Sense = "min") -> GAP:
    """The one problem of a file.

    Raises:
        InputError: not in the format (names file and line), or a file of several problems.
    """
    found = read_gaps(path, sense)
    if len(found) != 1:
        raise InputError(os.fspath(path), "line 1", f"{len(found)} problems", "one problem")
    return found[0]


def read_gaps(path: str | os.PathLike[str], sense: Sense = "min") -> list[GAP]:
    """All problems of a file, named after it. Raises InputError as `read_gap` does."""
    return parse_gaps(read_text(path), os.fspath(path), Path(path).name.split(".")[0], sense)


def read_gap_zip(path: str | os.PathLike[str], sense: Sense = "min") -> dict[str, GAP]:
    """The problems of a zip archive of such files, by name. Raises InputError as `read_gap` does."""
    source = os.fspath(path)
    try:
        with zipfile.ZipFile(path) as archive:
            texts = {n: archive.read(n).decode() for n in sorted(archive.namelist()) if n.endswith(".txt")}
    except (OSError, zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise InputError(source, "archive", str(error), "a zip archive of text files") from None
    return {g.name: g for name, text in texts.items() for g in parse_gaps(text, f"{source}/{name}", name[:-4], sense)}


def parse_gaps(text: str, source: str, name: str, sense: Sense) -> list[GAP]:
    """The problems in a text; `source` is what errors call it."""
    reader = _Rows(text, source)
    n_problems = reader.count("problems") if reader.starts_with_one_number() else None
    out = []
    for k in range(1 if n_problems is None else n_problems):
        first = reader.line_number
        m, n = (int(x) for x in reader.row(2, "the numbers of agents and jobs"))
        if m < 1 or n < 1:
            raise InputError(source, f"line {first}", f"{m} {n}", "at least one agent and one job")
        rows = [[reader.row(n, f"{what} of agent {i + 1}") for i in range(m)] for what in ("costs", "weights")]
        capacity = reader.row(m, "capacities")
        title = name if n_problems is None else f"{name}-{k + 1}"
        try:
            out.append(GAP(np.array(rows[0]), np.array(rows[1]), capacity, sense, title))
        except GAPError as error:
            raise InputError(source, f"problem that begins in line {first}", title, str(error)) from None
    reader.expect_end()
    return out


def write_gap(problem: GAP, path: str | os.PathLike[str]) -> None:
    """Write a problem, a row a line; its sense and name are not part of the format."""
    rows = [[problem.n_agents, problem.n_jobs], *problem.cost.tolist(), *problem.weight.tolist()]
    lines = [" ".join(map(str, row)) for row in [*rows, problem.capacity.tolist()]]
    write_atomically(path, "\n".join(lines) + "\n")


class _Rows:
    """The rows of numbers of a text, with the lines they stand in."""

    def __init__(self, text: str, source: str) -> None:
        lines = [(number, line.split()) for number, line in enumerate(text.splitlines(), 1)]
        self.source, self.at = source, 0
        self.lines = [(number, words) for number, words in lines if words]

    @property
    def line_number(self) -> int:
        return self.lines[self.at][0] if self.at < len(self.lines) else 0

    def starts_with_one_number(self) -> bool:
        return bool(self.lines) and len(self.lines[0][1]) == 1

    def count(self, what: str) -> int:
        number = self.line_number
        value = int(self.row(1, f"the number of {what}")[0])
        if value < 1:
            raise InputError(self.source, f"line {number}", value, f"a number of {what} above 0")
        return value

    def row(self, n: int, what: str) -> LongArray:
        """The next n numbers, which end where a line ends."""
        values: list[int] = []
        first = self.at
        while len(values) < n:
            if self.at == len(self.lines):
                last = self.lines[-1][0] if self.lines else 1
                raise InputError(self.source, f"line {last}", f"the end after {len(values)} of {n}", what)
            values += [self._number(word) for word in self.lines[self.at][1]]
            self.at += 1
        if len(values) != n:
            number, words = self.lines[first]
            raise InputError(self.source, f"line {number}", f"{len(words)} numbers", f"{n} {what}")
        return np.array(values, np.int64)

    def expect_end(self) -> None:
        if self.at < len(self.lines):
            number, words = self.lines[self.at]
            raise InputError(self.source, f"line {number}", " ".join(words), "the end of the file")

    def _number(self, word: str) -> int:
        try:
            value = int(word)
        except ValueError:
            raise InputError(self.source, f"line {self.line_number}", word, "a whole number") from None
        if abs(value) > LARGEST:
            raise InputError(self.source, f"line {self.line_number}", word, f"a number up to {LARGEST}")
        return value
