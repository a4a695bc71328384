"""An agent's own network as an RLModule: the same weights under SB3 and under RLlib."""

from dataclasses import replace
from typing import Any

import torch
from gymnasium import spaces
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.apis.value_function_api import ValueFunctionAPI
from ray.rllib.core.rl_module.torch.torch_rl_module import TorchRLModule
from stable_baselines3.common.logger import Logger

from allocenv.agents import agent_class
from allocenv.agents.config import RunConfig
from allocenv.agents.sb3 import OnPolicyAgent

MASKS, ENTROPY = "action_masks", "entropy"


def build_agent(config: RunConfig, n_envs: int, seed: int) -> OnPolicyAgent:
    """The config's agent on the CPU, with so many environments of its own; it writes no curves."""
    torch.set_num_threads(config.train.num_threads)
    params = replace(config.agent_params, batch_size=max(2, config.agent_params.n_steps * n_envs))  # it never updates
    train = replace(config.train, n_envs=n_envs, device="cpu")
    changed = replace(config, seed=seed, train=train, agent_params=params)
    agent: OnPolicyAgent = agent_class(config.agent)(changed, config.make_problem(), Logger(None, []))
    return agent


class PolicyModule(TorchRLModule, ValueFunctionAPI):  # type: ignore[misc]
    """The SB3 policy of an agent; `model_config["run"]` is the RunConfig.

    In training, the second stage of a pair is judged after the slot that was taken, under the mask and features
    seen then, which the rollout stored beside the observation; nothing is drawn anew.
    """

    def setup(self) -> None:
        run: RunConfig = self.model_config["run"]
        agent = build_agent(run.for_acting(), 1, run.seed)
        self.policy = agent.model.policy
        self.discrete = isinstance(agent.model.action_space, spaces.Discrete)
        agent.close()

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        actions, values, log_prob = self.policy(batch[Columns.OBS])
        return {Columns.ACTIONS: actions, Columns.VF_PREDS: values.flatten(), Columns.ACTION_LOGP: log_prob}

    def _forward_train(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        actions = batch[Columns.ACTIONS]
        if self.discrete:
            actions = actions.long().flatten()
        masks = {MASKS: batch[MASKS]} if MASKS in batch else {}
        values, log_prob, entropy = self.policy.evaluate_actions(batch[Columns.OBS], actions, **masks)
        entropy = -log_prob if entropy is None else entropy  # SB3's own approximation
        return {Columns.VF_PREDS: values.flatten(), Columns.ACTION_LOGP: log_prob, ENTROPY: entropy}

    def compute_values(self, batch: dict[str, Any], embeddings: Any = None) -> torch.Tensor:
        """What return is still to come: [B]."""
        values: torch.Tensor = self.policy.predict_values(batch[Columns.OBS]).flatten()
        return values
