"""Traces made of traces keep their requests, their pages apart, and their clock."""

import numpy as np
import pytest

from allocenv.problems.storage.splicing import alone, spliced
from allocenv.problems.storage.trace import PAGE_BYTES, Trace


def trace_of(name, pages, time=None, page_bytes=PAGE_BYTES):
    pages = np.array(pages)
    return Trace.of(name, time, pages * page_bytes, np.full(len(pages), 1), pages % 2 == 0, page_bytes=page_bytes)


def test_a_part_alone_forgets_the_pages_of_the_rest():
    part = alone(trace_of("t", [5, 9, 7, 9]), 1, 4)
    assert part.n_pages == 2  # 9 and 7
    assert part.requests.first.tolist() == [1, 0, 1]
    assert part.name == "t"


def test_parts_of_one_name_share_pages_and_others_do_not():
    a, b = trace_of("a", [3, 4]), trace_of("b", [3])
    assert spliced("x", [a, b]).n_pages == 3
    assert spliced("x", [a, a]).n_pages == 2
    assert spliced("x", [a, b, a]).requests.first.tolist() == [0, 1, 2, 0, 1]
    assert spliced("x", [a, b]).requests.write.tolist() == [False, True, False]


def test_the_clock_goes_on_where_all_parts_have_one():
    a, b = trace_of("a", [1, 2], [10, 40]), trace_of("b", [1, 2], [7, 8])
    assert spliced("x", [a, b]).requests.time.tolist() == [0, 30, 30, 31]
    assert not spliced("x", [a, trace_of("c", [1])]).timed


def test_parts_must_have_one_page_size():
    with pytest.raises(ValueError, match="one page size"):
        spliced("x", [trace_of("a", [1]), trace_of("b", [1], page_bytes=512)])
    with pytest.raises(ValueError, match="one page size"):
        spliced("x", [])
