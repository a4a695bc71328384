"""SB3's algorithms as agents, and SB3 models as policies.

A subclass of `PPOAgent` changes what it needs: `Params`, `policy_class`, `arguments`, `phases`, `state_dict`.
"""

import dataclasses
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sb3_contrib import QRDQN, MaskablePPO
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.utils import LinearSchedule, set_random_seed

from allocenv.agents.agent import Phase
from allocenv.agents.config import RunConfig, in_range
from allocenv.agents.set_network import MaskableSetPolicy, SetPolicy, extractor_arguments
from allocenv.core.arrays import Array, BoolArray, IntArray
from allocenv.core.batch import Batch
from allocenv.core.policy import Policy
from allocenv.core.problem import Problem
from allocenv.wrappers.sb3 import make_sb3
from allocenv.wrappers.sequential import NOTHING, PLACEMENT, Sequential
from allocenv.wrappers.spaces import as_dict, as_pairs

_RANGES: dict[str, tuple[float, float]] = {
    "n_steps": (1, 1e6),
    "batch_size": (2, 1e7),
    "n_epochs": (1, 1e4),
    "width": (1, 1e4),
    "gamma": (0, 1),
    "gae_lambda": (0, 1),
    "clip_range": (1e-9, 1e3),
    "ent_coef": (0, 1e3),
    "vf_coef": (0, 1e3),
    "max_grad_norm": (1e-9, 1e9),
    "target_kl": (1e-9, 1e3),
    "buffer_size": (1, 1e8),
    "learning_starts": (0, 1e9),
    "tau": (0, 1),
    "train_freq": (1, 1e6),
    "gradient_steps": (-1, 1e6),  # -1: as many as steps were taken
    "target_update_interval": (1, 1e9),
    "exploration_fraction": (0, 1),
    "exploration_final_eps": (0, 1),
    "unit_steps": (1, 1e7),
}


def expect_ranges(params: object) -> None:
    """Raise ValueError where a field of these names is out of range."""
    for name, (low, high) in _RANGES.items():
        if getattr(params, name, None) is not None:
            in_range(params, name, low, high)


@dataclass(frozen=True)
class A2CParams:
    """SB3's names; `width` is that of the network."""

    n_steps: int = 16
    gamma: float = 0.99
    gae_lambda: float = 1.0
    ent_coef: float = 0.0
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    width: int = 64

    def __post_init__(self) -> None:
        expect_ranges(self)


@dataclass(frozen=True)
class PPOParams:
    """SB3's names; `width` is that of the network."""

    n_steps: int = 128
    batch_size: int = 256
    n_epochs: int = 4
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    normalize_advantage: bool = True
    ent_coef: float = 0.0
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    target_kl: float | None = None
    width: int = 64

    def __post_init__(self) -> None:
        expect_ranges(self)


@dataclass(frozen=True)
class DQNParams:
    """SB3's names; `width` is that of the network, `unit_steps` how many steps lie between two looks at the run."""

    buffer_size: int = 50_000
    learning_starts: int = 1_000
    batch_size: int = 128
    tau: float = 1.0
    gamma: float = 0.99
    train_freq: int = 4
    gradient_steps: int = 1
    target_update_interval: int = 2_000
    exploration_fraction: float = 0.2
    exploration_final_eps: float = 0.05
    max_grad_norm: float = 10.0
    unit_steps: int = 1_000
    width: int = 64

    def __post_init__(self) -> None:
        expect_ranges(self)


@dataclass(frozen=True)
class QRDQNParams(DQNParams):
    """As for DQN."""


class SB3Agent:
    """One of SB3's algorithms on the native VecEnv. What only on- or off-policy ones do is in the subclasses."""

    algorithm: ClassVar[type[BaseAlgorithm]]
    Params: ClassVar[type[Any]]
    policy_class: ClassVar[Any]
    counters: ClassVar[tuple[str, ...]] = ("num_timesteps", "_n_updates", "_episode_num", "_current_progress_remaining")

    def __init__(self, config: RunConfig, problem: Problem, logger: Logger) -> None:
        train = config.train
        set_random_seed(config.seed)  # networks made in policy_arguments are drawn from it
        self.config, self.problem = config, problem
        self.env = self.make_env()
        self.model: Any = self.algorithm(
            self.policy_class,
            self.env,
            seed=config.seed,
            device=train.device,
            policy_kwargs=self.policy_arguments(),
            **self.arguments(),
        )
        self.model.set_logger(logger)
        _, self._callback = self.model._setup_learn(train.total_steps)
        self._callback.on_training_start({}, {})

    @property
    def sequential(self) -> bool:
        """Whether the pair is chosen in two steps of the environment."""
        return False

    def make_env(self) -> Any:
        """What it learns on: a VecEnv with `state_dict`, `load_state_dict` and `observe`."""
        train = self.config.train
        return make_sb3(self.problem, train.n_envs, self.config.seed, self.sequential, train.env_threads)

    def arguments(self) -> dict[str, Any]:
        """What the algorithm is called with: the learning rate and those of Params that it knows."""
        train = self.config.train
        rate = LinearSchedule(train.learning_rate, 0.0, 1.0) if train.learning_rate_decay else train.learning_rate
        known = inspect.signature(self.algorithm).parameters
        params = dataclasses.asdict(self.config.agent_params)
        return {"learning_rate": rate} | {name: value for name, value in params.items() if name in known}

    def policy_arguments(self) -> dict[str, Any]:
        """What the policy class is called with."""
        return {**self._extractor(), "net_arch": []}

    @property
    def phases(self) -> tuple[Phase, ...]:
        """One: the algorithm's own loop."""
        name = self.config.agent
        return (Phase(name, self.unit, lambda: int(self.model.num_timesteps), self.config.train.total_steps),)

    def unit(self) -> None:
        """Collect experience and learn from it, once."""
        raise NotImplementedError

    def record_episodes(self) -> None:
        """Curves of the latest finished episodes: return, length and the problem's metrics."""
        means = self._episode_means()
        for key, value in means.items():
            tag = {"r": "ep_rew_mean", "l": "ep_len_mean"}.get(key, key)  # SB3's names
            self.model.logger.record(f"rollout/{tag}", value)

    def figures(self) -> dict[str, float]:
        return {"return" if key == "r" else key: value for key, value in self._episode_means().items() if key != "l"}

    def policy(self) -> Policy:
        return SB3Policy(self.model, self.sequential)

    def state_dict(self) -> dict[str, Any]:
        model = self.model
        return {
            "weights": self.weights(),
            "optimizer": model.policy.optimizer.state_dict(),
            "env": self.env.state_dict(),
            "counters": {name: getattr(model, name) for name in self.counters},
            "episodes": list(model.ep_info_buffer),
            "episode_starts": model._last_episode_starts,
            "action_space": model.action_space.np_random.bit_generator.state,
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        model = self.model
        self.load_weights(saved["weights"])
        model.policy.optimizer.load_state_dict(saved["optimizer"])
        self.env.load_state_dict(saved["env"])
        model._last_obs = self.env.observe()
        model._last_episode_starts = saved["episode_starts"]
        for name in self.counters:
            setattr(model, name, saved["counters"][name])
        model.ep_info_buffer.clear()
        model.ep_info_buffer.extend(saved["episodes"])
        model.action_space.np_random.bit_generator.state = saved["action_space"]

    def weights(self) -> Mapping[str, Any]:
        weights: Mapping[str, Any] = self.model.policy.state_dict()
        return weights

    def load_weights(self, weights: Mapping[str, Any]) -> None:
        self.model.policy.load_state_dict(weights)

    def close(self) -> None:
        self.env.close()

    def _extractor(self) -> dict[str, Any]:
        return extractor_arguments(self.problem.sizes.variants, self.config.agent_params.width)

    def _episode_means(self) -> dict[str, float]:
        episodes = list(self.model.ep_info_buffer)
        names = [name for name in episodes[0] if name != "t"] if episodes else []
        return {name: float(np.mean([episode[name] for episode in episodes])) for name in names}


class OnPolicyAgent(SB3Agent):
    """PPO and its kin: a unit is one rollout and the update on it."""

    def unit(self) -> None:
        model = self.model
        model.collect_rollouts(self.env, self._callback, model.rollout_buffer, model.n_steps)
        model._update_current_progress_remaining(model.num_timesteps, self.config.train.total_steps)
        model.train()
        self.record_episodes()


class PPOAgent(OnPolicyAgent):
    """Schulman et al., "Proximal Policy Optimization Algorithms", 2017. Masks slots, cannot mask pairs."""

    algorithm = PPO
    Params = PPOParams
    policy_class: ClassVar[Any] = SetPolicy


class A2CAgent(OnPolicyAgent):
    """Mnih et al., "Asynchronous Methods for Deep Reinforcement Learning", 2016; synchronous."""

    algorithm = A2C
    Params = A2CParams
    policy_class = SetPolicy


class MaskablePPOAgent(OnPolicyAgent):
    """PPO that never chooses what is illegal: slot and placement one after the other, each under its mask.

    Huang and Ontanon, "A Closer Look at Invalid Action Masking in Policy Gradient Algorithms", 2022.
    """

    algorithm = MaskablePPO
    Params = PPOParams
    policy_class = MaskableSetPolicy

    @property
    def sequential(self) -> bool:
        return self.problem.sizes.slots > 1


class DQNAgent(SB3Agent):
    """Mnih et al., "Human-level control through deep reinforcement learning", 2015. It learns without masks."""

    algorithm = DQN
    Params = DQNParams
    policy_class = "MultiInputPolicy"
    counters = (*SB3Agent.counters, "_n_calls", "exploration_rate")

    @property
    def sequential(self) -> bool:
        return self.problem.sizes.slots > 1

    def policy_arguments(self) -> dict[str, Any]:
        return self._extractor()

    def unit(self) -> None:
        """Steps and updates by turns, until `unit_steps` more steps have been made."""
        model = self.model
        end = min(model.num_timesteps + self.config.agent_params.unit_steps, self.config.train.total_steps)
        while model.num_timesteps < end:
            model.collect_rollouts(
                self.env,
                train_freq=model.train_freq,
                callback=self._callback,
                learning_starts=model.learning_starts,
                replay_buffer=model.replay_buffer,
            )
            if model.num_timesteps > model.learning_starts:
                model.train(batch_size=model.batch_size, gradient_steps=model.gradient_steps)
        self.record_episodes()

    def state_dict(self) -> dict[str, Any]:
        buffer = self.model.replay_buffer
        filled = buffer.size()
        arrays = {name: array[:filled] for name, array in _arrays(buffer).items()}
        return super().state_dict() | {"replay": {"pos": buffer.pos, "full": buffer.full, "arrays": arrays}}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        super().load_state_dict(saved)
        buffer = self.model.replay_buffer
        buffer.pos, buffer.full = saved["replay"]["pos"], saved["replay"]["full"]
        for name, array in _arrays(buffer).items():
            kept = saved["replay"]["arrays"][name]
            array[: len(kept)] = kept


class QRDQNAgent(DQNAgent):
    """Dabney et al., "Distributional Reinforcement Learning with Quantile Regression", 2018."""

    algorithm = QRDQN
    Params = QRDQNParams


class SB3Policy:
    """An SB3 model as a policy: a batch in, actions [B, 2] out."""

    def __init__(self, model: Any, sequential: bool, deterministic: bool = True) -> None:
        self.model = model
        self.sequential = sequential
        self.deterministic = deterministic

    def __call__(self, batch: Batch) -> IntArray:
        sizes = batch.problem.sizes
        if not self.sequential:
            only = np.zeros(batch.n, np.int32)
            mask = batch.placement_mask(only) if sizes.slots == 1 else None
            return as_pairs(self._choose(as_dict(batch.observe()), mask), batch.n, sizes)
        halves = Sequential(batch)
        slots = self._choose_half(halves)
        halves.chosen = np.where(slots < sizes.slots, slots, NOTHING).astype(np.int32)
        halves.stage = PLACEMENT
        return np.stack([halves.chosen, self._choose_half(halves)], axis=1).astype(np.int32)

    def _choose_half(self, halves: Sequential) -> Array:
        seen = halves.observe()
        return self._choose(seen, seen["action_mask"].view(np.bool_))

    def _choose(self, seen: dict[str, Array], mask: BoolArray | None) -> Array:
        masks = {"action_masks": mask} if isinstance(self.model, MaskablePPO) else {}
        actions, _ = self.model.predict(seen, deterministic=self.deterministic, **masks)
        return np.asarray(actions)


def _arrays(buffer: Any) -> dict[str, Array]:
    """The arrays of a replay buffer, those of a Dict observation under `observations.<key>`."""
    named: dict[str, Array] = {}
    for name in ("observations", "next_observations", "actions", "rewards", "dones", "timeouts"):
        value = getattr(buffer, name)
        if isinstance(value, dict):
            named |= {f"{name}.{key}": array for key, array in value.items()}
        else:
            named[name] = value
    return named
