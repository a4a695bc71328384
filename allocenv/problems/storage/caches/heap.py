"""A binary heap of pages over arrays, the largest key on top, in which every page knows its slot."""

from allocenv.core.kernel import inlined


@inlined
def sift_up(heap, slot_of, key, slot, page):
    """Put a page into `heap` at `slot` or above it, where its `key` [M] belongs; `slot_of` [M] follows."""
    while slot > 0:
        parent = (slot - 1) // 2
        above = heap[parent]
        if key[above] >= key[page]:
            break
        heap[slot] = above
        slot_of[above] = slot
        slot = parent
    heap[slot] = page
    slot_of[page] = slot


@inlined
def sift_down(heap, slot_of, key, size, slot, page):
    """Put a page into the heap of `size` pages at `slot` or below it."""
    while 2 * slot + 1 < size:
        child = 2 * slot + 1
        if child + 1 < size and key[heap[child + 1]] > key[heap[child]]:
            child += 1
        below = heap[child]
        if key[below] <= key[page]:
            break
        heap[slot] = below
        slot_of[below] = slot
        slot = child
    heap[slot] = page
    slot_of[page] = slot
