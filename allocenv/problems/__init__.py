"""The one registry of problems: a name and the class of its parameters. README.md says what goes where."""

from difflib import get_close_matches
from typing import Any

from allocenv.core.problem import Problem
from allocenv.problems.vm.problem import VM

PROBLEMS: dict[str, type[Problem]] = {"vm": VM}


def make_problem(name: str, **params: Any) -> Problem:
    """The problem of this name with these parameters. Raises ValueError for an unknown name."""
    if name not in PROBLEMS:
        near = get_close_matches(name, PROBLEMS, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"Expected a problem, one of {', '.join(PROBLEMS)}; got {name!r}.{hint}")
    return PROBLEMS[name](**params)
