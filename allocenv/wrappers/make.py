"""One call from the name of a problem to an environment."""

from typing import Any

from gymnasium.vector import AutoresetMode

from allocenv.core.problem import Problem
from allocenv.wrappers.sequential import SequentialEnv
from allocenv.wrappers.single import AllocEnv
from allocenv.wrappers.vector import AllocVectorEnv


def make(problem: str | Problem, render_mode: str | None = None, **params: Any) -> AllocEnv:
    """A Gymnasium environment of the problem: its name with its parameters, or the problem itself.

    Raises:
        ValueError: an unknown problem, render mode or value of a parameter.
    """
    return AllocEnv(problem, render_mode, **params)


def make_vec(
    problem: str | Problem,
    num_envs: int,
    autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    threads: int = 1,
    render_mode: str | None = None,
    **params: Any,
) -> AllocVectorEnv:
    """A native Gymnasium vector environment of `num_envs` instances; arguments as in `AllocVectorEnv`."""
    return AllocVectorEnv(problem, num_envs, autoreset_mode, threads, render_mode, **params)


def make_sequential(problem: str | Problem, render_mode: str | None = None, **params: Any) -> SequentialEnv:
    """A Gymnasium environment whose pairs are chosen in two Discrete steps, each under its exact mask."""
    return SequentialEnv(problem, render_mode, **params)
