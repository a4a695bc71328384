"""Allocation problems as environments, with agents and planners.

`make("vm")` is a Gymnasium environment, `make_vec("vm", 8)` a native vector environment. The same through
Gymnasium: `gymnasium.make("allocenv:allocenv/VMRescheduling-v0")`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import gymnasium

from allocenv.problems import GAMES, REGISTRY
from allocenv.problems import PROBLEMS as PROBLEMS
from allocenv.problems import make_problem as make_problem

if TYPE_CHECKING:
    from allocenv.core.batch import Batch as Batch
    from allocenv.core.policy import Policy as Policy
    from allocenv.heuristics import HEURISTICS as HEURISTICS
    from allocenv.planner import plan as plan
    from allocenv.problems.budget.allocator import Allocator as Allocator
    from allocenv.wrappers.make import make as make
    from allocenv.wrappers.make import make_sequential as make_sequential
    from allocenv.wrappers.make import make_vec as make_vec
    from allocenv.wrappers.sb3 import make_sb3 as make_sb3

# Public names and where they live; imported when first asked for, so that `import allocenv` stays light.
_LAZY = {
    "Allocator": "allocenv.problems.budget.allocator",
    "Batch": "allocenv.core.batch",
    "Policy": "allocenv.core.policy",
    "plan": "allocenv.planner",
    "HEURISTICS": "allocenv.heuristics",
    "make": "allocenv.wrappers.make",
    "make_sb3": "allocenv.wrappers.sb3",  # imports torch
    "make_sequential": "allocenv.wrappers.make",
    "make_vec": "allocenv.wrappers.make",
}
__all__ = [
    "HEURISTICS",
    "PROBLEMS",
    "Allocator",
    "Batch",
    "Policy",
    "make",
    "make_problem",
    "make_sb3",
    "make_sequential",
    "make_vec",
    "plan",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'allocenv' has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _register() -> None:
    """Give every problem and every game its Gymnasium id."""
    for name, line in REGISTRY.items():
        gymnasium.register(
            f"allocenv/{line.title}",
            entry_point="allocenv.wrappers.single:AllocEnv",
            vector_entry_point="allocenv.wrappers.vector:AllocVectorEnv",
            kwargs={"problem": name},
        )
    for title, (module, game) in GAMES.items():
        gymnasium.register(
            f"allocenv/{title}",
            entry_point=f"{module}:GameEnv",
            vector_entry_point=f"{module}:GameVectorEnv",
            kwargs={"game": game},
        )


_register()
