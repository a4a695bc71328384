"""Where do episodes of sequential allocation begin? A learner with hidden traits, somewhere in its training."""

from typing import Any, NamedTuple

import numpy as np

from allocenv.problems.budget.learner import Nature, Pupil, draw_pupil
from allocenv.problems.budget.learner.presets import draw_kind


class Lesson(NamedTuple):
    """One learner and how long it was trained with equal groups before the episode."""

    pupil: Pupil
    warm: int  # updates
    saved: dict[str, Any] | None = None  # arrays of a row in the middle of an episode


def draw_lesson(rng: np.random.Generator, nature: Nature, prompts: int, most_warm: int) -> Lesson:
    """A learner of any kind after 1 to `most_warm` updates."""
    pupil = draw_pupil(rng, prompts, draw_kind(rng), nature)
    return Lesson(pupil, int(rng.integers(1, most_warm + 1)))
