"""Two problems of a few lines, to test what is generic: one with pairs, one with a single slot.

Items wait to be placed into bins of room 2; each placement earns its item's number plus one, episodes end when
all are placed or after `steps`. With `single`, the items come one after the other in the only slot.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from allocenv.core.problem import Sizes

ITEMS, BINS, ROOM = 3, 2, 2


class State(NamedTuple):
    bin_of: np.ndarray  # [B, M]  or -1
    room: np.ndarray  # [B, N]
    steps_left: np.ndarray  # [B]


@dataclass(frozen=True)
class Toy:
    steps: int = 6
    single: bool = False
    lasting_slots: bool = True

    @property
    def sizes(self):
        return Sizes(1 if self.single else ITEMS, BINS, 1, 1, 1, 1, 1)

    @property
    def stop(self):
        return 0, 0

    def empty(self, n):
        return State(np.full((n, ITEMS), -1, np.int32), np.zeros((n, BINS), np.int32), np.zeros(n, np.int32))

    def draw(self, rng):
        """The room of the two bins."""
        return rng.integers(1, ROOM + 1, BINS)

    def fill(self, state, b, instance):
        state.bin_of[b], state.room[b], state.steps_left[b] = -1, instance, self.steps

    def item(self, state, b, slot):
        """The item of the slot, or -1."""
        if not self.single:
            return slot if 0 <= slot < ITEMS else -1
        waiting = np.flatnonzero(state.bin_of[b] < 0)
        return int(waiting[0]) if slot == 0 and len(waiting) else -1

    def legal(self, state, b, slot, placement):
        item = self.item(state, b, slot)
        return bool(item >= 0 and 0 <= placement < BINS and state.bin_of[b, item] < 0 and state.room[b, placement] > 0)

    def step(self, state, actions, out, lo, hi):
        for b in range(lo, hi):
            slot, placement = actions[b].tolist()
            state.steps_left[b] -= 1
            out.illegal[b] = not self.legal(state, b, slot, placement)
            out.rewards[b] = -1
            if not out.illegal[b]:
                item = self.item(state, b, slot)
                state.bin_of[b, item] = placement
                state.room[b, placement] -= 1
                out.rewards[b] = item + 1
            out.terminated[b] = (state.bin_of[b] >= 0).all() or state.room[b].sum() == 0
            out.truncated[b] = state.steps_left[b] <= 0 and not out.terminated[b]

    def observe(self, state, out, lo, hi):
        for b in range(lo, hi):
            out.bins[b, :, 0] = state.room[b] / ROOM
            out.context[b, 0] = state.steps_left[b] / self.steps
            for slot in range(self.sizes.slots):
                item = self.item(state, b, slot)
                out.slots[b, slot, 0] = (item + 1) / ITEMS
                out.slot_bin[b, slot] = state.bin_of[b, item] if item >= 0 else -1
                out.slot_mask[b, slot] = any(self.legal(state, b, slot, p) for p in range(BINS))

    def placement_mask(self, state, slots, out, lo, hi):
        for b in range(lo, hi):
            out[b] = [self.legal(state, b, int(slots[b]), p) for p in range(BINS)]

    def placement_features(self, state, slots, out, lo, hi):
        out[lo:hi, :, 0] = state.room[lo:hi] / ROOM

    def cost(self, state, b):
        return -float((state.bin_of[b] >= 0).sum())

    def rank(self, costs, rewards):
        return (float(costs[-1]),)

    def metrics(self, state, b):
        return {"placed": float((state.bin_of[b] >= 0).sum()), "illegal": 0.0}

    def render_text(self, state, b):
        return str(state.bin_of[b].tolist())

    def render_figure(self, state, b):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(1, 1), dpi=20)
        figure.subplots().bar(range(BINS), state.room[b])
        return figure
