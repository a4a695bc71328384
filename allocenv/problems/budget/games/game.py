"""What does a game supply to be an environment, single or vectorised? Rows that begin, act and are observed."""

from typing import Any, Protocol

import numpy as np
from gymnasium import spaces

from allocenv.core.arrays import Array, BoolArray
from allocenv.problems.budget.drawing import View


class Game(Protocol):
    """B rows of one game. Row b draws only from what `begin` gave it."""

    @property
    def observation_space(self) -> spaces.Space[Any]:
        """Of one row."""

    @property
    def action_space(self) -> spaces.Space[Any]:
        """Of one row."""

    def begin(self, b: int, rng: np.random.Generator) -> None:
        """Start an episode in row b."""

    def act(self, actions: Array, rows: BoolArray) -> tuple[Array, BoolArray, BoolArray]:
        """Carry out one action [B, ...] in each of the rows [B] that is asked for.

        Returns rewards, terminated, truncated: [B] each.
        """

    def observe(self) -> Array | dict[str, Array]:
        """Fresh arrays, [B, ...] each, within the observation space."""

    def masks(self) -> BoolArray | None:
        """Legal actions [B, K], None: all are."""

    def metrics(self, b: int) -> dict[str, float]:
        """Figures of row b worth a curve."""

    def view(self, b: int) -> View:
        """What is drawn of row b."""
