"""A problem as a Gymnasium vector environment: a batch, without a loop over its rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from allocenv.core.arrays import Array, BoolArray, IntArray
from allocenv.core.batch import Batch
from allocenv.core.problem import Observation, Problem
from allocenv.core.rendering import BATCH_MODES, RENDER_FPS, expect_render_mode, render_row
from allocenv.wrappers.spaces import action_masks, action_space, as_dict, as_pairs, as_problem, observation_space, row

Observed = dict[str, Array]
Infos = dict[str, Any]


class AllocVectorEnv(VectorEnv[Observed, Any, Array]):
    """`num_envs` instances of a problem at a time; spaces as in `AllocEnv`, with `num_envs` in front.

    `autoreset_mode` says what happens to a row whose episode has ended: NEXT_STEP restarts it in place of its
    next step (that action is ignored, reward 0), SAME_STEP restarts it at once (the last observation lies in
    `infos["final_obs"]`, the last info in `infos["final_info"]`), DISABLED leaves that to
    `reset(options={"reset_mask": rows})`.

    `infos` holds `illegal` for every row, `action_mask` where the problem has one slot, and `metrics` for rows
    whose episode has just ended. Legal slots are part of the observation.

    `reset(seed=s)` with an int begins what `Batch` seeded s begins; with a list, row b begins what a single
    environment seeded s[b] does. `reset(options={"instances": xs})` begins on the given instances, one for each
    row that is reset. `threads` changes the speed and nothing else.
    """

    def __init__(
        self,
        problem: str | Problem,
        num_envs: int = 1,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        threads: int = 1,
        render_mode: str | None = None,
        **params: Any,
    ) -> None:
        super().__init__()
        expect_render_mode(render_mode, BATCH_MODES)
        self.problem = as_problem(problem, params)
        self.batch = Batch(self.problem, num_envs, threads=threads)
        self.num_envs = num_envs
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.render_mode = render_mode
        self.metadata = {
            "render_modes": BATCH_MODES,
            "render_fps": RENDER_FPS,
            "autoreset_mode": self.autoreset_mode,
        }
        sizes = self.problem.sizes
        self.single_observation_space: spaces.Space[Any] = observation_space(sizes)
        self.single_action_space: spaces.Space[Any] = action_space(sizes)
        self.observation_space: spaces.Space[Any] = batch_space(self.single_observation_space, num_envs)
        self.action_space: spaces.Space[Any] = batch_space(self.single_action_space, num_envs)
        self._done = np.zeros(num_envs, np.bool_)
        self._seeded = False

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observed, Infos]:
        """Begin a fresh episode in every row, or in those of `options["reset_mask"]`."""
        options = options or {}
        rows = self._rows_to_reset(options)
        self._seed(seed, rows)
        self._begin(rows, options.get("instances"))
        self._done[rows] = False
        observation = self.batch.observe()
        return as_dict(observation), self._infos(np.zeros(self.num_envs, np.bool_))

    def step(self, actions: Any) -> tuple[Observed, Array, BoolArray, BoolArray, Infos]:
        pairs = as_pairs(actions, self.num_envs, self.problem.sizes)
        over = np.flatnonzero(self._done).tolist()
        if over and self.autoreset_mode == AutoresetMode.DISABLED:
            raise ResetNeeded(f"Expected the ended rows {over} to be reset before the next step.")
        pairs[over] = -1  # ignored: their episodes have ended
        done = self.batch.step(pairs)
        rewards, illegal = done.rewards.copy(), done.illegal.copy()
        terminated, truncated = done.terminated.copy(), done.truncated.copy()
        if over:
            self.batch.restart(over)
            rewards[over], terminated[over], truncated[over], illegal[over] = 0.0, False, False, False
        ended = terminated | truncated
        rows = np.flatnonzero(ended).tolist()
        if self.autoreset_mode == AutoresetMode.SAME_STEP:
            observation, infos = self._restart_at_once(rows, illegal)
        else:
            self._done = ended
            observation = self.batch.observe()
            infos = {**self._infos(illegal), **self._metrics(rows)}
        return as_dict(observation), rewards, terminated, truncated, infos

    def placement_mask(self, slots: IntArray) -> BoolArray:
        """Which placements are legal for the chosen slot of each row: [B, N * V]."""
        return self.batch.placement_mask(slots)

    def action_masks(self) -> BoolArray:
        """The masks of `spaces.action_masks`: [B, N * V] where there is one slot, else [B, S + N * V]."""
        return action_masks(self.batch, self.batch.observe().slot_mask)

    def render(self) -> tuple[Any, ...] | None:
        """Each instance as it stands: texts (`ansi`) or arrays uint8 [height, width, 3] (`rgb_array`)."""
        if self.render_mode is None:
            return None
        return tuple(render_row(self.batch, b, self.render_mode) for b in range(self.num_envs))

    def close_extras(self, **kwargs: Any) -> None:
        if hasattr(self, "batch"):  # Gymnasium 1.2 closes what it collects, even what was never finished
            self.batch.close()

    def _rows_to_reset(self, options: dict[str, Any]) -> list[int]:
        unknown = sorted(options.keys() - {"reset_mask", "instances"})
        if unknown:
            raise ValueError(f"Expected reset options 'reset_mask' and 'instances', got {', '.join(unknown)}.")
        mask = options.get("reset_mask", np.ones(self.num_envs, np.bool_))
        if not (isinstance(mask, np.ndarray) and mask.dtype == np.bool_ and mask.shape == (self.num_envs,)):
            raise ValueError(f"Expected a reset_mask of {self.num_envs} booleans in an array, got {mask!r}.")
        if not mask.any():
            raise ValueError("Expected a reset_mask with at least one row to reset.")
        rows: list[int] = np.flatnonzero(mask).tolist()
        return rows

    def _seed(self, seed: int | Sequence[int | None] | None, rows: list[int]) -> None:
        """Give the rows fresh generators: `[seed, b]` by an int, `[seed[b], 0]` by a list."""
        if isinstance(seed, (int, np.integer)):
            super().reset(seed=int(seed))
            seeds: list[Any] = [[int(seed), b] for b in range(self.num_envs)]
        elif seed is not None:
            if len(seed) != self.num_envs:
                raise ValueError(f"Expected one seed a row, {self.num_envs}, got {len(seed)}.")
            seeds = [None if s is None else [s, 0] for s in seed]
        else:
            seeds = [None] * self.num_envs
        if not self._seeded:
            self.batch.seed(self.np_random_seed or 0)
            self._seeded = True
        for b in rows:
            if seeds[b] is not None:
                self.batch.rngs[b] = np.random.default_rng(seeds[b])

    def _begin(self, rows: list[int], instances: Sequence[Any] | None) -> None:
        if instances is None:
            self.batch.restart(rows)
            return
        if len(instances) != len(rows):
            raise ValueError(f"Expected {len(rows)} instances, one for each row to reset, got {len(instances)}.")
        for b, instance in zip(rows, instances, strict=True):
            self.problem.fill(self.batch.state, b, instance)

    def _restart_at_once(self, rows: list[int], illegal: BoolArray) -> tuple[Observation, Infos]:
        observation = self.batch.observe()
        infos: Infos = {}
        if rows:
            ended = self._only(rows)
            last = np.full(self.num_envs, None, object)
            for b in rows:
                last[b] = row(as_dict(observation), b)
            about = {"illegal": illegal.copy(), "_illegal": ended.copy(), **self._metrics(rows)}
            infos = {"final_obs": last, "_final_obs": ended, "final_info": about, "_final_info": ended.copy()}
            self.batch.restart(rows)
            self.batch.observe_again(observation, rows)
            illegal[rows] = False
        return observation, {**infos, **self._infos(illegal)}

    def _infos(self, illegal: BoolArray) -> Infos:
        every = np.ones(self.num_envs, np.bool_)
        infos: Infos = {"illegal": illegal, "_illegal": every}
        if self.problem.sizes.slots == 1:
            mask = self.batch.placement_mask(np.zeros(self.num_envs, np.int32))
            return {**infos, "action_mask": mask.view(np.int8), "_action_mask": every.copy()}
        return infos

    def _metrics(self, rows: list[int]) -> Infos:
        """The figures of the rows whose episode has ended, as `VectorEnv` writes nested infos."""
        figures: Infos = {}
        for b in rows:
            for name, value in self.problem.metrics(self.batch.state, b).items():
                figures.setdefault(name, np.zeros(self.num_envs))[b] = value
        masks = {f"_{name}": self._only(rows) for name in figures}
        return {"metrics": {**figures, **masks}, "_metrics": self._only(rows)} if rows else {}

    def _only(self, rows: list[int]) -> BoolArray:
        mask = np.zeros(self.num_envs, np.bool_)
        mask[rows] = True
        return mask
