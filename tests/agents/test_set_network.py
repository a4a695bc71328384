"""The set extractor: scores follow a permutation, weights fit every size."""

import numpy as np
import pytest
import torch

from allocenv.agents.set_network import FORBIDDEN, SetExtractor
from allocenv.core.problem import Sizes
from allocenv.wrappers.sequential import sequential_space
from allocenv.wrappers.spaces import observation_space

SIZES = Sizes(slots=5, bins=3, variants=2, slot_features=4, bin_features=3, context=2, placement_features=3)


def random_seen(space, sizes, rows=2):
    rng = np.random.default_rng(0)
    seen = {name: rng.standard_normal((rows, *part.shape)).astype(np.float32) for name, part in space.items()}
    seen["slot_bin"] = rng.integers(-1, sizes.bins, (rows, sizes.slots)).astype(np.float32)
    seen["slot_mask"] = np.ones((rows, sizes.slots), np.float32)
    if "stage" in seen:
        seen["stage"] = np.array([[0.0], [1.0]], np.float32)
        seen["chosen"] = np.array([[-1.0], [2.0]], np.float32)
    return {name: torch.from_numpy(array) for name, array in seen.items()}


@pytest.fixture
def pairs():
    torch.manual_seed(0)
    return SetExtractor(observation_space(SIZES), variants=2, width=8)


def test_slot_scores_follow_a_permutation_of_the_slots(pairs):
    seen = random_seen(observation_space(SIZES), SIZES)
    order = torch.tensor([3, 0, 4, 1, 2])
    permuted = seen | {name: seen[name][:, order] for name in ("slots", "slot_bin", "slot_mask")}
    before, after = pairs(seen), pairs(permuted)
    assert torch.allclose(after[:, :8], before[:, :8], atol=1e-6)  # the summary does not see the order
    assert torch.allclose(after[:, 8 : 8 + 5], before[:, 8 : 8 + 5][:, order], atol=1e-6)
    assert torch.allclose(after[:, 8 + 5 :], before[:, 8 + 5 :], atol=1e-6)


def test_placement_scores_follow_a_permutation_of_the_bins(pairs):
    seen = random_seen(observation_space(SIZES), SIZES)
    order = torch.tensor([2, 0, 1])
    place = torch.argsort(order)
    holder = seen["slot_bin"].long()
    moved = torch.where(holder >= 0, place[holder.clamp(min=0)], -1).float()
    before, after = pairs(seen), pairs(seen | {"bins": seen["bins"][:, order], "slot_bin": moved})
    scores = before[:, 8 + 5 :].unflatten(1, (3, 2))[:, order].flatten(1)
    assert torch.allclose(after[:, 8 + 5 :], scores, atol=1e-6)
    assert torch.allclose(after[:, : 8 + 5], before[:, : 8 + 5], atol=1e-6)


def test_rows_of_padding_change_nothing_and_weights_fit_a_larger_instance(pairs):
    seen = random_seen(observation_space(SIZES), SIZES)
    larger = SIZES._replace(slots=7, bins=4)
    wide = SetExtractor(observation_space(larger), variants=2, width=8)
    wide.load_state_dict(pairs.state_dict())
    padded = {
        "slots": torch.nn.functional.pad(seen["slots"], (0, 0, 0, 2)),
        "bins": torch.nn.functional.pad(seen["bins"], (0, 0, 0, 1)),
        "context": seen["context"],
        "slot_mask": torch.nn.functional.pad(seen["slot_mask"], (0, 2)),
        "slot_bin": torch.nn.functional.pad(seen["slot_bin"], (0, 2), value=-1),
    }
    small, large = pairs(seen), wide(padded)
    assert torch.allclose(large[:, : 8 + 5], small[:, : 8 + 5], atol=1e-6)
    assert (large[:, 8 + 5 : 8 + 7] == FORBIDDEN).all()
    assert torch.allclose(large[:, 8 + 7 : 8 + 7 + 6], small[:, 8 + 5 :], atol=1e-6)


def test_a_slot_without_a_legal_placement_is_not_chosen(pairs):
    seen = random_seen(observation_space(SIZES), SIZES)
    seen["slot_mask"][:, 1] = 0
    assert (pairs(seen)[:, 8 + 1] == FORBIDDEN).all()


def test_sequential_rows_are_scored_for_their_own_stage():
    torch.manual_seed(0)
    space = sequential_space(SIZES)
    extractor = SetExtractor(space, variants=2, width=8)
    seen = random_seen(space, SIZES)
    scores = extractor(seen)[:, 8:]
    assert scores.shape == (2, 6)  # max(5 slots, 3 * 2 placements)
    assert scores[0, 5] == 0  # the first row is at the slots: nothing beyond the fifth
    other = seen | {"chosen": torch.tensor([[4.0], [0.0]]), "placements": seen["placements"] + 1}
    again = extractor(other)[:, 8:]
    assert torch.equal(again[0], scores[0])
    assert not torch.allclose(again[1], scores[1])


def test_one_slot_leaves_only_placements_to_score():
    sizes = SIZES._replace(slots=1)
    extractor = SetExtractor(observation_space(sizes), variants=2, width=8)
    assert extractor(random_seen(observation_space(sizes), sizes)).shape == (2, 8 + 6)
