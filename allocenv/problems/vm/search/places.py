"""Which places have room for a VM? Places sorted by what is free, so that one is drawn in constant time.

A place is one way in which a machine can hold a VM, `(pm << bits) + variant`. Places for VMs of as many nodes form
a class. The free amount that decides is the scarcest resource's, the least of the place's cells.
"""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import LongArray
from allocenv.core.kernel import kernel
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.search.compact import ACTIVE, Layout

BUCKETS = 64


class Places(NamedTuple):
    """Places of each class, ascending by bucket. `put` is the only writer."""

    class_of: LongArray  # [S]  class of the shape's places
    need: LongArray  # [S]  bucket of what the shape takes of the deciding resource
    rows: LongArray  # [classes, V, cells]  resource rows that decide, or -1
    n_variants: LongArray  # [classes]
    bits: LongArray  # [classes]
    shift: LongArray  # [classes]  bucket = free amount >> shift
    order: LongArray  # [classes, places]
    rank: LongArray  # [classes, places]  where in `order` the place is, or -1: on an inactive machine
    bucket: LongArray  # [classes, places]
    start: LongArray  # [classes, BUCKETS + 1]  where in `order` each bucket begins; the last: how many there are


def places_of(cluster: Cluster, layout: Layout) -> Places:
    """The places of the layout."""
    classes = np.unique(cluster.shape_nodes) if len(cluster.shape_nodes) else np.zeros(1, np.int64)
    class_of = np.searchsorted(classes, cluster.shape_nodes).astype(np.int64)
    n_variants = np.array([len(cluster.variants[nodes]) for nodes in classes], np.int64)
    rows = np.full((len(classes), int(n_variants.max()), max(1, int(classes.max()))), -1, np.int64)
    shift = np.zeros(len(classes), np.int64)
    need = np.zeros(len(class_of), np.int64)
    for i, nodes in enumerate(classes):
        row, stride = _deciding(cluster, int(nodes))
        if row < 0:
            continue
        for v, cells in enumerate(cluster.variants[nodes]):
            mine = [row + k * stride for k in cells] or [row]
            rows[i, v, : len(mine)] = mine
        largest = layout.ceiling[rows[i][rows[i] >= 0]].max()  # cells may be unequal
        shift[i] = max(0, int(largest).bit_length() - 6)
        shapes = np.flatnonzero(class_of == i)
        need[shapes] = layout.demand[shapes, :, row].max(axis=1) >> shift[i]
    bits = np.array([int(n - 1).bit_length() for n in n_variants], np.int64)
    size = layout.room.shape[0] << int(bits.max())
    places = Places(
        class_of=class_of,
        need=need,
        rows=rows,
        n_variants=n_variants,
        bits=bits,
        shift=shift,
        order=np.zeros((len(classes), size), np.int64),
        rank=np.full((len(classes), size), -1, np.int64),
        bucket=np.zeros((len(classes), size), np.int64),
        start=np.zeros((len(classes), BUCKETS + 1), np.int64),
    )
    _sort(places, layout)
    return places


def _deciding(cluster: Cluster, nodes: int) -> tuple[int, int]:
    """Resource row (on cell 0) and rows from cell to cell of the scarcest resource; row -1: there is none."""
    c, cells = len(cluster.cell_resources), cluster.n_cells * len(cluster.cell_resources)
    offered = np.maximum(cluster.capacity[:, cluster.active].sum(axis=1, dtype=np.int64), 1)
    share = cluster.used[:, cluster.active].sum(axis=1) / offered
    if nodes > 0 and c > 0:
        return int(share[:cells].reshape(-1, c).sum(axis=0).argmax()), c
    if len(share) > cells:
        return cells + int(share[cells:].argmax()), 0
    return -1, 0


@kernel
def _sort(p, x):
    """Fill `order`, `rank`, `bucket` and `start` from scratch."""
    for i in range(p.n_variants.size):
        for pm in range(x.pms.shape[0]):
            if x.pms[pm, ACTIVE]:
                for variant in range(p.n_variants[i]):
                    place = (pm << p.bits[i]) + variant
                    p.bucket[i, place] = _bucket_of(p, x.room, i, pm, variant)
                    p.start[i, p.bucket[i, place] + 1] += 1
        for bucket in range(BUCKETS):
            p.start[i, bucket + 1] += p.start[i, bucket]
        for pm in range(x.pms.shape[0]):
            if x.pms[pm, ACTIVE]:
                for variant in range(p.n_variants[i]):
                    place = (pm << p.bits[i]) + variant
                    p.rank[i, place] = p.start[i, p.bucket[i, place]]
                    p.order[i, p.rank[i, place]] = place
                    p.start[i, p.bucket[i, place]] += 1
        for bucket in range(BUCKETS, 0, -1):
            p.start[i, bucket] = p.start[i, bucket - 1]
        p.start[i, 0] = 0


@kernel
def _bucket_of(p, room, i, pm, variant):
    """The bucket in which class i's place belongs now."""
    if p.rows[i, variant, 0] < 0:
        return 0
    least = room[pm, p.rows[i, variant, 0]]
    for k in range(1, p.rows.shape[2]):
        if p.rows[i, variant, k] >= 0:
            least = min(least, room[pm, p.rows[i, variant, k]])
    return min(least >> p.shift[i], BUCKETS - 1)


@kernel
def put(p, room, pm):
    """Sort the machine's places in again after its free amounts have changed."""
    for i in range(p.n_variants.size):
        for variant in range(p.n_variants[i]):
            place = (pm << p.bits[i]) + variant
            new = _bucket_of(p, room, i, pm, variant)
            while p.bucket[i, place] < new:  # swap with the last of its bucket, whose end moves down
                p.bucket[i, place] += 1
                p.start[i, p.bucket[i, place]] -= 1
                _swap(p, i, p.rank[i, place], p.start[i, p.bucket[i, place]])
            while p.bucket[i, place] > new:  # swap with the first of its bucket, whose start moves up
                _swap(p, i, p.rank[i, place], p.start[i, p.bucket[i, place]])
                p.start[i, p.bucket[i, place]] += 1
                p.bucket[i, place] -= 1


@kernel
def _swap(p, i, a, b):
    first, second = p.order[i, a], p.order[i, b]
    p.order[i, a], p.order[i, b] = second, first
    p.rank[i, first], p.rank[i, second] = b, a
