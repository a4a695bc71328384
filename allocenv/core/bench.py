"""What a problem promises and how it is measured: the bars that `allocenv bench` prints."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from allocenv.core.construction import Scorer
from allocenv.core.problem import Problem
from allocenv.core.solver import Entry


class Session(Protocol):
    """What a bar may ask of the outer rings."""

    @property
    def folder(self) -> Path:
        """Where a bar may keep what it has measured, so that it goes on there after an interruption."""

    def learnt(self, problem: Problem) -> Mapping[str, Entry]:
        """The shipped policies that plan for the problem."""

    def scorer(self, name: str) -> Scorer:
        """The shipped scorer of candidates of this name."""

    def player(self, name: str) -> Callable[[Any], Any]:
        """A shipped player of a game: observations [B, ...] -> actions [B, A]."""

    def vector_env(self, problem: Problem, n: int) -> Any:
        """A Gymnasium vector environment of n instances of the problem, on one thread."""

    def trained(self, config: str, minutes: float, seed: int) -> tuple[Path, Any]:
        """Train a config from nothing for a wall time; the run folder and a solver of the result."""

    def run(self, command: list[str], seconds: float) -> tuple[int, float, str]:
        """Run a command in a fresh clone of the repository: exit status, wall seconds, output."""

    def script(self, arguments: list[str]) -> tuple[int, str]:
        """Run a Python script of this checkout with this interpreter: exit status and output."""


@dataclass
class Measured:
    """What came of one bar."""

    passed: bool
    figure: str  # for people, beside the bar
    values: dict[str, Any] = field(default_factory=dict)  # for the JSON file


@dataclass(frozen=True)
class Bar:
    """One promise."""

    number: str
    promise: str
    measure: Callable[[Session], Measured]
    needs: str = ""  # what it takes, such as "90 minutes"; shown before it starts
