"""The two-stage network under Stable-Baselines3's PPO: policy class, rollout buffer, credit for macro-moves.

The second stage's mask and features depend on the slot chosen in the first. The policy asks the batch for
them when it acts, the buffer stores them beside the observation, and PPO's update finds them there.
"""

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import DictRolloutBuffer
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor

from allocenv.agents.two_stage.decoding import placements_of
from allocenv.agents.two_stage.network import Trees, TwoStageNetwork, real_bins
from allocenv.core.arrays import Array, BoolArray, FloatArray
from allocenv.core.batch import Batch

MASK, FEATURES = "placement_mask", "placement_features"


class StageTwo:
    """What stage two saw in the last step of every row; written by the policy, stored by the buffer."""

    def __init__(self, batch: Batch, recall: bool = True) -> None:
        self.batch, self.recall = batch, recall
        sizes = batch.problem.sizes
        self.mask: BoolArray = np.zeros((batch.n, sizes.placements), np.bool_)
        self.features: FloatArray = np.zeros((batch.n, sizes.placements, sizes.placement_features), np.float32)

    def look(self, slots: Tensor) -> tuple[Tensor, Tensor]:
        """Features [B, L, P] and mask [B, L] of the placements of the chosen slots [B]."""
        chosen = slots.cpu().numpy().astype(np.int32)
        self.mask = placements_of(self.batch, chosen, self.recall)
        self.features = self.batch.placement_features(chosen)
        return torch.from_numpy(self.features).to(slots.device), torch.from_numpy(self.mask).to(slots.device)

    def spaces(self) -> dict[str, spaces.Space[Any]]:
        """The spaces of what is stored."""
        shape = self.features.shape[1:]
        return {
            MASK: spaces.MultiBinary(shape[0]),
            FEATURES: spaces.Box(-np.inf, np.inf, shape, np.float32),
        }


class TwoStageActorCritic(ActorCriticPolicy):
    """One log-probability over both stages: log p(slot) + log p(placement | slot)."""

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        stage_two: StageTwo,
        network: TwoStageNetwork,
        **kwargs: Any,
    ) -> None:
        self._given = (stage_two, network)
        super().__init__(observation_space, action_space, lr_schedule, net_arch=[], **kwargs)

    def _build(self, lr_schedule: Schedule) -> None:
        self.stage_two, self.network = self._given
        self.features_extractor = torch.nn.Identity()  # type: ignore[assignment]
        optimizer: Any = self.optimizer_class
        self.optimizer = optimizer(self.network.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)

    def forward(self, obs: PyTorchObs, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Choose both stages: actions [B, 2], values [B], log-probabilities [B]."""
        trees, whole, slot_logits = self._stage_one(obs)
        slots = _choose(slot_logits, deterministic)
        features, mask = self.stage_two.look(slots)
        logits = self.network.placement_logits(trees, whole, slots, features, mask)
        placements = _choose(logits, deterministic)
        log_prob = _log_prob(slot_logits, slots) + _log_prob(logits, placements)
        return torch.stack([slots, placements], -1), self.network.value(whole), log_prob

    def evaluate_actions(self, obs: PyTorchObs, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Values, log-probabilities and entropies [B] of actions taken; stage two as it was seen then."""
        assert isinstance(obs, dict)
        trees, whole, slot_logits = self._stage_one(obs)
        slots, placements = actions.long().unbind(-1)
        logits = self.network.placement_logits(trees, whole, slots, obs[FEATURES], obs[MASK].bool())
        log_prob = _log_prob(slot_logits, slots) + _log_prob(logits, placements)
        return self.network.value(whole), log_prob, _entropy(slot_logits) + _entropy(logits)

    def predict_values(self, obs: PyTorchObs) -> Tensor:
        """What return is still to come: [B]."""
        return self.network.value(self._stage_one(obs)[1])

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> Tensor:
        return self.forward(observation, deterministic)[0]

    def _stage_one(self, obs: PyTorchObs) -> tuple[Trees, Tensor, Tensor]:
        assert isinstance(obs, dict)
        trees = self.network.encode_trees(obs["slots"], obs["bins"], obs["slot_bin"])
        whole = self.network.encode_whole(trees, real_bins(obs["bins"]), obs["context"])
        return trees, whole, self.network.slot_logits(trees, whole, obs["slot_mask"].bool())


class TwoStageBuffer(DictRolloutBuffer):
    """Stores what stage two saw, and shares the reward of a macro-move among its parts.

    Several slots often have to leave one bin before anything is gained. With `macro_credit` a positive reward
    is shared equally with the unrewarded steps of the same episode that took from the same bin since its last
    reward (facts/vm_rescheduling.md 7.3); the sum over an episode stays the same.
    """

    def __init__(self, *args: Any, stage_two: StageTwo, macro_credit: bool = True, **kwargs: Any) -> None:
        self.stage_two, self.macro_credit = stage_two, macro_credit
        size, space, *others = args
        extended = spaces.Dict({**space.spaces, **stage_two.spaces()})
        super().__init__(size, extended, *others, **kwargs)

    def add(self, obs: dict[str, Array], *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        super().add({**obs, MASK: self.stage_two.mask, FEATURES: self.stage_two.features}, *args, **kwargs)

    def compute_returns_and_advantage(self, last_values: Tensor, dones: Array) -> None:
        if self.macro_credit:
            slots = self.actions[:, :, 0].astype(np.int64)
            sources = np.take_along_axis(self.observations["slot_bin"], slots[..., None], axis=2)[..., 0]
            share_credit(self.rewards, sources, self.episode_starts.astype(bool))
        super().compute_returns_and_advantage(last_values, dones)


def share_credit(rewards: Array, sources: Array, starts: Array) -> None:
    """Share each positive reward with the unrewarded steps from the same source before it, in place.

    Args:
        rewards: [T, B]
        sources: [T, B] the bin that held the chosen slot's item, or -1
        starts: [T, B] whether the step is the first of an episode
    """
    for b in range(rewards.shape[1]):
        waiting: dict[int, list[int]] = {}
        for t in range(len(rewards)):
            if starts[t, b]:
                waiting = {}
            source = int(sources[t, b])
            if source < 0 or rewards[t, b] < 0:
                continue
            steps = waiting.setdefault(source, [])
            steps.append(t)
            if rewards[t, b] > 0:
                rewards[steps, b] = rewards[t, b] / len(steps)
                waiting[source] = []


def _choose(logits: Tensor, deterministic: bool) -> Tensor:
    if deterministic:
        return logits.argmax(-1)
    return torch.multinomial(logits.softmax(-1), 1).squeeze(-1)


def _log_prob(logits: Tensor, chosen: Tensor) -> Tensor:
    return logits.log_softmax(-1).gather(-1, chosen[:, None]).squeeze(-1)


def _entropy(logits: Tensor) -> Tensor:
    log_p = logits.log_softmax(-1)
    return -(log_p.exp() * log_p).sum(-1)
