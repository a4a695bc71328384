"""What the agent asks of a problem whose rounds assign entities to tasks: `problem.rounds(batch)`."""

from typing import Any, Protocol

from allocenv.agents.config import ConfigError
from allocenv.core.arrays import BoolArray, FloatArray, IntArray, LongArray
from allocenv.core.batch import Batch

N_OTHERS = 3  # columns of a row beside its abilities: money first, a position last


class Round(Protocol):
    """D situations: M entities, T tasks, K abilities; columns 1 to K of rows are amounts of abilities.

    A team is complete once its amounts sum to at least the task's, each.
    """

    @property
    def entities(self) -> FloatArray:
        """[D, M, 1 + K + 2]"""

    @property
    def tasks(self) -> FloatArray:
        """[D, T, 1 + K + 2]  value first, then what is needed"""

    @property
    def cost(self) -> FloatArray:
        """[D, M, T]  of an entity in the team of a task, in units of value"""

    @property
    def fits(self) -> BoolArray:
        """[D, M, T]  who may be assigned to what"""


class Rounds(Protocol):
    """The rounds of one batch."""

    def due(self) -> tuple[LongArray, Round]:
        """The rows where something is to be decided [D], and what."""

    def plan(self, rows: LongArray, assignment: LongArray) -> None:
        """Send teams: the task that each entity joins, or -1: [D, M]."""

    def actions(self) -> IntArray:
        """The next action of each row: [B, 2]."""


def rounds_of(problem: Any, batch: Batch) -> Rounds:
    """The rounds of the batch. Raises ConfigError where the problem has none."""
    if not hasattr(problem, "rounds"):
        raise ConfigError("config", "agent", "preassign", "another agent: the problem assigns nobody in rounds")
    try:
        found: Rounds = problem.rounds(batch)
    except ValueError as error:
        raise ConfigError("config", "params", "these", str(error)) from error
    return found
