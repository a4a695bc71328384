"""The networks of both stages. Any number of entities and tasks fits; the number of abilities is fixed.

Letters: B rounds, M entities, T tasks, F columns of a row, D width.
"""

import torch
from torch import Tensor, nn

from allocenv.agents.two_stage.network import FORBIDDEN, mlp


class Attention(nn.Module):
    """Two heads, one for entities and one for tasks; the dot product of what they make of a pair is its score."""

    def __init__(self, columns: int, width: int, scale: float = 1.0) -> None:
        super().__init__()
        self.of_entity = mlp(columns, width, width)
        self.of_task = mlp(columns, width, width)
        self.scale = scale

    def forward(self, entities: Tensor, tasks: Tensor) -> Tensor:
        """Entities [B, M, F] and tasks [B, T, F]: scores [B, M, T]."""
        scores: Tensor = self.of_entity(entities) @ self.of_task(tasks).transpose(1, 2) * self.scale
        return scores


class Mixing(nn.Module):
    """One value of a whole pre-assignment from the value of each entity's choice (a hypernetwork).

    Self-attention over entities gives each of them weights. None is negative: the whole never falls when one
    choice gets better, so that each entity may improve its own (Rashid et al., "QMIX", 2018). ELU, not ReLU:
    a sum below zero keeps its slope.
    """

    def __init__(self, columns: int, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (mlp(columns, width, width) for _ in range(3))
        self.base = nn.Linear(width, width)
        self.out = nn.Linear(width, 1)
        self.width = width

    def forward(self, chosen: Tensor, entities: Tensor, acting: Tensor) -> Tensor:
        """Values of choices [B, M] of the entities [B, M, F] that act [B, M]: [B]."""
        scores = self.query(entities) @ self.key(entities).transpose(1, 2) / self.width**0.5
        attention = scores.masked_fill(~acting[:, None], FORBIDDEN).softmax(-1)
        seen = attention @ self.value(entities)  # [B, M, D]
        weighted = (seen.abs() * (chosen * acting)[..., None]).sum(1)  # [B, D]
        mean = (seen * acting[..., None]).sum(1) / acting.sum(1, keepdim=True).clamp_min(1)
        hidden = nn.functional.elu(weighted + self.base(mean))
        return (hidden * self.out.weight[0].abs()).sum(-1) + self.out.bias[0]


class PreassignNetwork(nn.Module):
    """Actors and critics of both stages, and the slow copy of stage two's critic that its targets come from."""

    def __init__(self, columns: int, width: int) -> None:
        super().__init__()
        gentle = width**-0.5
        self.assign = Attention(columns, width, gentle)
        self.assign_value = Attention(columns, width, gentle)
        self.mixing = Mixing(columns, width)
        self.select = Attention(columns, width, gentle)
        self.select_value = Attention(columns, width, gentle)
        self.select_target = Attention(columns, width, gentle)
        self.select_target.load_state_dict(self.select_value.state_dict())

    def assign_logits(self, entities: Tensor, tasks: Tensor, fits: Tensor) -> Tensor:
        """Stage one: which task each entity is a candidate of, under the mask: [B, M, T]."""
        logits: Tensor = self.assign(entities, tasks).masked_fill(~fits, FORBIDDEN)
        return logits

    def select_logits(self, entities: Tensor, task: Tensor, candidates: Tensor) -> Tensor:
        """Stage two: which of the candidates [B, M] joins the team of a task [B, F] next: [B, M]."""
        logits: Tensor = self.select(entities, task[:, None]).squeeze(-1)
        return logits.masked_fill(~candidates, FORBIDDEN)

    @torch.no_grad()
    def follow(self, share: float) -> None:
        """Let the slow copy follow by a share."""
        for slow, fast in zip(self.select_target.parameters(), self.select_value.parameters(), strict=True):
            slow.lerp_(fast, share)
