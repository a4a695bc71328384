"""What did a contender do? The problem's own drawing of an instance under its plan, as a file."""

from io import BytesIO
from pathlib import Path

import numpy as np

from allocenv.core.batch import Batch
from allocenv.core.clock import counted
from allocenv.core.files import write_atomically
from allocenv.core.problem import Instance, Problem
from allocenv.core.results import PICTURE
from allocenv.evaluate.contest import Contender

DPI = 100


def draw_plan(problem: Problem, instance: Instance, contender: Contender, folder: Path) -> Path:
    """The instance after the contender's plan, into the folder; the path written."""
    with counted():
        actions = contender(problem, instance, np.random.default_rng([0, 0])).actions
    batch = Batch(problem, 1)
    batch.load([instance])
    for action in np.asarray(actions, np.int32).reshape(-1, 2):
        batch.step(action[None])
    buffer = BytesIO()
    problem.render_figure(batch.state, 0).savefig(buffer, format="png", dpi=DPI)
    write_atomically(folder / PICTURE, buffer.getvalue())
    return folder / PICTURE
