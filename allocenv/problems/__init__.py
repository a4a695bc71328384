"""The one registry of problems: a name and the class of its parameters. README.md says what goes where."""

from allocenv.core.problem import Problem
from allocenv.problems.vm.problem import VM

PROBLEMS: dict[str, type[Problem]] = {"vm": VM}
