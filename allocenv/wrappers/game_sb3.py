"""How is a game of `problems.GAMES` a Stable-Baselines3 VecEnv, whose course can be saved and gone on with?"""

import time
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from allocenv.core.arrays import Array
from allocenv.core.state_dict import named_arrays
from allocenv.problems import GAMES


def make_game(title: str, n_envs: int, **setting: Any) -> Any:
    """The vector environment of a game, whose ended rows begin anew at once.

    Raises:
        ValueError: an unknown title or parameter, or a value out of range.
    """
    if title not in GAMES:
        raise ValueError(f"Expected a game among {', '.join(GAMES)}, got {title!r}.")
    module, name = GAMES[title]
    try:
        return import_module(module).GameVectorEnv(name, n_envs, "SameStep", **setting)
    except TypeError as error:
        raise ValueError(f"Expected parameters of {title}, got {', '.join(setting)} ({error}).") from None


class GameVecEnv(VecEnv):
    """n rows of a game for SB3. `infos[i]` of an ended row is as `AllocVecEnv` has it."""

    def __init__(self, title: str, n_envs: int, seed: int = 0, setting: Mapping[str, Any] | None = None) -> None:
        self.envs = make_game(title, n_envs, **(setting or {}))
        self._reseed: int | None = seed
        self._returns: Array = np.zeros(n_envs)  # [B]
        self._lengths: Array = np.zeros(n_envs, np.int64)  # [B]
        self._began = time.time()
        super().__init__(n_envs, self.envs.single_observation_space, self.envs.single_action_space)

    def reset(self) -> Any:
        """Begin an episode in every row; the first time, and after `seed`, with fresh generators."""
        seen, _ = self.envs.reset(seed=self._reseed)
        self._reseed = None
        self._returns[:] = 0
        self._lengths[:] = 0
        return seen

    def observe(self) -> Any:
        """What the agent sees now."""
        return self.envs.game.observe()

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seed the generators of all rows at the next reset; None leaves them as they are."""
        self._reseed = seed
        return [seed] * self.num_envs

    def step_async(self, actions: Array) -> None:
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        seen, rewards, terminated, truncated, about = self.envs.step(self._actions)
        self._returns += rewards
        self._lengths += 1
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for b in np.flatnonzero(terminated | truncated):
            figures = about["final_info"]["metrics"]
            metrics = {name: float(values[b]) for name, values in figures.items() if not name.startswith("_")}
            counts = {"r": float(self._returns[b]), "l": int(self._lengths[b]), "t": time.time() - self._began}
            infos[b] = {
                "terminal_observation": about["final_obs"][b],
                "TimeLimit.truncated": bool(truncated[b] and not terminated[b]),
                "metrics": metrics,
                "episode": counts | metrics,
            }
            self._returns[b] = self._lengths[b] = 0
        return seen, rewards, terminated | truncated, infos

    def state_dict(self) -> dict[str, Any]:
        """A copy of everything that decides what happens next."""
        return {
            "game": {name: array.copy() for name, array in _arrays(self.envs.game)},
            "generators": [rng.bit_generator.state for rng in self.envs._rngs],
            "returns": self._returns.copy(),
            "lengths": self._lengths.copy(),
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on exactly where `state_dict` was taken."""
        self.reset()
        for name, array in _arrays(self.envs.game):
            array[...] = saved["game"][name]
        for rng, state in zip(self.envs._rngs, saved["generators"], strict=True):
            rng.bit_generator.state = state
        self._returns[:] = saved["returns"]
        self._lengths[:] = saved["lengths"]

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute of the whole, once for each row asked for."""
        value = None if attr_name == "render_mode" else getattr(self, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        raise AttributeError(f"Expected no attribute to be set on single rows of a game, got {attr_name!r}.")

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        raise AttributeError(f"Expected no method of single rows of a game, got {method_name!r}.")

    def env_is_wrapped(self, wrapper_class: type[Any], indices: VecEnvIndices = None) -> list[bool]:
        """Whether the rows behave as wrapped so: they do keep the statistics of SB3's Monitor."""
        return [wrapper_class is Monitor for _ in self._get_indices(indices)]

    def close(self) -> None:
        self.envs.close()


def _arrays(game: object) -> Iterator[tuple[str, Array]]:
    """The arrays that a game's rows are kept in: its attributes, and those of its tuples of arrays."""
    for name, value in vars(game).items():
        if isinstance(value, np.ndarray):
            yield name, value
        elif _holds_arrays(value):
            yield from named_arrays(value, f"{name}.")


def _holds_arrays(value: object) -> bool:
    if not hasattr(value, "_fields"):
        return isinstance(value, np.ndarray)
    return all(_holds_arrays(part) for part in value)  # type: ignore[attr-defined]
