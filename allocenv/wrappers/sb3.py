"""A batch as a Stable-Baselines3 VecEnv, stepped as one: no environment objects, no processes."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from allocenv.core.arrays import Array, BoolArray
from allocenv.core.batch import Batch
from allocenv.core.problem import Outcome, Problem
from allocenv.wrappers.sequential import Sequential, n_choices, sequential_space
from allocenv.wrappers.spaces import action_masks, action_space, as_dict, as_pairs, as_problem, observation_space, row


def make_sb3(
    problem: str | Problem, n_envs: int = 16, seed: int = 0, sequential: bool = False, threads: int = 1, **params: Any
) -> "AllocVecEnv":
    """The VecEnv of a problem, or of the name of one and its parameters.

    `sequential` asks for the slot and for the placement one after the other, each under its exact mask: the form
    for MaskablePPO, and for agents of Discrete actions.
    """
    kind = SequentialVecEnv if sequential else AllocVecEnv
    return kind(as_problem(problem, params), n_envs, seed, threads)


class AllocVecEnv(VecEnv):
    """n instances of a problem for SB3; the action is the pair (slot, placement).

    A finished row restarts in the same step, as SB3 wants it. Its `infos[i]` then holds `terminal_observation`,
    `TimeLimit.truncated`, `metrics` and, as from SB3's Monitor, `episode`: return `r`, length `l`, seconds `t`,
    and the metrics at the end of the episode. Every `infos[i]` holds `illegal`.
    """

    def __init__(self, problem: Problem, n_envs: int, seed: int = 0, threads: int = 1) -> None:
        self.problem = problem
        self.batch = Batch(problem, n_envs, seed, threads)
        self._returns: Array = np.zeros(n_envs)  # [B] float64
        self._lengths: Array = np.zeros(n_envs, np.int64)  # [B]
        self._began = time.time()
        self._reseed: int | None = None
        self._seen: dict[str, Array] = {}
        super().__init__(n_envs, *self._spaces())

    def reset(self) -> dict[str, Array]:
        """Begin a fresh episode in every row; after `seed`, with fresh generators."""
        self._reset(self._reseed)
        self._reseed = None
        self._returns[:] = 0
        self._lengths[:] = 0
        return self.observe()

    def observe(self) -> dict[str, Array]:
        """What the agent sees now, in fresh arrays."""
        self._seen = self._observe()
        return self._seen

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seed the generators of all rows at the next reset; None leaves them as they are."""
        self._reseed = seed
        return [seed] * self.num_envs

    def step_async(self, actions: Array) -> None:
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        outcome = self._carry_out(self._actions)
        rewards = outcome.rewards.copy()  # SB3 adds to it
        dones = outcome.terminated | outcome.truncated
        self._returns += rewards
        self._lengths += 1
        infos: list[dict[str, Any]] = [{"illegal": bool(illegal)} for illegal in outcome.illegal]
        seen = self.observe()
        if dones.any():
            finished = np.flatnonzero(dones).tolist()
            for b in finished:
                cut = bool(outcome.truncated[b] and not outcome.terminated[b])
                infos[b] |= self._episode(b) | {"terminal_observation": row(seen, b), "TimeLimit.truncated": cut}
            self._returns[finished] = 0
            self._lengths[finished] = 0
            self._restart(finished)
            seen = self._seen
        return seen, rewards, dones, infos

    def action_masks(self) -> BoolArray:
        """The masks of `spaces.action_masks`: [B, number of logits]; with `sequential=True` they are exact."""
        return action_masks(self.batch, self._seen["slot_mask"].view(np.bool_))

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """`action_masks` of the rows asked for; there are no environment objects with methods of their own."""
        if method_name != "action_masks":
            raise AttributeError(f"Expected the method 'action_masks', got {method_name!r}.")
        masks = self.action_masks()
        return [masks[b] for b in self._get_indices(indices)]

    def has_attr(self, attr_name: str) -> bool:
        return hasattr(self, attr_name)

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute of the whole, once for each row asked for."""
        value = None if attr_name == "render_mode" else getattr(self, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        raise AttributeError(f"Expected no attribute to be set on single rows of a batch, got {attr_name!r}.")

    def env_is_wrapped(self, wrapper_class: type[Any], indices: VecEnvIndices = None) -> list[bool]:
        """Whether the rows behave as wrapped so: they do keep the statistics of SB3's Monitor."""
        return [wrapper_class is Monitor for _ in self._get_indices(indices)]

    def close(self) -> None:
        self.batch.close()

    def state_dict(self) -> dict[str, Any]:
        """A copy of everything that decides what happens next."""
        return {
            "batch": self.batch.state_dict(),
            "returns": self._returns.copy(),
            "lengths": self._lengths.copy(),
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on exactly where `state_dict` was taken."""
        self.batch.load_state_dict(saved["batch"])
        self._returns[:] = saved["returns"]
        self._lengths[:] = saved["lengths"]
        self._reseed = None
        self.observe()

    def _episode(self, b: int) -> dict[str, Any]:
        metrics = self.problem.metrics(self.batch.state, b)
        seconds = round(time.time() - self._began, 6)
        counts = {"r": float(self._returns[b]), "l": int(self._lengths[b]), "t": seconds}
        return {"metrics": metrics, "episode": counts | metrics}

    def _spaces(self) -> tuple[spaces.Space[Any], spaces.Space[Any]]:
        return observation_space(self.problem.sizes), action_space(self.problem.sizes)

    def _reset(self, seed: int | None) -> None:
        self.batch.reset(seed)

    def _restart(self, rows: list[int]) -> None:
        self.batch.restart(rows)
        self.batch.observe_again(self._observation, rows)  # the arrays of `_seen` are its own

    def _carry_out(self, actions: Array) -> Outcome:
        return self.batch.step(as_pairs(actions, self.num_envs, self.problem.sizes))

    def _observe(self) -> dict[str, Array]:
        self._observation = self.batch.observe()
        return as_dict(self._observation)


class SequentialVecEnv(AllocVecEnv):
    """The same, with the slot and the placement as two choices of one Discrete space; masks are exact."""

    def __init__(self, problem: Problem, n_envs: int, seed: int = 0, threads: int = 1) -> None:
        super().__init__(problem, n_envs, seed, threads)
        self._halves = Sequential(self.batch)

    def action_masks(self) -> BoolArray:
        """Which choices are legal now: [B, max(S, N * V)]."""
        return self._seen["action_mask"].view(np.bool_)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"stage": self._halves.stage, "chosen": self._halves.chosen.copy()}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self._halves.stage = saved["stage"]
        self._halves.chosen[:] = saved["chosen"]
        super().load_state_dict(saved)

    def _spaces(self) -> tuple[spaces.Space[Any], spaces.Space[Any]]:
        sizes = self.problem.sizes
        return sequential_space(sizes), spaces.Discrete(n_choices(sizes))

    def _reset(self, seed: int | None) -> None:
        self._halves.reset(seed)

    def _restart(self, rows: list[int]) -> None:
        self._halves.restart(rows)
        self.observe()

    def _carry_out(self, actions: Array) -> Outcome:
        return self._halves.step(actions)

    def _observe(self) -> dict[str, Array]:
        return self._halves.observe()
