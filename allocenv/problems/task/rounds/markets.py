"""Entities as bidders: a sequential auction, and the Hungarian method applied again and again.

In both a task pays for a share of what it lacks with the same share of its value; teams that end up short of
their need dissolve, one task at a time (the one that lacks most gives up first), and the others bid again.
"""

from collections.abc import Callable

import numpy as np
from scipy.optimize import linear_sum_assignment

from allocenv.core.arrays import Array, BoolArray, LongArray
from allocenv.problems.task.rounds.situation import FAR, IDLE, Situation
from allocenv.problems.task.rounds.teams import tidied

Winners = list[tuple[int, int]]  # entity and task


def auction(x: Situation, rng: np.random.Generator) -> LongArray:
    """Sequential single-item auctions: the highest of all bids wins (Koenig et al., "The power of sequential
    single-item auctions for agent coordination", AAAI 2006; coalitions as in Vig & Adams, 2006): [F]."""
    return _traded(x, _highest)


def hungarian(x: Situation, rng: np.random.Generator) -> LongArray:
    """One entity for each task at a time, all chosen together by the Hungarian method (Kuhn, 1955), until covered:
    [F]."""
    return _traded(x, _matched)


def _traded(x: Situation, choose: Callable[[Array], Winners]) -> LongArray:
    given_up = np.zeros(len(x.slots), np.bool_)
    while True:
        assignment, lacks = _bid(x, given_up, choose)
        short = (lacks > 0).any(axis=1) & ~given_up
        if not short.any():
            tidy: LongArray = tidied(x.cost, x.ability, x.need, x.value, assignment)
            return tidy
        share = (lacks / np.maximum(x.need, 1)).max(axis=1)
        given_up[np.argmax(np.where(short, share, -1.0))] = True


def _bid(x: Situation, given_up: BoolArray, choose: Callable[[Array], Winners]) -> tuple[LongArray, LongArray]:
    """Trade until no bid is left: the assignment [F], and what tasks still lack [O, K]."""
    assignment: LongArray = np.full(len(x.entities), IDLE, np.int64)
    lacks = x.need.astype(np.int64)
    wanted = np.maximum((x.need > 0).sum(axis=1), 1)
    while True:
        brought = np.minimum(x.ability[:, None], lacks[None]) / np.maximum(x.need, 1)[None]  # [F, O, K]
        share = brought.sum(axis=2) / wanted
        bid = np.where((share > 0) & (x.cost < FAR), x.value[None] * share / np.maximum(x.cost, 1e-9), -np.inf)
        bid[assignment != IDLE] = -np.inf
        bid[:, given_up] = -np.inf
        winners = [(i, o) for i, o in choose(bid) if bid[i, o] > -np.inf]
        if not winners:
            return assignment, lacks
        for i, o in winners:
            assignment[i] = o
            lacks[o] = np.maximum(lacks[o] - x.ability[i], 0)


def _highest(bid: Array) -> Winners:
    i, o = np.unravel_index(np.argmax(bid), bid.shape)
    return [(int(i), int(o))]


def _matched(bid: Array) -> Winners:
    worth = np.where(np.isfinite(bid), bid, -1e9)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))
