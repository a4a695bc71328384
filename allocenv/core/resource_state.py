"""Who holds what, and how much room is left: the state every allocation problem contains.

Axes: B instances, M items, N bins, R resources, K shapes (items of equal shape are interchangeable),
V variants (the ways in which a bin can hold a shape).
"""

from typing import Any, NamedTuple

import numpy as np

from allocenv.core.arrays import IntArray
from allocenv.core.kernel import inlined, kernel

UNPLACED = -1
NOBODY = -1


class ResourceState(NamedTuple):
    """The resource state of B instances, written in place and only by `place`, `remove`, `move`, `move_piece`,
    `touch` and `touch_last`.

    Rows may hold fewer than M items, N bins and K shapes: `n_items`, `n_bins` count the real ones.
    `first_held`, `next_held`, `prev_held`, `last_held` link the items of each bin, the one placed or touched
    last in front.
    """

    capacity: IntArray  # [B, R, N]     what each bin offers
    used: IntArray  # [B, R, N]     sum of the demands it holds
    demand: IntArray  # [B, K, V, R]  what a shape takes when held as a variant
    n_variants: IntArray  # [B, K]        variants 0..n-1 of the shape exist
    shape_of: IntArray  # [B, M]
    bin_of: IntArray  # [B, M]        or UNPLACED
    variant_of: IntArray  # [B, M]        or UNPLACED
    n_held: IntArray  # [B, N]        number of items in the bin
    first_held: IntArray  # [B, N]        the item placed or touched last, or NOBODY
    last_held: IntArray  # [B, N]        the item at the other end, or NOBODY
    next_held: IntArray  # [B, M]        the next item of the same bin, or NOBODY
    prev_held: IntArray  # [B, M]        the one before, or NOBODY
    n_items: IntArray  # [B]
    n_bins: IntArray  # [B]


def empty_resource_state(n: int, items: int, bins: int, resources: int, shapes: int, variants: int) -> ResourceState:
    """Arrays for `n` instances in which nothing is placed and nothing exists yet."""

    def zeros(*shape: int) -> IntArray:
        return np.zeros((n, *shape), np.int32)

    def nobody(*shape: int) -> IntArray:
        return np.full((n, *shape), NOBODY, np.int32)

    return ResourceState(
        capacity=zeros(resources, bins),
        used=zeros(resources, bins),
        demand=zeros(shapes, variants, resources),
        n_variants=zeros(shapes),
        shape_of=zeros(items),
        bin_of=nobody(items),
        variant_of=nobody(items),
        n_held=zeros(bins),
        first_held=nobody(bins),
        last_held=nobody(bins),
        next_held=nobody(items),
        prev_held=nobody(items),
        n_items=zeros(),
        n_bins=zeros(),
    )


@inlined
def has_room(s, b, shape, dest, variant):
    """Whether the bin has room for one more item of the shape, held as `variant`."""
    if variant >= s.n_variants[b, shape]:
        return False
    for r in range(s.capacity.shape[1]):
        need = s.demand[b, shape, variant, r]
        if need > 0 and need > s.capacity[b, r, dest] - s.used[b, r, dest]:
            return False
    return True


@inlined
def fits(s, b, item, dest, variant):
    """Whether the bin has room for the item, not counting what the item itself takes there now."""
    shape = s.shape_of[b, item]
    if s.bin_of[b, item] != dest:
        return has_room(s, b, shape, dest, variant)
    if variant >= s.n_variants[b, shape]:
        return False
    now = s.variant_of[b, item]
    for r in range(s.capacity.shape[1]):
        need = s.demand[b, shape, variant, r]
        if need > 0 and need > s.capacity[b, r, dest] - s.used[b, r, dest] + s.demand[b, shape, now, r]:
            return False
    return True


@inlined
def place(s, b, item, dest, variant):
    """Put an unplaced item into a bin. The caller has asked `fits`."""
    shape = s.shape_of[b, item]
    for r in range(s.capacity.shape[1]):
        s.used[b, r, dest] += s.demand[b, shape, variant, r]
    s.bin_of[b, item] = dest
    s.variant_of[b, item] = variant
    _link_piece(s, b, item, item, dest)
    s.n_held[b, dest] += 1


@inlined
def remove(s, b, item):
    """Take a placed item out of its bin."""
    dest = s.bin_of[b, item]
    shape = s.shape_of[b, item]
    variant = s.variant_of[b, item]
    for r in range(s.capacity.shape[1]):
        s.used[b, r, dest] -= s.demand[b, shape, variant, r]
    _unlink_piece(s, b, item, item, dest)
    s.bin_of[b, item] = UNPLACED
    s.variant_of[b, item] = UNPLACED
    s.next_held[b, item] = NOBODY
    s.prev_held[b, item] = NOBODY
    s.n_held[b, dest] -= 1


@inlined
def move(s, b, item, dest, variant):
    """Take the item out of its bin and put it into another (or into the same as another variant)."""
    remove(s, b, item)
    place(s, b, item, dest, variant)


@inlined
def move_piece(s, b, front, back, n, dest):
    """Move n items that stand in line in one bin, from `front` to `back`, to the front of another bin.

    They are of one shape and held as one variant, which they keep. The caller knows that they fit.
    """
    source, shape, variant = s.bin_of[b, front], s.shape_of[b, front], s.variant_of[b, front]
    for r in range(s.capacity.shape[1]):
        taken = n * s.demand[b, shape, variant, r]
        s.used[b, r, source] -= taken
        s.used[b, r, dest] += taken
    s.n_held[b, source] -= n
    s.n_held[b, dest] += n
    _unlink_piece(s, b, front, back, source)
    _link_piece(s, b, front, back, dest)
    item = front
    for _ in range(n):
        s.bin_of[b, item] = dest
        item = s.next_held[b, item]


@inlined
def touch(s, b, first, n):
    """Bring placed items first .. first + n - 1, one after another, to the front of their bins' lists.

    Those that stand in line already, as items do that were last touched together, go in one piece.
    """
    item = first
    while item < first + n:
        front = in_line(s, b, item, first + n)
        dest = s.bin_of[b, front]
        if s.first_held[b, dest] != front:
            _unlink_piece(s, b, front, item, dest)
            _link_piece(s, b, front, item, dest)
        item = front + 1


@inlined
def in_line(s, b, item, end):
    """The last one of the items from `item` to `end` - 1 in front of each of which, in its bin, its follower stands."""
    while item + 1 < end and s.next_held[b, item + 1] == item:
        item += 1
    return item


@inlined
def touch_last(s, b, item):
    """Bring a placed item to the end of its bin's list."""
    dest = s.bin_of[b, item]
    tail = s.last_held[b, dest]
    if tail != item:
        _unlink_piece(s, b, item, item, dest)
        s.next_held[b, tail] = item
        s.prev_held[b, item] = tail
        s.next_held[b, item] = NOBODY
        s.last_held[b, dest] = item


@inlined
def _link_piece(s, b, front, back, dest):
    """Put items linked to each other, from `front` to `back`, in front of a bin's list."""
    head = s.first_held[b, dest]
    s.next_held[b, back] = head
    s.prev_held[b, front] = NOBODY
    if head != NOBODY:
        s.prev_held[b, head] = back
    else:
        s.last_held[b, dest] = back
    s.first_held[b, dest] = front


@inlined
def _unlink_piece(s, b, front, back, dest):
    """Take items linked to each other, from `front` to `back`, out of a bin's list."""
    before, after = s.prev_held[b, front], s.next_held[b, back]
    if before == NOBODY:
        s.first_held[b, dest] = after
    else:
        s.next_held[b, before] = after
    if after != NOBODY:
        s.prev_held[b, after] = before
    else:
        s.last_held[b, dest] = before


@kernel
def clear(s, b):
    """Take every item out of row b."""
    for r in range(s.used.shape[1]):
        for n in range(s.used.shape[2]):
            s.used[b, r, n] = 0
    s.bin_of[b, :] = UNPLACED
    s.variant_of[b, :] = UNPLACED
    s.next_held[b, :] = NOBODY
    s.prev_held[b, :] = NOBODY
    s.first_held[b, :] = NOBODY
    s.last_held[b, :] = NOBODY
    s.n_held[b, :] = 0


def check(s: ResourceState, b: int) -> None:
    """Raise ValueError where row b breaks an invariant; for tests and after loading a snapshot.

    As `check_holding`, and no bin is used above its capacity.
    """
    check_holding(s, b)
    _expect(bool((s.used[b] <= s.capacity[b]).all()), b, "no bin is used above its capacity")


def check_holding(s: ResourceState, b: int) -> None:
    """Raise ValueError unless `used` is the sum of the demands placed and every link agrees with `bin_of`.

    What covering problems promise: there `used` may be above `capacity`.
    """
    used = np.zeros_like(s.used[b])
    for item in range(int(s.n_items[b])):
        dest, variant = s.bin_of[b, item], s.variant_of[b, item]
        if dest != UNPLACED:
            used[:, dest] += s.demand[b, s.shape_of[b, item], variant]
    _expect(np.array_equal(used, s.used[b]), b, "`used` is the sum of the demands placed")
    for dest in range(int(s.n_bins[b])):
        linked = _linked(s, b, dest)
        held = np.flatnonzero(s.bin_of[b, : s.n_items[b]] == dest)
        _expect(sorted(linked) == held.tolist(), b, f"the links of bin {dest} name the items it holds")
        _expect(len(linked) == s.n_held[b, dest], b, f"`n_held` counts the items of bin {dest}")
        last = linked[-1] if linked else NOBODY
        _expect(last == s.last_held[b, dest], b, f"`last_held` ends the list of bin {dest}")


def _linked(s: ResourceState, b: int, dest: int) -> list[int]:
    items: list[int] = []
    item = int(s.first_held[b, dest])
    while item != NOBODY and len(items) <= s.n_items[b]:
        items.append(item)
        item = int(s.next_held[b, item])
    return items


def _expect(holds: Any, b: int, what: str) -> None:
    if not holds:
        raise ValueError(f"Row {b} of the resource state is inconsistent: expected that {what}.")
