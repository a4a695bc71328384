"""An episode as an animation: what an agent, or a solver of the problem, does step by step."""

import math
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from allocenv.agents.config import RunConfig, read_problem
from allocenv.agents.trained import learnt_solver
from allocenv.core.arrays import IntArray
from allocenv.core.batch import Batch
from allocenv.core.clock import counted
from allocenv.core.files import write_atomically
from allocenv.core.problem import Instance, Problem
from allocenv.core.rendering import pixels

HOLD = 2.0  # seconds that the last picture stays
SUFFIXES = (".gif",)


def watch(
    what: str, solver: str, instances: str, params: tuple[str, ...], frames: int, fps: float, seconds: float, out: Path
) -> str:
    """Write the animation; say what it shows.

    Args:
        what: a run folder, or the name of a problem.
        solver: of the problem, where no run is given.
        instances: the set whose first instance is shown.
        params: `key=value` over the problem's parameters.
        frames: at most so many pictures; of longer episodes every so-many-th step is shown.
        fps: pictures a second.
        seconds: work that a solver may do.

    Raises:
        ValueError: an unknown problem, solver or set, or an `out` that is no GIF.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise ValueError(f"--out: expected a file that ends in {' or '.join(SUFFIXES)}, got {out}.")
    is_run = (Path(what) / "config.toml").is_file()
    problem = RunConfig.load(Path(what) / "config.toml").make_problem() if is_run else read_problem(what, params)
    label, instance = next(iter(problem.instance_set(instances)))
    problem = problem.holding([instance])
    problem.warm_up()
    if is_run:
        name, plan = learnt_solver(what, RunConfig.load(Path(what) / "config.toml").problem, problem)
    elif solver in problem.solvers:
        name, plan = solver, problem.solvers[solver].solver
    else:
        raise ValueError(f"--solver: expected one of {', '.join(problem.solvers)}, got {solver!r}.")
    with counted():
        actions = plan(problem, instance, seconds, np.random.default_rng([0, 0])).actions
    pictures = _pictures(problem, instance, actions, frames)
    write_atomically(out, _gif(pictures, fps))
    return f"{label}, {name}: {len(actions)} actions in {len(pictures)} pictures"


def _pictures(problem: Problem, instance: Instance, actions: IntArray, most: int) -> list[Any]:
    """Arrays uint8 [height, width, 3]: the start, every so-many-th step, and the end."""
    batch = Batch(problem, 1)
    batch.load([instance])
    steps = np.asarray(actions, np.int32).reshape(-1, 2)
    every = max(1, math.ceil(len(steps) / max(most - 1, 1)))
    found = [pixels(problem.render_figure(batch.state, 0))]
    for i, action in enumerate(steps, 1):
        batch.step(action[None])
        if i % every == 0 or i == len(steps):
            found.append(pixels(problem.render_figure(batch.state, 0)))
    return found


def _gif(pictures: list[Any], fps: float) -> bytes:
    """The pictures one after the other, for ever."""
    from PIL import Image

    frames = [Image.fromarray(each).quantize(128) for each in pictures]
    times = [round(1000 / fps)] * (len(frames) - 1) + [round(1000 * HOLD)]
    buffer = BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=times, loop=0, optimize=True)
    return buffer.getvalue()
