"""place, remove, move and fits against a plain-Python twin; check notices what they would never do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from resource_state_reference import Twin

from allocenv.core.resource_state import (
    NOBODY,
    UNPLACED,
    check,
    clear,
    empty_resource_state,
    fits,
    move,
    move_piece,
    place,
    remove,
    touch,
    touch_last,
)

RESOURCES, BINS, ITEMS = 2, 3, 4
TOUCHES = ("no", "front", "end")


def build(capacities, demands, shapes):
    """Row 1 of a state of two rows, so that a kernel that wrote to the wrong row would be seen."""
    s = empty_resource_state(2, ITEMS, BINS, RESOURCES, len(demands), 2)
    s.n_items[1], s.n_bins[1] = ITEMS, BINS
    s.capacity[1] = np.array(capacities).T
    s.n_variants[1] = [len(variants) for variants in demands]
    for k, variants in enumerate(demands):
        for v, amounts in enumerate(variants):
            s.demand[1, k, v] = amounts
    s.shape_of[1] = shapes
    return s


amounts = st.lists(st.integers(0, 5), min_size=RESOURCES, max_size=RESOURCES)


@settings(max_examples=60, deadline=None)
@given(
    capacities=st.lists(amounts, min_size=BINS, max_size=BINS),
    demands=st.lists(st.lists(amounts, min_size=1, max_size=2), min_size=2, max_size=2),
    shapes=st.lists(st.integers(0, 1), min_size=ITEMS, max_size=ITEMS),
    tries=st.lists(
        st.tuples(st.integers(0, ITEMS - 1), st.integers(0, BINS - 1), st.integers(0, 1), st.sampled_from(TOUCHES)),
        max_size=12,
    ),
)
def test_any_sequence_of_moves_goes_as_in_the_twin(capacities, demands, shapes, tries):
    state, twin = build(capacities, demands, shapes), Twin(capacities, demands, shapes)
    for item, bin_, variant, touching in tries:
        if touching == "front" and item in twin.held:
            twin.touch(item)
            touch(state, 1, item, 1)
        if touching == "end" and item in twin.held:
            twin.touch_last(item)
            touch_last(state, 1, item)
        allowed = twin.fits(item, bin_, variant)
        assert fits(state, 1, item, bin_, variant) == allowed
        if not allowed:
            if item in twin.held:
                twin.remove(item)
                remove(state, 1, item)
        elif item in twin.held:
            twin.place(item, bin_, variant)
            move(state, 1, item, bin_, variant)
        else:
            twin.place(item, bin_, variant)
            place(state, 1, item, bin_, variant)
        check(state, 1)
        assert state.used[1].T.tolist() == [twin.used(b) for b in range(BINS)]
        assert [linked(state, b) for b in range(BINS)] == [twin.latest_first(b) for b in range(BINS)]
        assert [int(b) for b in state.bin_of[1]] == [twin.held.get(i, (UNPLACED,))[0] for i in range(ITEMS)]
    assert not state.used[0].any()
    clear(state, 1)
    check(state, 1)
    assert (state.bin_of[1] == UNPLACED).all()


@settings(max_examples=60, deadline=None)
@given(
    tries=st.lists(
        st.tuples(st.integers(0, 7), st.integers(1, 8), st.integers(0, BINS - 1), st.booleans()), max_size=20
    )
)
def test_pieces_of_a_list_move_and_come_forward_as_their_items_would_one_by_one(tries):
    # eight items of 1 in three bins of 8
    state, twin = empty_resource_state(1, 8, BINS, 1, 1, 1), Twin([[8]] * BINS, [[[1]]], [0] * 8)
    state.n_items[0], state.n_bins[0], state.capacity[0], state.n_variants[0] = 8, BINS, 8, 1
    state.demand[0] = 1
    for item in range(8):
        place(state, 0, item, item % 2, 0)
        twin.place(item, item % 2, 0)
    for item, n, bin_, forward in tries:
        if forward:
            n = min(n, 8 - item)
            touch(state, 0, item, n)
            for i in range(item, item + n):
                twin.touch(i)
        else:
            line = twin.latest_first(twin.held[item][0])
            piece = line[line.index(item) :][:n]
            if twin.held[item][0] != bin_:
                move_piece(state, 0, piece[0], piece[-1], len(piece), bin_)
                for i in reversed(piece):
                    twin.place(i, bin_, 0)
        check(state, 0)
        assert [linked(state, b, row=0) for b in range(BINS)] == [twin.latest_first(b) for b in range(BINS)]


def linked(state, bin_, row=1):
    """The items of a bin in the order of its links."""
    items, item = [], state.first_held[row, bin_]
    while item != NOBODY:
        items.append(int(item))
        item = state.next_held[row, item]
    return items


def placed():
    """Items of 2 and 1 in bin 0 of capacity 4."""
    state = build([[4, 4], [4, 4], [1, 1]], [[[2, 0]], [[1, 0]]], [0, 1, 1, 1])
    place(state, 1, 0, 0, 0)
    place(state, 1, 1, 0, 0)
    return state


def test_an_item_touched_last_ends_its_list():
    state = placed()
    assert linked(state, 0) == [1, 0]
    touch_last(state, 1, 1)
    check(state, 1)
    assert linked(state, 0) == [0, 1]


def test_removing_an_item_frees_its_bin():
    state = placed()
    remove(state, 1, 0)
    assert state.used[1, 0, 0] == 1
    assert state.n_held[1, 0] == 1


def test_an_item_fits_where_it_is_though_the_bin_is_full():
    state = placed()
    place(state, 1, 2, 0, 0)  # 2 + 1 + 1 of 4
    assert fits(state, 1, 0, 0, 0)
    assert not fits(state, 1, 3, 0, 0)


@pytest.mark.parametrize(
    ("field", "index", "value"),
    [
        ("used", (1, 0, 0), 1),
        ("capacity", (1, 0, 0), 2),
        ("n_held", (1, 0), 1),
        ("first_held", (1, 0), 0),
        ("last_held", (1, 0), 1),
        ("bin_of", (1, 0), 1),
    ],
)
def test_check_refuses_a_state_written_by_others(field, index, value):
    state = placed()
    check(state, 1)
    getattr(state, field)[index] = value
    with pytest.raises(ValueError, match="Row 1"):
        check(state, 1)
