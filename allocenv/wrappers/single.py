"""A problem as a Gymnasium environment: a batch of one."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from allocenv.core.arrays import Array, BoolArray
from allocenv.core.batch import Batch
from allocenv.core.problem import Instance, Observation, Outcome, Problem
from allocenv.core.rendering import HUMAN, RENDER_FPS, RENDER_MODES, expect_render_mode, render_row
from allocenv.wrappers.spaces import action_masks, action_space, as_dict, as_pairs, as_problem, observation_space

Observed = dict[str, Array]
Info = dict[str, Any]


class AllocEnv(gymnasium.Env[Observed, Any]):
    """One instance of a problem at a time.

    Action: the pair (slot, placement) as MultiDiscrete([S, N * V]); the placement alone, Discrete(N * V), where
    the problem has one slot. An illegal action never raises: it does nothing, is penalised and sets
    `info["illegal"]`. Which placements are legal depends on the slot, which no mask of MultiDiscrete can say:
    ask `placement_mask(slot)` between the two, or use `SequentialEnv`.

    `info` holds `illegal`, the problem's `metrics`, and `slot_mask` (int8 [S]: slots with at least one legal
    placement) or, where there is one slot, `action_mask` (int8 [N * V]).

    `reset(seed=s)` begins what row 0 of any `Batch` seeded s begins; `reset(options={"instance": x})` begins on
    the given instance.
    """

    metadata = {"render_modes": RENDER_MODES, "render_fps": RENDER_FPS}  # noqa: RUF012
    observation_space: spaces.Space[Any]
    action_space: spaces.Space[Any]

    def __init__(self, problem: str | Problem, render_mode: str | None = None, **params: Any) -> None:
        expect_render_mode(render_mode, RENDER_MODES)
        self.problem = as_problem(problem, params)
        self.batch = Batch(self.problem, 1)
        self.render_mode = render_mode
        self.observation_space = observation_space(self.problem.sizes)
        self.action_space = action_space(self.problem.sizes)
        self._seeded = False
        self._one_slot = self.problem.sizes.slots == 1
        self._slot, self._pair = np.zeros(1, np.int32), np.zeros((1, 2), np.int32)
        self._seen = Observation.zeros(1, self.problem.sizes)
        self._row = {name: array[0] for name, array in as_dict(self._seen).items()}  # views of it

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observed, Info]:
        super().reset(seed=seed)
        instance = _instance(options)
        if seed is not None or not self._seeded:
            self.batch.seed(self.np_random_seed)
            self._seeded = True
        self._begin(instance)
        seen = self._observe()
        if self.render_mode == HUMAN:
            self.render()
        return seen, self._info(seen, illegal=False)

    def step(self, action: Any) -> tuple[Observed, float, bool, bool, Info]:
        done = self._carry_out(action)
        seen = self._observe()
        info = self._info(seen, illegal=done.illegal.item(0))
        if self.render_mode == HUMAN:
            self.render()
        return seen, done.rewards.item(0), done.terminated.item(0), done.truncated.item(0), info

    def placement_mask(self, slot: int) -> Array:
        """Which placements are legal for the slot now, as `Discrete.sample` takes it: int8 [N * V]."""
        mask: Array = np.zeros((1, self.problem.sizes.placements), np.int8)
        self._slot[0] = slot
        self.problem.placement_mask(self.batch.state, self._slot, mask.view(np.bool_), 0, 1)
        row: Array = mask[0]
        return row

    def action_masks(self) -> BoolArray:
        """The masks of `spaces.action_masks` for this instance: [N * V] where there is one slot, else [S + N * V]."""
        mask: BoolArray = action_masks(self.batch, self.batch.observe().slot_mask)[0]
        return mask

    def render(self) -> Any:
        """The instance as it stands: text (`ansi`), an array uint8 [height, width, 3] (`rgb_array`), or None:
        it was printed (`human`, which every step does by itself), or no mode was chosen.
        """
        return render_row(self.batch, 0, self.render_mode)

    def close(self) -> None:
        self.batch.close()

    def _begin(self, instance: Instance | None) -> None:
        if instance is None:
            self.batch.reset()
        else:
            self.batch.load([instance])

    def _carry_out(self, action: Any) -> Outcome:
        if self._one_slot and isinstance(action, (int, np.integer)):  # the fast way of the general one below
            self._pair[0, 1] = action
            return self.batch.step(self._pair)
        return self.batch.step(as_pairs(np.asarray(action)[None], 1, self.problem.sizes))

    def _observe(self) -> Observed:
        self._seen.clear()
        self.batch.observe_into(self._seen)
        return {name: array.copy() for name, array in self._row.items()}

    def _info(self, seen: Observed, illegal: bool) -> Info:
        info: Info = {"illegal": illegal, "metrics": self.problem.metrics(self.batch.state, 0)}
        if self._one_slot:
            info["action_mask"] = self.placement_mask(0)
        else:
            info["slot_mask"] = seen["slot_mask"].copy()
        return info


def _instance(options: dict[str, Any] | None) -> Any:
    """The instance that the options of a reset name, or None."""
    options = options or {}
    unknown = sorted(options.keys() - {"instance"})
    if unknown:
        raise ValueError(f"Expected no reset option but 'instance', got {', '.join(unknown)}.")
    return options.get("instance")
