"""The one registry of problems. README.md says what goes where."""

from typing import Any, NamedTuple

from allocenv.core.problem import Problem
from allocenv.core.registry import LazyRegistry


class Line(NamedTuple):
    """Where a problem lives: its package, the class of its parameters, the name in its Gymnasium id."""

    package: str
    kind: str
    title: str
    objective: str  # by default, in words


REGISTRY = {
    "vm": Line("allocenv.problems.vm", "VM", "VMRescheduling-v0", "fragment rate"),
    "storage": Line("allocenv.problems.storage", "Storage", "HybridStorage-v0", "mean latency / Fast-Only"),
    "task": Line("allocenv.problems.task", "Task", "TaskAllocation-v0", "minus the net value earned, or the makespan"),
    "budget": Line("allocenv.problems.budget", "Budget", "RolloutBudget-v0", "1 - mean success rate"),
}

# Environments of a problem beside its own: Gymnasium id -> (module with GameEnv and GameVectorEnv, name of the game)
GAMES = {
    "RolloutBudgetTuned-v0": ("allocenv.problems.budget.environments", "tuned"),
    "RolloutBudgetWeights-v0": ("allocenv.problems.budget.environments", "weights"),
    "TestTimeBudget-v0": ("allocenv.problems.budget.environments", "test_time"),
    "VoteBudget-v0": ("allocenv.problems.budget.environments", "vote"),
}

PROBLEMS: LazyRegistry[type[Problem]] = LazyRegistry(
    "a problem", {name: f"{line.package}.problem:{line.kind}" for name, line in REGISTRY.items()}
)


def make_problem(name: str, **params: Any) -> Problem:
    """The problem of this name with these parameters. Raises ValueError for an unknown name."""
    return PROBLEMS.find(name)(**params)
