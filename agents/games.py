"""PPO on a game, an environment beside a problem's own one: how it is trained, judged, shipped and played.

agent = "game_ppo"
[agent_params]
game = "RolloutBudgetTuned-v0"       # one of `problems.GAMES`
start = [-0.2, 0.6, -1.0, 0.6, 1.0]  # the action before any training
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.policies import ActorCriticPolicy

from allocenv.agents.config import RunConfig
from allocenv.agents.sb3 import PPOAgent, PPOParams
from allocenv.core.arrays import Array
from allocenv.core.problem import Problem
from allocenv.evaluate.held_out import HELD_OUT_SEED
from allocenv.wrappers.game_sb3 import GameVecEnv, make_game

Play = Callable[[Array], Array]  # observations [B, ...] -> actions [B, A]
HELD_OUT = 64  # episodes


@dataclass(frozen=True)
class GamePPOParams(PPOParams):
    """As for PPO, and the game.

    Args:
        game: one of `problems.GAMES`, with actions in a box.
        setting: parameters of the game.
        start: the action [A] of the untrained policy, whatever it sees; none: about 0.
        log_std: of the logarithm of the first exploration noise.
    """

    game: str = ""
    setting: dict[str, Any] = field(default_factory=dict)
    start: tuple[float, ...] = ()
    log_std: float = 0.0


class GamePPOAgent(PPOAgent):
    """PPO with small networks of its own for actor and critic; the problem only lends its name."""

    Params = GamePPOParams
    policy_class: ClassVar[Any] = ActorCriticPolicy

    def __init__(self, config: RunConfig, problem: Problem, logger: Logger) -> None:
        if config.train.figures:
            raise ValueError("Expected train.figures = false for a game, which draws nothing.")
        super().__init__(config, problem, logger)
        start = config.agent_params.start
        if start:
            _act_so(self.model.policy.action_net, start)

    def make_env(self) -> GameVecEnv:
        params = self.config.agent_params
        return GameVecEnv(params.game, self.config.train.n_envs, self.config.seed, params.setting)

    def policy_arguments(self) -> dict[str, Any]:
        params = self.config.agent_params
        return {"net_arch": [params.width, params.width], "log_std_init": params.log_std}

    def policy(self) -> Any:
        return self.play

    def play(self, seen: Array) -> Array:
        """The mean action [B, A]."""
        actions, _ = self.model.predict(seen, deterministic=True)
        return np.asarray(actions)


class HeldOutGame:
    """Judges how a game is played, on episodes that nobody trains on, always the same."""

    def __init__(self, config: RunConfig, n: int = HELD_OUT) -> None:
        params = config.agent_params
        self.envs = make_game(params.game, n, **params.setting)

    def __call__(self, play: Any) -> dict[str, float]:
        """Mean metrics at the end of the episodes, and the return."""
        seen, _ = self.envs.reset(seed=HELD_OUT_SEED)
        n = self.envs.num_envs
        returns, over = np.zeros(n), np.zeros(n, np.bool_)
        final: dict[str, Array] = {}
        while not over.all():
            seen, rewards, terminated, truncated, about = self.envs.step(play(seen))
            returns += np.where(over, 0.0, rewards)
            ending = ~over & (terminated | truncated)
            for name, values in about["final_info"]["metrics"].items() if ending.any() else ():
                if not name.startswith("_"):
                    final.setdefault(name, np.zeros(n))[ending] = values[ending]
            over |= ending
        means = {name: float(values.mean()) for name, values in final.items()}
        return {**means, "return": float(returns.mean())}


def actor_weights(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Of an SB3 policy's weights those that acting needs."""
    return {name: w for name, w in weights.items() if name.startswith(("mlp_extractor.policy_net.", "action_net."))}


def player(weights: Mapping[str, Array]) -> Play:
    """What the actor of these weights does: tanh layers and a linear one, within [-1, 1]."""
    depth = sum(name.startswith("mlp_extractor.policy_net.") for name in weights) // 2
    names = [f"mlp_extractor.policy_net.{2 * i}" for i in range(depth)]
    hidden = [(weights[f"{name}.weight"], weights[f"{name}.bias"]) for name in names]

    def play(seen: Array) -> Array:
        x = np.asarray(seen, np.float32)
        for w, b in hidden:
            x = np.tanh(x @ w.T + b)
        actions: Array = np.clip(x @ weights["action_net.weight"].T + weights["action_net.bias"], -1.0, 1.0)
        return actions

    return play


def shipped_player(name: str) -> Play:
    """The shipped player of this name. Raises ValueError where there is none."""
    from safetensors.numpy import load_file

    from allocenv.agents.pretrained import FOLDER

    file = Path(FOLDER) / f"{name}.safetensors"
    if not file.is_file():
        raise ValueError(f"Expected the shipped weights of a game, got {name!r}.")
    return player(load_file(file))


def _act_so(layer: torch.nn.Linear, start: tuple[float, ...]) -> None:
    """Let a layer give `start` whatever comes in."""
    if len(start) != layer.out_features:
        raise ValueError(f"Expected a start of {layer.out_features} numbers, got {len(start)}.")
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.copy_(torch.tensor(start))
