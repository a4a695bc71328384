"""SB3's PPO update as an RLlib Learner: alone, or several that share each minibatch."""

from typing import Any

import torch
from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.evaluation.postprocessing import Postprocessing
from torch import Tensor
from torch.nn.functional import mse_loss

from allocenv.agents.engines.rllib.module import ENTROPY
from allocenv.agents.sb3 import PPOParams

RATE = "learning_rate"  # comes with the counts of steps
FIGURES = ("policy_gradient_loss", "value_loss", "entropy_loss", "approx_kl")  # SB3's names


class PPOLearner(PPOTorchLearner):  # type: ignore[misc]
    """The loss, the optimiser, the normalised advantages and the stop at `target_kl` are SB3's.

    `learner_config_dict["params"]` are the agent's PPOParams.
    """

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Weights and optimiser of the policy, on the CPU: whoever asks may have no other device."""
        return _on_cpu(self._policy().state_dict()), _on_cpu(self._policy().optimizer.state_dict())

    def take_over(self, weights: dict[str, Tensor], optimizer: dict[str, Any]) -> None:
        """Go on from what `state` gave, here or elsewhere."""
        self._policy().load_state_dict(weights)
        self._policy().optimizer.load_state_dict(optimizer)

    def configure_optimizers_for_module(self, module_id: str, config: Any = None) -> None:
        parameters = self.get_parameters(self.module[module_id])
        self.register_optimizer(module_id=module_id, optimizer=self._policy().optimizer, params=parameters)

    def before_gradient_based_update(self, *, timesteps: dict[str, Any]) -> None:
        super().before_gradient_based_update(timesteps=timesteps)
        self._too_far, self._latest = False, None
        for optimizer in self._optimizer_parameters:
            self._set_optimizer_lr(optimizer, timesteps[RATE])

    def compute_loss_for_module(self, *, module_id: str, config: Any, batch: Any, fwd_out: Any) -> Tensor:
        params: PPOParams = config.learner_config_dict["params"]
        advantages = batch[Postprocessing.ADVANTAGES]
        if params.normalize_advantage and len(advantages) > 1:
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        log_ratio = fwd_out[Columns.ACTION_LOGP] - batch[Columns.ACTION_LOGP]
        ratio = log_ratio.exp()
        near = ratio.clamp(1 - params.clip_range, 1 + params.clip_range)
        policy_loss = -torch.min(advantages * ratio, advantages * near).mean()
        value_loss = mse_loss(batch[Postprocessing.VALUE_TARGETS], fwd_out[Columns.VF_PREDS])
        entropy_loss = -fwd_out[ENTROPY].mean()
        kl = self._mean_of_learners((ratio - 1 - log_ratio).mean().detach())
        self._too_far = params.target_kl is not None and bool(kl > 1.5 * params.target_kl)
        figures = dict(zip(FIGURES, (policy_loss, value_loss, entropy_loss, kl), strict=True))
        self.metrics.log_dict(figures, key=module_id, window=1)
        loss: Tensor = policy_loss + params.ent_coef * entropy_loss + params.vf_coef * value_loss
        return loss

    def apply_gradients(self, gradients_dict: Any) -> None:
        if not self._too_far:
            super().apply_gradients(gradients_dict)

    def _update(self, batch: Any, **kwargs: Any) -> Any:
        if not self._too_far:  # else the rest of the minibatches is left out, as in SB3
            self._latest = super()._update(batch, **kwargs)
        return self._latest

    def _mean_of_learners(self, value: Tensor) -> Tensor:
        """All learners have to stop at the same minibatch, or their weights part."""
        if self.config.num_learners > 1:
            torch.distributed.all_reduce(value)
            value = value / self.config.num_learners
        return value

    def _policy(self) -> Any:
        return self.module[DEFAULT_MODULE_ID].unwrapped().policy


def _on_cpu(value: Any) -> Any:
    """Nested dictionaries of tensors and numbers, the tensors where every process can read them."""
    if isinstance(value, dict):
        return {key: _on_cpu(part) for key, part in value.items()}
    return value.cpu() if isinstance(value, Tensor) else value
