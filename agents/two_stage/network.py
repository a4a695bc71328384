"""The two-stage network: an encoder that follows who holds what, and a head for each stage.

The idea is VMR2L's (EuroSys 2025, section 4): attention inside the tree of a bin and its slots, a view of the
whole, first a slot, then a placement under its mask. Here the cost is linear: a slot attends to its own bin,
a bin to its own slots, and a few learnt queries to all bins. Weights depend on no number of slots or bins.

What depends on one tree only (`Trees`) is kept apart from the view of the whole, which enters late and
cheaply: after an action only the trees it touched have to be encoded again.

Letters: B instances, S slots, N bins, L placements (N * V), D width, Q queries.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from allocenv.core.problem import Sizes

CLIP = 8.0  # of attention scores before exp: no maximum has to be found first
FORBIDDEN = -1e9  # logit of what the mask forbids


class Widths(NamedTuple):
    """What of a problem the weights depend on."""

    slot_features: int
    bin_features: int
    context: int
    placement_features: int

    @classmethod
    def of(cls, sizes: Sizes) -> "Widths":
        return cls(sizes.slot_features, sizes.bin_features, sizes.context, sizes.placement_features)


class Trees(NamedTuple):
    """All that depends on a bin and its own slots only. Slot fields come first."""

    slots: Tensor  # [B, S, D]
    slot_hidden: Tensor  # [B, S, D]  before the view of the whole is added
    bins: Tensor  # [B, N, D]
    bin_key_value: Tensor  # [B, N, 2 D]
    place_bin: Tensor  # [B, N, D]  before slot, placement and whole are added


N_SLOT_FIELDS = 2


class TwoStageNetwork(nn.Module):
    """Encoder and heads. `width` is D, `n_queries` is Q."""

    def __init__(self, widths: Widths, width: int = 64, n_queries: int = 8) -> None:
        super().__init__()
        self.widths, self.width, self.n_queries = widths, width, n_queries
        self.embed_slot = mlp(widths.slot_features, width, width)
        self.embed_bin = mlp(widths.bin_features, width, width)
        self.slot_key_value = nn.Linear(width, 2 * width)
        self.bin_query = nn.Linear(width, width)
        self.update_bin = mlp(2 * width, width, width)
        self.update_slot = mlp(2 * width, width, width)
        self.queries = nn.Parameter(torch.randn(n_queries, width) / width**0.5)
        self.bin_key_value = nn.Linear(width, 2 * width)
        self.view = mlp((n_queries + 1) * width + widths.context, width, width)
        self.slot_hidden = nn.Linear(width, width)
        self.slot_view = nn.Linear(width, width)
        self.slot_out = nn.Linear(width, 1)
        self.place_features = nn.Linear(widths.placement_features, width)
        self.place_bin = nn.Linear(width, width)
        self.place_slot = nn.Linear(width, width)
        self.place_view = nn.Linear(width, width)
        self.place_mix = nn.Linear(width, width)
        self.place_out = nn.Linear(width, 1)
        self.value_out = mlp(width, width, 1)

    def encode_trees(self, slots: Tensor, bins: Tensor, slot_bin: Tensor) -> Trees:
        """Encode slots [B, S, F] and bins [B, N, G] along who holds what: slot_bin [B, S], -1 for nobody."""
        n, n_bins = bins.shape[:2]
        slot, bin_ = self.embed_slot(slots), self.embed_bin(bins)
        rows = n_bins * torch.arange(n, device=bins.device)[:, None]
        owner = (slot_bin.long() + rows).where(slot_bin >= 0, 0).reshape(-1)  # [B * S]; the unheld weigh nothing
        held = (slot_bin >= 0)[..., None].to(slot.dtype)  # [B, S, 1]
        key, value = self.slot_key_value(slot).chunk(2, -1)
        query = self.bin_query(bin_).reshape(n * n_bins, -1).index_select(0, owner).reshape(key.shape)
        score = (query * key).sum(-1, keepdim=True) / self.width**0.5
        weight = score.clamp(-CLIP, CLIP).exp() * held
        both = torch.cat([value * weight, weight], -1).reshape(-1, self.width + 1)
        summed = both.new_zeros(n * n_bins, self.width + 1).index_add(0, owner, both)
        message = summed[:, :-1] / summed[:, -1:].clamp_min(1e-6)
        bin_ = bin_ + self.update_bin(torch.cat([bin_, message.reshape(bin_.shape)], -1))
        above = bin_.reshape(n * n_bins, -1).index_select(0, owner).reshape(slot.shape) * held
        slot = slot + self.update_slot(torch.cat([slot, above], -1))
        return Trees(slot, self.slot_hidden(slot), bin_, self.bin_key_value(bin_), self.place_bin(bin_))

    def encode_whole(self, trees: Trees, real: Tensor, context: Tensor) -> Tensor:
        """A view of the bins that are real [B, N] and of the context [B, C]: [B, D]."""
        key, value = trees.bin_key_value.chunk(2, -1)
        score = torch.einsum("qd,bnd->bqn", self.queries, key) / self.width**0.5
        weight = score.masked_fill(~real[:, None], FORBIDDEN).softmax(-1)
        views = torch.einsum("bqn,bnd->bqd", weight, value).flatten(1)
        mean = (trees.bins * real[..., None]).sum(1) / real.sum(1, keepdim=True).clamp_min(1)
        whole: Tensor = self.view(torch.cat([views, mean, context], -1))
        return whole

    def slot_logits(self, trees: Trees, whole: Tensor, mask: Tensor) -> Tensor:
        """Stage one, under mask [B, S]: [B, S]."""
        hidden = (trees.slot_hidden + self.slot_view(whole)[:, None]).relu()
        logits: Tensor = self.slot_out(hidden).squeeze(-1)
        return logits.masked_fill(~mask, FORBIDDEN)

    def placement_logits(self, trees: Trees, whole: Tensor, chosen: Tensor, features: Tensor, mask: Tensor) -> Tensor:
        """Stage two for the chosen slots [B]; placements described by [B, L, P], under mask [B, L]: [B, L]."""
        rows = torch.arange(len(chosen), device=chosen.device)
        about_slot = self.place_slot(trees.slots[rows, chosen]) + self.place_view(whole)  # [B, D]
        about_bin = trees.place_bin + about_slot[:, None]  # [B, N, D]
        about = self.place_features(features).unflatten(1, (about_bin.shape[1], -1)) + about_bin[:, :, None]
        hidden = self.place_mix(about.flatten(1, 2).relu()).relu()
        logits: Tensor = self.place_out(hidden).squeeze(-1)
        return logits.masked_fill(~mask, FORBIDDEN)

    def value(self, whole: Tensor) -> Tensor:
        """What return is still to come: [B]."""
        value: Tensor = self.value_out(whole).squeeze(-1)
        return value


def real_bins(bins: Tensor) -> Tensor:
    """Which bins [B, N, G] are no padding: those with a feature that is not zero: [B, N]."""
    return (bins != 0).any(-1)


def mlp(wide: int, hidden: int, out: int) -> nn.Sequential:
    """Two layers."""
    return nn.Sequential(nn.Linear(wide, hidden), nn.ReLU(), nn.Linear(hidden, out))
