"""One pair as two plain choices: first the slot under its mask, then the placement under its exact mask.

For agents whose masks cannot make the second choice depend on the first (sb3-contrib's MaskablePPO, any agent
for Discrete actions). Both choices are Discrete(max(S, N * V)); the reward comes with the second.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from allocenv.core.arrays import Array, BoolArray, FloatArray, IntArray
from allocenv.core.batch import Batch
from allocenv.core.problem import Instance, Outcome, Problem, Sizes
from allocenv.wrappers.single import AllocEnv, Info, Observed
from allocenv.wrappers.spaces import as_dict, features, observation_space

NOTHING = -1  # chosen: no slot yet, or one that does not exist
SLOT, PLACEMENT = 0, 1  # stages


def n_choices(sizes: Sizes) -> int:
    """How many actions there are; at either stage only the first S or N * V can be legal."""
    return max(sizes.slots, sizes.placements)


def sequential_space(sizes: Sizes) -> spaces.Dict:
    """An observation of one instance, with how far its pair has come."""
    return spaces.Dict(
        {
            **observation_space(sizes),
            "stage": spaces.MultiBinary(1),
            "chosen": spaces.Box(-1, sizes.slots - 1, (1,), np.int32),
            "placements": features(sizes.placements, sizes.placement_features),
            "action_mask": spaces.MultiBinary(n_choices(sizes)),
        }
    )


class Sequential:
    """A batch that is stepped by half pairs. All rows are at the same stage at any time.

    A slot that cannot be chosen is accepted and nothing is legal after it: the penalty comes, as every reward,
    with the second choice, so that each episode has an even number of choices.
    """

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.stage = SLOT
        self.chosen: IntArray = np.full(batch.n, NOTHING, np.int32)
        self._sizes = batch.problem.sizes

    def reset(self, seed: int | None = None) -> None:
        """Begin a fresh episode in every row."""
        self.batch.reset(seed)
        self._expect_slots()

    def load(self, instances: Sequence[Instance]) -> None:
        """Begin an episode on the given instances, one a row."""
        self.batch.load(instances)
        self._expect_slots()

    def restart(self, rows: Iterable[int]) -> None:
        """Begin a fresh episode in these rows, between two pairs."""
        if self.stage == PLACEMENT:
            raise ValueError("Expected to restart rows between two pairs, but the placements are still to come.")
        self.batch.restart(rows)

    def step(self, choices: Any) -> Outcome:
        """Take one choice [B] a row: a slot, or the placement that carries the pair out.

        The arrays returned are reused by the next step.
        """
        choices = np.asarray(choices)
        if choices.shape != (self.batch.n,):
            raise ValueError(f"Expected one choice a row, shape ({self.batch.n},), got {choices.shape}.")
        if self.stage == PLACEMENT:
            pairs = np.stack([self.chosen, _existing(choices, self._sizes.placements)], axis=1)
            self._expect_slots()
            return self.batch.step(pairs)
        self.chosen = _existing(choices, self._sizes.slots)
        self.stage = PLACEMENT
        outcome = self.batch.outcome
        for array in outcome:
            array[:] = 0
        return outcome

    def observe(self) -> dict[str, Array]:
        """What an agent sees, in fresh arrays named as in `sequential_space`, each with B rows."""
        observation = self.batch.observe()
        return {
            **as_dict(observation),
            "stage": np.full((self.batch.n, 1), self.stage, np.int8),
            "chosen": self.chosen[:, None].copy(),
            "placements": self._placements(),
            "action_mask": self._mask(observation.slot_mask).view(np.int8),
        }

    def action_masks(self) -> BoolArray:
        """Which choices are legal now, [B, max(S, N * V)]: the `action_mask` of `observe`."""
        return self._mask(self.batch.observe().slot_mask if self.stage == SLOT else None)

    def state_dict(self) -> dict[str, Any]:
        """A copy of everything that decides what happens next."""
        return {"batch": self.batch.state_dict(), "stage": self.stage, "chosen": self.chosen.copy()}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on exactly where `state_dict` was taken."""
        self.batch.load_state_dict(saved["batch"])
        self.stage = saved["stage"]
        self.chosen[:] = saved["chosen"]

    def _expect_slots(self) -> None:
        self.stage = SLOT
        self.chosen = np.full(self.batch.n, NOTHING, np.int32)

    def _placements(self) -> FloatArray:
        """What each placement would mean for the chosen slots; zero before there is one."""
        if self.stage == SLOT:
            sizes = self._sizes
            return np.zeros((self.batch.n, sizes.placements, sizes.placement_features), np.float32)
        rows = self.batch.placement_features(np.maximum(self.chosen, 0))
        rows[self.chosen == NOTHING] = 0.0
        return rows

    def _mask(self, slot_mask: BoolArray | None) -> BoolArray:
        mask = np.zeros((self.batch.n, n_choices(self._sizes)), np.bool_)
        if slot_mask is not None and self.stage == SLOT:
            mask[:, : self._sizes.slots] = slot_mask
        else:
            legal = self.batch.placement_mask(np.maximum(self.chosen, 0))
            mask[:, : self._sizes.placements] = legal & (self.chosen != NOTHING)[:, None]
        return mask


def _existing(choices: Array, n: int) -> IntArray:
    """The choices 0..n-1 as they are, the others as NOTHING."""
    return np.where((choices >= 0) & (choices < n), choices, NOTHING).astype(np.int32)


class SequentialEnv(AllocEnv):
    """One instance of a problem at a time, stepped by half pairs: Discrete(max(S, N * V)).

    The observation gains `stage` (0: choose a slot, 1: choose its placement), `chosen` (the slot, or -1),
    `placements` (features of every placement of the chosen slot) and `action_mask`, which `info` and
    `action_masks()` repeat. All else is as in `AllocEnv`.
    """

    def __init__(self, problem: str | Problem, render_mode: str | None = None, **params: Any) -> None:
        super().__init__(problem, render_mode, **params)
        self.sequential = Sequential(self.batch)
        self.observation_space = sequential_space(self.problem.sizes)
        self.action_space = spaces.Discrete(n_choices(self.problem.sizes))

    def action_masks(self) -> BoolArray:
        """Which choices are legal now: [max(S, N * V)]."""
        mask: BoolArray = self.sequential.action_masks()[0]
        return mask

    def _begin(self, instance: Instance | None) -> None:
        if instance is None:
            self.sequential.reset()
        else:
            self.sequential.load([instance])

    def _carry_out(self, action: Any) -> Outcome:
        return self.sequential.step(np.asarray(action)[None])

    def _observe(self) -> Observed:
        return {name: array[0] for name, array in self.sequential.observe().items()}

    def _info(self, seen: Observed, illegal: bool) -> Info:
        metrics = self.problem.metrics(self.batch.state, 0)
        return {"illegal": illegal, "metrics": metrics, "action_mask": seen["action_mask"].copy()}
