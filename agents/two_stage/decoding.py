"""Acting with a two-stage network: greedily or by sampling, encoding again only what an action changed."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from allocenv.agents.two_stage.network import N_SLOT_FIELDS, Trees, TwoStageNetwork, real_bins
from allocenv.core.arrays import BoolArray, IntArray
from allocenv.core.batch import Batch
from allocenv.core.problem import Observation


@dataclass
class Memory:
    """The last observation of a batch and the trees encoded from it."""

    seen: Observation
    trees: Trees
    real: Tensor  # [B, N]


@dataclass
class TwoStagePolicy:
    """A Policy around a two-stage network.

    Without a generator every choice is the likeliest. With one, row 0 stays so and the other rows sample, each
    stage among its `slot_choices` and `placement_choices` likeliest (risk-seeking decoding: VMR2L, EuroSys
    2025, section 4.4, cuts improbable actions by quantiles; simulation is exact, so the best row is kept).
    Slots of `barred` [B, S] are not chosen. Without `recall` the slot of the stop is for stopping only
    (`placements_of`). A stop that is not likelier than `stop_above` is chosen only where nothing else is legal:
    what goes on is spread over many slots, and would lose to it one by one.
    """

    network: TwoStageNetwork
    rng: torch.Generator | None = None
    slot_choices: int = 12
    placement_choices: int = 8
    temperature: float = 1.0
    barred: BoolArray | None = None
    recall: bool = True
    stop_above: float = 0.0
    _memory: Memory | None = field(default=None, repr=False)

    @torch.inference_mode()
    def __call__(self, batch: Batch) -> IntArray:
        seen = batch.observe()
        memory = self._memory = self._encoded(seen)
        whole = self.network.encode_whole(memory.trees, memory.real, torch.from_numpy(seen.context))
        mask = seen.slot_mask if self.barred is None else seen.slot_mask & ~self.barred
        scores = self.network.slot_logits(memory.trees, whole, torch.from_numpy(mask))
        if self.stop_above > 0:
            _hold_back(scores, batch.problem.stop[0], self.stop_above)
        slots = self._pick(scores, self.slot_choices)
        chosen = slots.numpy().astype(np.int32)
        logits = self.network.placement_logits(
            memory.trees,
            whole,
            slots,
            torch.from_numpy(batch.placement_features(chosen)),
            torch.from_numpy(placements_of(batch, chosen, self.recall)),
        )
        placements = self._pick(logits, self.placement_choices)
        return np.stack([chosen, placements.numpy().astype(np.int32)], axis=1)

    def forget(self) -> None:
        """Drop what is kept between calls."""
        self._memory = None

    def _pick(self, logits: Tensor, choices: int) -> Tensor:
        """The likeliest [B], or a sample among the likeliest in all rows but the first."""
        if self.rng is None:
            return logits.argmax(-1)
        top, index = logits.topk(min(choices, logits.shape[-1]), dim=-1)
        odds = (top / self.temperature).softmax(-1)  # zero for what is forbidden
        drawn = torch.multinomial(odds, 1, generator=self.rng)
        drawn[0] = 0
        return index.gather(-1, drawn).squeeze(-1)

    def _encoded(self, seen: Observation) -> Memory:
        last = self._memory
        if last is None or last.seen.slots.shape != seen.slots.shape or last.seen.bins.shape != seen.bins.shape:
            return self._afresh(seen)
        touched, loose = _changes(last.seen, seen)
        if touched.sum() * 4 > touched.size or (loose.any() and not touched.any()):
            return self._afresh(seen)
        if touched.any():
            self._renew(last, seen, touched, loose)
        return Memory(seen, last.trees, last.real)

    def _afresh(self, seen: Observation) -> Memory:
        bins = torch.from_numpy(seen.bins)
        trees = self.network.encode_trees(torch.from_numpy(seen.slots), bins, torch.from_numpy(seen.slot_bin))
        return Memory(seen, trees, real_bins(bins))

    def _renew(self, memory: Memory, seen: Observation, touched: BoolArray, loose: BoolArray) -> None:
        """Encode the touched bins [B, N], their slots and the loose ones [B, S] again, as one instance."""
        rows, bins = np.nonzero(touched)
        number = np.full(touched.shape, -1, np.int32)
        number[rows, bins] = np.arange(len(rows), dtype=np.int32)
        owner = np.where(seen.slot_bin >= 0, np.take_along_axis(number, np.maximum(seen.slot_bin, 0), 1), -1)
        slot_rows, slots = np.nonzero((owner >= 0) | loose)
        new_bins = torch.from_numpy(seen.bins[rows, bins])[None]
        fresh = self.network.encode_trees(
            torch.from_numpy(seen.slots[slot_rows, slots])[None],
            new_bins,
            torch.from_numpy(owner[slot_rows, slots])[None],
        )
        for i, (kept, new) in enumerate(zip(memory.trees, fresh, strict=True)):
            where = (slot_rows, slots) if i < N_SLOT_FIELDS else (rows, bins)
            kept[where] = new[0]
        memory.real[rows, bins] = real_bins(new_bins)[0]


def placements_of(batch: Batch, slots: IntArray, recall: bool) -> BoolArray:
    """Placements that an agent may choose for the slots [B]: the legal ones, [B, L].

    Without `recall` it takes nothing back: where the slot is that of the stop, only the stop is left. An agent that
    has begun something and takes it back is where it was, and could do so for ever.
    """
    mask = batch.placement_mask(slots)
    if not recall:
        slot, placement = batch.problem.stop
        stopping = slots == slot
        mask[stopping] = False
        mask[stopping, placement] = True
    return mask


def _hold_back(scores: Tensor, stop: int, above: float) -> None:
    """Bar the stop in the rows of scores [B, S] where it is not likelier than `above` and another slot is legal."""
    odds = scores.softmax(-1)[:, stop]
    others = torch.isfinite(scores).sum(-1) > torch.isfinite(scores[:, stop]).int()
    scores[(odds <= above) & others, stop] = -torch.inf


def _changes(last: Observation, now: Observation) -> tuple[BoolArray, BoolArray]:
    """What to encode again after two observations.

    Bins whose tree differs (their own features, a slot's, or who they hold) [B, N], and slots that differ and
    that no bin holds now [B, S].
    """
    touched: BoolArray = (last.bins != now.bins).any(-1)
    changed: BoolArray = (last.slots != now.slots).any(-1) | (last.slot_bin != now.slot_bin)
    rows, slots = np.nonzero(changed)
    for holder in (last.slot_bin[rows, slots], now.slot_bin[rows, slots]):
        touched[rows[holder >= 0], holder[holder >= 0]] = True
    return touched, changed & (now.slot_bin < 0)
