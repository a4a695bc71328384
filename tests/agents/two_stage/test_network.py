"""The two-stage network: no weight is tied to how many slots or bins there are, nor to their order."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn.functional import pad

from allocenv.agents.two_stage.network import FORBIDDEN, TwoStageNetwork, Widths, real_bins

VARIANTS = 2


class Seen(NamedTuple):
    """What the network is given."""

    slots: Tensor  # [B, S, 4]
    bins: Tensor  # [B, N, 3]
    slot_bin: Tensor  # [B, S]
    context: Tensor  # [B, 2]
    slot_mask: Tensor  # [B, S]
    chosen: Tensor  # [B]
    features: Tensor  # [B, N * V, 3]
    placement_mask: Tensor  # [B, N * V]


def random_seen(n_slots=7, n_bins=4, rows=3):
    random = torch.Generator().manual_seed(1)
    return Seen(
        slots=torch.randn(rows, n_slots, 4, generator=random),
        bins=torch.randn(rows, n_bins, 3, generator=random),
        slot_bin=torch.randint(-1, n_bins, (rows, n_slots), generator=random, dtype=torch.int32),
        context=torch.randn(rows, 2, generator=random),
        slot_mask=torch.rand(rows, n_slots, generator=random) < 0.8,
        chosen=torch.randint(0, n_slots, (rows,), generator=random),
        features=torch.randn(rows, n_bins * VARIANTS, 3, generator=random),
        placement_mask=torch.rand(rows, n_bins * VARIANTS, generator=random) < 0.8,
    )


def judged(network, seen):
    """Logits of the slots [B, S], of the placements [B, N, V], and the value [B]."""
    trees = network.encode_trees(seen.slots, seen.bins, seen.slot_bin)
    whole = network.encode_whole(trees, real_bins(seen.bins), seen.context)
    placements = network.placement_logits(trees, whole, seen.chosen, seen.features, seen.placement_mask)
    return (
        network.slot_logits(trees, whole, seen.slot_mask),
        placements.unflatten(1, (-1, VARIANTS)),
        network.value(whole),
    )


@pytest.fixture
def network():
    torch.manual_seed(0)
    return TwoStageNetwork(Widths(4, 3, 2, 3), width=8, n_queries=2)


def same(a, b):
    return torch.allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("n_slots", "n_bins"), [(1, 1), (2, 9), (40, 3)])
def test_the_same_weights_judge_any_number_of_slots_and_bins(network, n_slots, n_bins):
    slots, placements, value = judged(network, random_seen(n_slots, n_bins))
    assert slots.shape == (3, n_slots)
    assert placements.shape == (3, n_bins, VARIANTS)
    assert value.shape == (3,)
    assert all(part.isfinite().all() for part in (slots, placements, value))


def test_padding_changes_nothing_for_what_is_real(network):
    seen = random_seen()
    padded = seen._replace(
        slots=pad(seen.slots, (0, 0, 0, 5)),
        bins=pad(seen.bins, (0, 0, 0, 2)),
        slot_bin=pad(seen.slot_bin, (0, 5), value=-1),
        slot_mask=pad(seen.slot_mask, (0, 5)),
        features=pad(seen.features, (0, 0, 0, 2 * VARIANTS)),
        placement_mask=pad(seen.placement_mask, (0, 2 * VARIANTS)),
    )
    slots, placements, value = judged(network, seen)
    wide_slots, wide_placements, wide_value = judged(network, padded)
    assert same(wide_slots[:, :7], slots)
    assert same(wide_placements[:, :4], placements)
    assert same(wide_value, value)
    assert (wide_slots[:, 7:] == FORBIDDEN).all()
    assert (wide_placements[:, 4:] == FORBIDDEN).all()


def test_logits_follow_a_permutation_of_the_slots(network):
    seen, order = random_seen(), torch.tensor([3, 0, 6, 4, 1, 5, 2])
    permuted = seen._replace(
        slots=seen.slots[:, order],
        slot_bin=seen.slot_bin[:, order],
        slot_mask=seen.slot_mask[:, order],
        chosen=torch.argsort(order)[seen.chosen],
    )
    slots, placements, value = judged(network, seen)
    moved_slots, same_placements, same_value = judged(network, permuted)
    assert same(moved_slots, slots[:, order])
    assert same(same_placements, placements)
    assert same(same_value, value)


def test_logits_follow_a_permutation_of_the_bins(network):
    seen, order = random_seen(), torch.tensor([2, 0, 3, 1])
    holder = seen.slot_bin.long()
    permuted = seen._replace(
        bins=seen.bins[:, order],
        slot_bin=torch.where(holder >= 0, torch.argsort(order)[holder.clamp(min=0)], -1),
        features=seen.features.unflatten(1, (4, VARIANTS))[:, order].flatten(1, 2),
        placement_mask=seen.placement_mask.unflatten(1, (4, VARIANTS))[:, order].flatten(1, 2),
    )
    slots, placements, value = judged(network, seen)
    same_slots, moved_placements, same_value = judged(network, permuted)
    assert same(same_slots, slots)
    assert same(moved_placements, placements[:, order])
    assert same(same_value, value)


def test_rows_do_not_see_each_other(network):
    seen = random_seen()
    alone = Seen(*(part[1:2] for part in seen))
    for together, single in zip(judged(network, seen), judged(network, alone), strict=True):
        assert same(together[1:2], single)


def test_a_tree_depends_on_its_own_bin_and_slots_only(network):
    seen = random_seen()._replace(slot_bin=torch.tensor([[0, 0, 1, 1, 2, 3, -1]] * 3))
    slots, bins = seen.slots.clone(), seen.bins.clone()
    slots[:, 2:4] += 1
    bins[:, 1] += 1
    before = network.encode_trees(seen.slots, seen.bins, seen.slot_bin)
    after = network.encode_trees(slots, bins, seen.slot_bin)
    others, elsewhere = [0, 1, 4, 5, 6], [0, 2, 3]
    assert torch.equal(before.slots[:, others], after.slots[:, others])
    assert torch.equal(before.bins[:, elsewhere], after.bins[:, elsewhere])
    assert not torch.allclose(before.bins[:, 1], after.bins[:, 1])


def test_who_holds_a_slot_matters(network):
    seen = random_seen()
    moved = seen._replace(slot_bin=(seen.slot_bin + 1) % 4)
    assert not torch.allclose(judged(network, seen)[2], judged(network, moved)[2])
