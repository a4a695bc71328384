"""The learning curve of a run as a picture: held-out objective against wall time, opponents as lines."""

import itertools
from io import BytesIO
from pathlib import Path

from allocenv.agents.config import RunConfig
from allocenv.core.files import InputError, write_atomically

TAG = "eval/objective"


def learning_curves(run: Path) -> tuple[str, list[tuple[float, float]], dict[str, float]]:
    """The agent's name, its evaluations as (minutes, objective), and the objectives of its opponents.

    Times are those of one uninterrupted training.

    Raises:
        InputError: the folder holds no evaluations.
    """
    agent = RunConfig.load(run / "config.toml").agent
    folders = [folder for folder in sorted((run / "tensorboard").glob("*")) if folder.is_dir()]
    curves = {folder.name: events for folder in folders if (events := _events(folder))}
    ours = curves.pop(agent, [])
    if len(ours) < 2:
        raise InputError(str(run / "tensorboard"), TAG, len(ours), "at least two evaluations")
    points = [((at - ours[0][0]) / 60, value) for at, value in ours]
    return agent, points, {name: events[0][1] for name, events in curves.items()}


def draw_curve(run: Path, out: Path) -> None:
    """Draw the evaluations of a run folder into a PNG.

    Raises:
        InputError: the folder holds no evaluations.
    """
    from matplotlib.figure import Figure

    agent, points, lines = learning_curves(run)
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(*zip(*points, strict=True), marker="o", markersize=3, color="#1f5fa8", label=agent)
    for (name, value), style in zip(lines.items(), itertools.cycle((":", "--", "-", "-."))):
        axes.axhline(value, color="#555555", linestyle=style, linewidth=1, label=name)
    axes.set_xlabel("minutes of training")
    axes.set_ylabel("held-out objective")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    write_atomically(out, buffer.getvalue())


def _events(folder: Path) -> list[tuple[float, float]]:
    """(wall time, value) of every evaluation in one TensorBoard folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    if TAG not in events.Tags()["scalars"]:
        return []
    return [(event.wall_time, event.value) for event in events.Scalars(TAG)]
