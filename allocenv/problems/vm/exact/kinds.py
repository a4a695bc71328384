"""Which VMs are interchangeable: counting them together is what makes exact solving quick.

VMs of one kind have the same shape, permitted machines, cost (where moves have a price) and anti-affinity
groups. Swapping two of them changes nothing, so an assignment is a count per kind, machine and variant, and
the moves it needs are the VMs that leave a (machine, variant) on balance.
"""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray, IntArray, LongArray
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.objective import Rules

FIXED = -1  # the kind of a VM that may not move


class Kinds(NamedTuple):
    """The Q kinds of a cluster's VMs."""

    kind_of: IntArray  # [M]  or FIXED
    shape: IntArray  # [Q]
    enters: BoolArray  # [Q, N]  machines that are active and permitted
    cost: Array  # [Q]  cost of moving one, in the unit of `VM.cost`; 0 where moves have no price
    groups: BoolArray  # [Q, G]
    before: LongArray  # [Q, N, V]  how many are where now


def kinds_of(cluster: Cluster, rules: Rules) -> Kinds:
    """Count interchangeable VMs together."""
    moves = cluster.movable & cluster.active[cluster.bin_of]
    groups = np.zeros((cluster.n_vms, len(cluster.group_scope)), np.bool_)
    vm, i = np.nonzero(cluster.group_of >= 0)
    groups[vm, cluster.group_of[vm, i]] = True
    cost = cluster.cost.astype(np.float64) if rules.move_price else np.zeros(cluster.n_vms)
    key = np.column_stack([cluster.shape_of, cluster.class_of, cost, groups])
    unique, inverse = np.unique(key[moves], axis=0, return_inverse=True)
    kind_of = np.full(cluster.n_vms, FIXED, np.int32)
    kind_of[moves] = inverse.ravel()
    before = np.zeros((len(unique), cluster.n_pms, cluster.demand.shape[1]), np.int64)
    np.add.at(before, (kind_of[moves], cluster.bin_of[moves], cluster.variant_of[moves]), 1)
    enters = cluster.allowed[unique[:, 1].astype(np.int64)] & cluster.active
    return Kinds(kind_of, unique[:, 0].astype(np.int32), enters, unique[:, 2], unique[:, 3:] > 0, before)


def counts_of(cluster: Cluster, kinds: Kinds, bin_of: IntArray, variant_of: IntArray) -> LongArray:
    """How many of each kind are where, were the VMs placed like this: [Q, N, V]."""
    counts = np.zeros_like(kinds.before)
    moves = kinds.kind_of != FIXED
    np.add.at(counts, (kinds.kind_of[moves], bin_of[moves], variant_of[moves]), 1)
    return counts


def assignment(cluster: Cluster, kinds: Kinds, after: LongArray) -> tuple[IntArray, IntArray]:
    """An assignment with the counts [Q, N, V] that moves as few VMs as they allow."""
    bin_of, variant_of = cluster.bin_of.copy(), cluster.variant_of.copy()
    for kind in np.flatnonzero((after != kinds.before).any((1, 2))):
        members = np.flatnonzero(kinds.kind_of == kind)
        place = bin_of[members] * after.shape[2] + variant_of[members]
        order = np.argsort(place, kind="stable")
        members, place = members[order], place[order]
        rank = np.arange(len(place)) - np.searchsorted(place, place)
        leaving = members[rank >= after[kind].ravel()[place]]
        arrivals = np.maximum(after[kind] - kinds.before[kind], 0).ravel()
        target = np.repeat(np.arange(arrivals.size), arrivals)
        bin_of[leaving], variant_of[leaving] = target // after.shape[2], target % after.shape[2]
    return bin_of, variant_of


def moves_between(before: LongArray, after: LongArray) -> LongArray:
    """How many of each kind have to move: [Q]."""
    moves: LongArray = np.maximum(before - after, 0).sum((1, 2))
    return moves
