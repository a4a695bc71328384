"""What the learnt policy works in: arrays of a row each, made once, so that its kernels allocate nothing."""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray, IntArray, LongArray
from allocenv.problems.task.dynamics import Shape
from allocenv.problems.task.teams.features import N_FEATURES


class Desk(NamedTuple):
    """The notes of B rows."""

    planned: LongArray  # [B, M]  slot to join, or -1
    expected: IntArray  # [B]  steps left if nobody else has acted since; -1: plan anew
    seen: IntArray  # [B]  steps left when the round was planned
    free: BoolArray  # [B, M]  may still be planned in this round
    price: Array  # [B, M]  of each entity for the slot at hand
    best: BoolArray  # [B, M]  the best of the teams tried for the slot at hand
    way: Array  # [B, M]  travel of each entity to the slot at hand
    wish: Array  # [B, M]  sum of `gain` over open slots
    gain: Array  # [B, T, M]  what having the entity saves the slot's cheapest cover
    worth: Array  # [B, T, K]  what a unit of an ability saves it (dual prices)
    cover: Array  # [B, T]  cheapest cover by the whole fleet, now
    found: Array  # [B, T]  the same when it was last computed
    task: LongArray  # [B, T]  for this task
    need: Array  # [B, T]  of this need in all
    team: BoolArray  # [B, T, M]  cheapest team found from the free
    built: BoolArray  # [B, T]  it is up to date
    tried: BoolArray  # [B, T]  decided in this round
    score: Array  # [B, T]
    sums: LongArray  # [B, K]  what the team being built brings
    spare: LongArray  # [B, K]
    members: LongArray  # [B, M]  of the team being built, dearest first
    x: Array  # [B, N_FEATURES]


def empty_desk(n: int, shape: Shape) -> Desk:
    """Blank notes for n rows."""
    m, t, k = shape.entities, shape.slots, shape.abilities
    return Desk(
        planned=np.full((n, m), -1),
        expected=np.full(n, -1, np.int32),
        seen=np.zeros(n, np.int32),
        free=np.zeros((n, m), np.bool_),
        price=np.zeros((n, m)),
        best=np.zeros((n, m), np.bool_),
        way=np.zeros((n, m)),
        wish=np.zeros((n, m)),
        gain=np.zeros((n, t, m)),
        worth=np.zeros((n, t, k)),
        cover=np.zeros((n, t)),
        found=np.zeros((n, t)),
        task=np.full((n, t), -1),
        need=np.zeros((n, t)),
        team=np.zeros((n, t, m), np.bool_),
        built=np.zeros((n, t), np.bool_),
        tried=np.zeros((n, t), np.bool_),
        score=np.zeros((n, t)),
        sums=np.zeros((n, k), np.int64),
        spare=np.zeros((n, k), np.int64),
        members=np.zeros((n, m), np.int64),
        x=np.zeros((n, N_FEATURES)),
    )
