"""How is each game of `games/` a Gymnasium environment, single or vectorised? Ids: see `allocenv/problems`."""

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from allocenv.core.arrays import Array, BoolArray
from allocenv.core.rendering import BATCH_MODES, HUMAN, RENDER_FPS, RENDER_MODES, expect_render_mode, rendered
from allocenv.problems.budget.drawing import render_figure, render_text
from allocenv.problems.budget.games.game import Game
from allocenv.problems.budget.games.samples import Sampling
from allocenv.problems.budget.games.samples import Setting as SamplingSetting
from allocenv.problems.budget.games.training import Setting, Tuned, Weights
from allocenv.problems.budget.games.votes import Setting as VotingSetting
from allocenv.problems.budget.games.votes import Voting

# Game -> what makes n rows of it from the parameters of the environment
GAMES: dict[str, Callable[..., Game]] = {
    "tuned": lambda n, **params: Tuned(n, Setting(**params)),
    "weights": lambda n, **params: Weights(n, Setting(**params)),
    "test_time": lambda n, **params: Sampling(n, SamplingSetting(**params)),
    "vote": lambda n, **params: Voting(n, VotingSetting(**params)),
}


def _drawn(game: Game, b: int, mode: str | None) -> Any:
    return rendered(mode, lambda: render_text(game.view(b)), lambda: render_figure(game.view(b)))


class GameEnv(gymnasium.Env[Any, Any]):
    """One row of a game. `reset(seed=s)` begins what row 0 of a vector environment seeded s begins.

    `info` holds the game's figures under `metrics` and, where not every action is legal, `action_mask` (int8).
    An illegal action does nothing and is penalised.
    """

    metadata = {"render_modes": RENDER_MODES, "render_fps": RENDER_FPS}  # noqa: RUF012

    def __init__(self, game: str, render_mode: str | None = None, **params: Any) -> None:
        expect_render_mode(render_mode, RENDER_MODES)
        self.game = GAMES[game](1, **params)
        self.observation_space = self.game.observation_space
        self.action_space = self.game.action_space
        self.render_mode = render_mode
        self._rng = np.random.default_rng()
        self._seeded = False
        self._all = np.ones(1, np.bool_)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        if options:
            raise ValueError(f"Expected no reset option, got {', '.join(options)}.")
        if seed is not None or not self._seeded:
            self._rng = np.random.default_rng([self.np_random_seed or 0, 0])
            self._seeded = True
        self.game.begin(0, self._rng)
        if self.render_mode == HUMAN:
            self.render()
        return self._observe(), self._info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        rewards, terminated, truncated = self.game.act(np.asarray(action)[None], self._all)
        if self.render_mode == HUMAN:
            self.render()
        return self._observe(), float(rewards[0]), bool(terminated[0]), bool(truncated[0]), self._info()

    def action_masks(self) -> BoolArray:
        """Which actions are legal now, as sb3-contrib asks for it: [K]."""
        masks = self.game.masks()
        if masks is None:
            raise AttributeError("Every action of this environment is legal: it has no masks.")
        legal: BoolArray = masks[0]
        return legal

    def render(self) -> Any:
        """As `AllocEnv.render`."""
        return _drawn(self.game, 0, self.render_mode)

    def _observe(self) -> Any:
        seen = self.game.observe()
        return {key: array[0] for key, array in seen.items()} if isinstance(seen, dict) else seen[0]

    def _info(self) -> dict[str, Any]:
        masks = self.game.masks()
        info: dict[str, Any] = {"metrics": self.game.metrics(0)}
        if masks is not None:
            info["action_mask"] = masks[0].astype(np.int8)
        return info


class GameVectorEnv(VectorEnv[Any, Any, Array]):
    """`num_envs` rows of a game, without a loop over them.

    A row whose episode has ended begins anew in place of its next step (NEXT_STEP: that action is ignored,
    reward 0), at once (SAME_STEP: the last observation lies in `infos["final_obs"]`) or when it is asked for
    (DISABLED: `reset(options={"reset_mask": rows})`). `infos` holds `metrics` of rows that have just ended.
    """

    def __init__(
        self,
        game: str,
        num_envs: int = 1,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
        **params: Any,
    ) -> None:
        super().__init__()
        if num_envs < 1:
            raise ValueError(f"Expected at least 1 environment, got {num_envs}.")
        expect_render_mode(render_mode, BATCH_MODES)
        self.game = GAMES[game](num_envs, **params)
        self.num_envs = num_envs
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {
            "render_modes": BATCH_MODES,
            "render_fps": RENDER_FPS,
            "autoreset_mode": self.autoreset_mode,
        }
        self.single_observation_space: spaces.Space[Any] = self.game.observation_space
        self.single_action_space: spaces.Space[Any] = self.game.action_space
        self.observation_space: spaces.Space[Any] = batch_space(self.single_observation_space, num_envs)
        self.action_space: spaces.Space[Any] = batch_space(self.single_action_space, num_envs)
        self.render_mode = render_mode
        self._rngs: list[np.random.Generator] = []
        self._done = np.zeros(num_envs, np.bool_)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in every row, or in those of `options["reset_mask"]`."""
        rows = np.asarray((options or {}).get("reset_mask", np.ones(self.num_envs, np.bool_)), np.bool_)
        unknown = (options or {}).keys() - {"reset_mask"}
        if unknown or rows.shape != (self.num_envs,):
            raise ValueError(f"Expected a reset_mask of {self.num_envs} booleans and no other option, got {options!r}.")
        self._seed(seed, rows)
        self._begin(rows)
        self._done[rows] = False
        return self.game.observe(), self._infos(np.zeros(self.num_envs, np.bool_))

    def step(self, actions: Any) -> tuple[Any, Array, BoolArray, BoolArray, dict[str, Any]]:
        over = self._done.copy()
        if over.any() and self.autoreset_mode == AutoresetMode.DISABLED:
            raise ResetNeeded(f"Expected the ended rows {np.flatnonzero(over).tolist()} to be reset first.")
        rewards, terminated, truncated = self.game.act(np.asarray(actions), ~over)
        self._begin(over)
        ended = terminated | truncated
        infos = self._infos(ended)
        if self.autoreset_mode == AutoresetMode.SAME_STEP and ended.any():
            infos = {**self._final(ended, infos)}
            self._begin(ended)
            infos |= self._infos(np.zeros(self.num_envs, np.bool_))
        else:
            self._done = ended
        return self.game.observe(), rewards, terminated, truncated, infos

    def render(self) -> tuple[Any, ...] | None:
        """One frame a row; None where no mode was chosen."""
        if self.render_mode is None:
            return None
        return tuple(_drawn(self.game, b, self.render_mode) for b in range(self.num_envs))

    def action_masks(self) -> BoolArray | None:
        """Which actions are legal now: [B, K]; None: all."""
        return self.game.masks()

    def _seed(self, seed: int | Sequence[int | None] | None, rows: BoolArray) -> None:
        if isinstance(seed, (int, np.integer)) or not self._rngs:
            whole = int(seed) if isinstance(seed, (int, np.integer)) else None
            super().reset(seed=whole)
            base = self.np_random_seed or 0
            fresh = [np.random.default_rng([base, b]) for b in range(self.num_envs)]
            self._rngs = [fresh[b] if rows[b] or not self._rngs else self._rngs[b] for b in range(self.num_envs)]
        if isinstance(seed, Sequence):
            if len(seed) != self.num_envs:
                raise ValueError(f"Expected one seed a row, {self.num_envs}, got {len(seed)}.")
            for b, s in enumerate(seed):
                if s is not None and rows[b]:
                    self._rngs[b] = np.random.default_rng([s, 0])

    def _begin(self, rows: BoolArray) -> None:
        for b in np.flatnonzero(rows):
            self.game.begin(int(b), self._rngs[b])

    def _infos(self, ended: BoolArray) -> dict[str, Any]:
        infos: dict[str, Any] = {}
        masks = self.game.masks()
        if masks is not None:
            infos = {"action_mask": masks.astype(np.int8), "_action_mask": np.ones(self.num_envs, np.bool_)}
        if ended.any():
            figures: dict[str, Any] = {}
            for b in np.flatnonzero(ended):
                for name, value in self.game.metrics(int(b)).items():
                    figures.setdefault(name, np.zeros(self.num_envs))[b] = value
            figures |= {f"_{name}": ended.copy() for name in list(figures)}
            infos |= {"metrics": figures, "_metrics": ended.copy()}
        return infos

    def _final(self, ended: BoolArray, about: dict[str, Any]) -> dict[str, Any]:
        seen = self.game.observe()
        last = np.full(self.num_envs, None, object)
        for b in np.flatnonzero(ended):
            last[b] = {key: x[b].copy() for key, x in seen.items()} if isinstance(seen, dict) else seen[b].copy()
        return {"final_obs": last, "_final_obs": ended, "final_info": about, "_final_info": ended.copy()}
