"""How what is going on is shown: `ansi` as text, `rgb_array` as a picture, `human` as text in the terminal, at once.

Only single environments have `human`: it is drawn with every step, without anybody asking.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from allocenv.core.batch import Batch

HUMAN = "human"
BATCH_MODES = ["ansi", "rgb_array"]
RENDER_MODES = [*BATCH_MODES, HUMAN]
RENDER_FPS = 4
_CLEAR = "\x1b[H\x1b[2J"


def expect_render_mode(mode: str | None, modes: list[str]) -> None:
    """Raise ValueError for a render mode that does not exist."""
    if mode is not None and mode not in modes:
        raise ValueError(f"Expected render_mode None or one of {', '.join(modes)}, got {mode!r}.")


def rendered(mode: str | None, text: Callable[[], str], figure: Callable[[], Any]) -> Any:
    """Text, an array uint8 [height, width, 3], or None: it was printed, or no render mode was chosen."""
    if mode == "ansi":
        return text()
    if mode == "rgb_array":
        return pixels(figure())
    if mode == HUMAN:
        sys.stdout.write((_CLEAR if sys.stdout.isatty() else "\n") + text() + "\n")
        sys.stdout.flush()
    return None


def render_row(batch: Batch, b: int, mode: str | None) -> Any:
    """Row b of a batch, as `rendered`."""
    problem, state = batch.problem, batch.state
    return rendered(mode, lambda: problem.render_text(state, b), lambda: problem.render_figure(state, b))


def pixels(figure: Any) -> Any:
    """A matplotlib Figure as an array uint8 [height, width, 3]; no window, no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # a second to import; only pictures need it

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
