"""The network under SB3's algorithms: weights shared by all slots and by all bins, none tied to how many there are.

Instead of a flattened MLP: one small MLP per slot, one per bin, pooled (mean and maximum) with the context into
a summary; each slot and each placement is then scored from its own embedding and the summary. Scores follow
a permutation of slots or bins; the summary feeds the value.
"""

from typing import Any

import torch
from gymnasium import spaces
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor, nn

FORBIDDEN = -1e8  # the logit of a slot without a legal placement


class SetExtractor(BaseFeaturesExtractor):
    """Features of a Dict observation: a summary [B, width], then one score for each logit of the action.

    Understands the observations of pairs (`wrappers/spaces.py`) and of sequential choices
    (`wrappers/sequential.py`), told apart by the key `stage`.
    """

    def __init__(self, observation_space: spaces.Dict, variants: int, width: int = 64) -> None:
        shapes = {name: space.shape or () for name, space in observation_space.items()}
        (n_slots, slot_features), (n_bins, bin_features) = shapes["slots"], shapes["bins"]
        self.sequential = "stage" in shapes
        n_placements = n_bins * variants
        if self.sequential:
            n_scores = max(n_slots, n_placements)
        else:
            n_scores = n_placements + (n_slots if n_slots > 1 else 0)
        super().__init__(observation_space, width + n_scores)
        self.width, self.n_scores = width, n_scores
        self.of_slot = _mlp(slot_features, width)
        self.of_bin = _mlp(bin_features, width)
        self.of_all = _mlp(4 * width + shapes["context"][0], width)
        self.slot_score = Score(width, parts=3)
        self.placement_score = Score(width, parts=3)
        self.of_variant = nn.Embedding(variants, width)
        self.of_placement = nn.Linear(shapes["placements"][1], width) if self.sequential else None

    def forward(self, seen: dict[str, Tensor]) -> Tensor:
        slots, bins = self.of_slot(seen["slots"]), self.of_bin(seen["bins"])  # [B, S, W], [B, N, W]
        pooled = [*_pool(slots, seen["slots"]), *_pool(bins, seen["bins"]), seen["context"]]
        summary = self.of_all(torch.cat(pooled, dim=1))  # [B, W]
        if self.sequential:
            scores = self._of_this_stage(seen, slots, bins, summary)
        else:
            placements = self._score_placements(bins, summary, torch.zeros_like(summary), None)
            several = slots.shape[1] > 1
            scores = (
                torch.cat([self._score_slots(seen, slots, bins, summary), placements], 1) if several else placements
            )
        return torch.cat([summary, scores], dim=1)

    def _of_this_stage(self, seen: dict[str, Tensor], slots: Tensor, bins: Tensor, summary: Tensor) -> Tensor:
        """Scores of the slots in rows at the first stage, of the placements in rows at the second: [B, max]."""
        chosen = seen["chosen"].long().clamp(min=0)  # [B, 1]
        item = _pick(slots, chosen)[:, 0]  # [B, W]
        by_slot = self._score_slots(seen, slots, bins, summary)
        by_placement = self._score_placements(bins, summary, item, seen["placements"])
        return torch.where(seen["stage"] < 0.5, self._widened(by_slot), self._widened(by_placement))

    def _widened(self, scores: Tensor) -> Tensor:
        return nn.functional.pad(scores, (0, self.n_scores - scores.shape[1]))

    def _score_slots(self, seen: dict[str, Tensor], slots: Tensor, bins: Tensor, summary: Tensor) -> Tensor:
        holder = seen["slot_bin"].long()  # [B, S]  -1: none
        held_by = _pick(bins, holder.clamp(min=0)) * (holder >= 0).unsqueeze(2)
        scores: Tensor = self.slot_score(slots, held_by, summary.unsqueeze(1))  # [B, S]
        return scores.masked_fill(seen["slot_mask"] < 0.5, FORBIDDEN)

    def _score_placements(self, bins: Tensor, summary: Tensor, item: Tensor, described: Tensor | None) -> Tensor:
        places = bins.unsqueeze(2) + self.of_variant.weight  # [B, N, V, W]
        places = places.flatten(1, 2)
        if self.of_placement is not None and described is not None:
            places = places + self.of_placement(described)
        scores: Tensor = self.placement_score(places, item.unsqueeze(1), summary.unsqueeze(1))
        return scores  # [B, N * V]


class Score(nn.Module):
    """One number from several embeddings, each through its own first layer."""

    def __init__(self, width: int, parts: int) -> None:
        super().__init__()
        self.first = nn.ModuleList(nn.Linear(width, width) for _ in range(parts))
        self.last = nn.Linear(width, 1)

    def forward(self, *parts: Tensor) -> Tensor:
        hidden = sum((layer(part) for layer, part in zip(self.first, parts, strict=True)), torch.zeros(()))
        scores: Tensor = self.last(torch.relu(hidden))
        return scores.squeeze(-1)


class _Tail(nn.Module):
    """The scores behind the summary."""

    def __init__(self, start: int) -> None:
        super().__init__()
        self.start = start

    def forward(self, features: Tensor) -> Tensor:
        return features[:, self.start :]


class _Value(nn.Module):
    """The value, from the summary."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.net = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = self.net(features[:, : self.width])
        return out


def heads(policy: Any, lr_schedule: Any) -> None:
    """Make the extractor's scores the logits, let its summary give the value."""
    extractor = policy.features_extractor
    for score in (extractor.slot_score, extractor.placement_score):
        policy.init_weights(score.last, gain=0.01)  # a first policy close to uniform, as SB3's own
    policy.action_net = _Tail(extractor.width)
    policy.value_net = _Value(extractor.width)
    policy.optimizer = policy.optimizer_class(policy.parameters(), lr=lr_schedule(1), **policy.optimizer_kwargs)


def extractor_arguments(variants: int, width: int) -> dict[str, Any]:
    """What SB3 takes to use the extractor."""
    return {
        "features_extractor_class": SetExtractor,
        "features_extractor_kwargs": {"variants": variants, "width": width},
    }


class SetPolicy(ActorCriticPolicy):
    """For SB3's PPO and A2C; `policy_kwargs` are `extractor_arguments` and `net_arch=[]`."""

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        heads(self, lr_schedule)


class MaskableSetPolicy(MaskableActorCriticPolicy):  # type: ignore[misc]
    """The same for sb3-contrib's MaskablePPO."""

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        heads(self, lr_schedule)


def _mlp(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())


def _pool(embedded: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and maximum over the rows that exist; rows of padding are all zero."""
    exists = (features != 0).any(dim=2, keepdim=True)  # [B, S, 1]
    total = (embedded * exists).sum(dim=1)
    mean = total / exists.sum(dim=1).clamp(min=1)
    largest = (embedded * exists).amax(dim=1)  # embeddings are not negative
    return mean, largest


def _pick(rows: Tensor, index: Tensor) -> Tensor:
    """The rows [B, K, W] that the index [B, K] names."""
    return rows.gather(1, index.unsqueeze(2).expand(-1, -1, rows.shape[2]))
