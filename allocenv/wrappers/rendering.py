"""How the instance of a row is shown: `ansi` for a terminal, `rgb_array` as a picture."""

from typing import Any

import numpy as np

from allocenv.core.batch import Batch

RENDER_MODES = ["ansi", "rgb_array"]
RENDER_FPS = 4


def expect_render_mode(mode: str | None) -> None:
    """Raise ValueError for a render mode that does not exist."""
    if mode is not None and mode not in RENDER_MODES:
        raise ValueError(f"Expected render_mode None or one of {', '.join(RENDER_MODES)}, got {mode!r}.")


def render_row(batch: Batch, b: int, mode: str | None) -> Any:
    """Row b as text, as an array uint8 [height, width, 3], or None where no render mode was chosen."""
    if mode == "ansi":
        return batch.problem.render_text(batch.state, b)
    if mode == "rgb_array":
        return pixels(batch.problem.render_figure(batch.state, b))
    return None


def pixels(figure: Any) -> Any:
    """A matplotlib Figure as an array uint8 [height, width, 3]; no window, no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # a second to import; only pictures need it

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
