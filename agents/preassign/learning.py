"""One update of each stage from its replay: discrete soft actor-critic (Christodoulou, arXiv 1910.07207).

Against the published code: targets are detached and come from the slow copy, the entropy is that of each choice
(a sum of products), stage two learns from a replay, rows come in natural units.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from allocenv.agents.preassign.network import PreassignNetwork

MOST_GRADIENT = 10.0  # norm of a stage's gradient


@dataclass
class Learner:
    """The network with an optimiser a stage."""

    network: PreassignNetwork
    learning_rate: float
    entropy: float  # weight of the entropy, in units of value
    tau: float  # by how much the slow copy follows

    def __post_init__(self) -> None:
        x = self.network
        stages = ([x.assign, x.assign_value, x.mixing], [x.select, x.select_value])
        self.optimizers = [torch.optim.Adam(nn.ModuleList(stage).parameters(), self.learning_rate) for stage in stages]

    def assign(self, rows: dict[str, Tensor]) -> dict[str, float]:
        """Stage one: rounds with the pre-assignment `choice` and what the round earned, `net`."""
        x, fits = self.network, rows["fits"]
        acting, chosen = fits.any(-1), rows["choice"].clamp_min(0)[..., None]
        values = x.assign_value(rows["entities"], rows["tasks"])  # [B, M, T]
        whole = x.mixing(values.gather(-1, chosen).squeeze(-1), rows["entities"], acting)
        critic = nn.functional.mse_loss(whole, rows["net"])
        logits = x.assign_logits(rows["entities"], rows["tasks"], fits)
        log_p = logits.log_softmax(-1)
        each = (log_p.exp() * (self.entropy * log_p - values.detach())).masked_fill(~fits, 0.0).sum(-1)
        actor = (each * acting).sum() / acting.sum().clamp_min(1)
        self._step(0, critic + actor)
        return {"assign_critic": critic.item(), "assign_actor": actor.item()}

    def select(self, rows: dict[str, Tensor]) -> dict[str, float]:
        """Stage two: single draws."""
        x, entities = self.network, rows["entities"]
        with torch.no_grad():
            log_p = x.select_logits(entities, rows["next_task"], rows["next_candidates"]).log_softmax(-1)
            later = x.select_target(entities, rows["next_task"][:, None]).squeeze(-1) - self.entropy * log_p
            ahead = (log_p.exp() * later).masked_fill(~rows["next_candidates"], 0.0).sum(-1)
            target = rows["reward"] + ahead.where(~rows["over"], 0.0)
        values = x.select_value(entities, rows["task"][:, None]).squeeze(-1)  # [B, M]
        critic = nn.functional.mse_loss(values.gather(-1, rows["chosen"][:, None]).squeeze(-1), target)
        log_p = x.select_logits(entities, rows["task"], rows["candidates"]).log_softmax(-1)
        each = (log_p.exp() * (self.entropy * log_p - values.detach())).masked_fill(~rows["candidates"], 0.0)
        actor = each.sum(-1).mean()
        self._step(1, critic + actor)
        x.follow(self.tau)
        return {"select_critic": critic.item(), "select_actor": actor.item()}

    def _step(self, stage: int, loss: Tensor) -> None:
        optimizer = self.optimizers[stage]
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], MOST_GRADIENT)
        optimizer.step()
