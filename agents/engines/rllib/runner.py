"""What rolls out on a cluster: SB3's own loop over a share of the environments, as an RLlib EnvRunner."""

import time
from typing import Any

import numpy as np
import ray
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.env import INPUT_ENV_SINGLE_SPACES, INPUT_ENV_SPACES
from ray.rllib.env.env_runner import EnvRunner
from ray.rllib.evaluation.postprocessing import Postprocessing
from torch import Tensor

from allocenv.agents.config import MAX_SEED, RunConfig
from allocenv.agents.engines.rllib.module import MASKS, build_agent

COLUMNS = {  # of SB3's rollout buffer -> RLlib's names
    "observations": Columns.OBS,
    "actions": Columns.ACTIONS,
    "old_log_prob": Columns.ACTION_LOGP,
    "advantages": Postprocessing.ADVANTAGES,
    "returns": Postprocessing.VALUE_TARGETS,
    MASKS: MASKS,
}


class RolloutRunner(EnvRunner):  # type: ignore[misc]
    """A share of the environments of a run: `env_config["run"]`, a RunConfig, from step `env_config["step"]` on.

    One `sample` is a rollout of `n_steps` with the weights that come with the call, so that one that was
    restarted is as good as any. RLlib's own runner would loop over environments and episodes in Python.
    """

    def __init__(self, *, config: Any, **kwargs: Any) -> None:
        super().__init__(config=config, **kwargs)
        run: RunConfig = config.env_config["run"]
        again = ray.get_runtime_context().was_current_actor_reconstructed
        drawn = np.random.SeedSequence([run.seed, config.env_config["step"], self.worker_index, int(again)])
        seed = int(drawn.generate_state(1)[0]) % (MAX_SEED + 1)
        self.agent = build_agent(run, config.num_envs_per_env_runner, seed)

    def sample(self, weights: Any = None, **kwargs: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """A rollout in columns [n_steps * n_envs, ...], and the episodes that ended in it."""
        agent, model = self.agent, self.agent.model
        if weights is not None:
            model.policy.load_state_dict(weights)
        model.ep_info_buffer.clear()
        model.collect_rollouts(agent.env, agent._callback, model.rollout_buffer, model.n_steps)
        return columns_of(model.rollout_buffer), list(model.ep_info_buffer)

    def cpu_seconds(self) -> float:
        """Of this process, since it was started."""
        return time.process_time()

    def get_spaces(self) -> dict[str, Any]:
        both = (self.agent.env.observation_space, self.agent.env.action_space)
        return {DEFAULT_MODULE_ID: both, INPUT_ENV_SPACES: both, INPUT_ENV_SINGLE_SPACES: both}

    def assert_healthy(self) -> None:
        assert self.agent is not None

    def get_state(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Nothing: weights come with every call."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Nothing is taken over, as `get_state` gives nothing."""

    def stop(self) -> None:
        self.agent.close()


def columns_of(buffer: Any) -> dict[str, Any]:
    """What an SB3 rollout buffer holds, in arrays [steps * environments, ...] under RLlib's names."""
    held = next(buffer.get())._asdict()
    return {name: _arrays(held[key]) for key, name in COLUMNS.items() if key in held}


def _arrays(value: Any) -> Any:
    """Tensors, or dictionaries of them, as arrays: those travel without a copy."""
    if isinstance(value, dict):
        return {name: _arrays(part) for name, part in value.items()}
    return value.numpy() if isinstance(value, Tensor) else value
