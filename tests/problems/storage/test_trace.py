"""Pages are numbered without gaps, neighbours stay neighbours, volumes stay apart."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocenv.problems.storage.trace import Trace

requests = st.lists(
    st.tuples(st.integers(0, 60_000), st.integers(1, 20_000), st.booleans(), st.integers(0, 2)), min_size=1, max_size=30
)


def trace_of(rows, volumes=True):
    offset, size, write, volume = (np.array(column) for column in zip(*rows, strict=True))
    return Trace.of("t", None, offset, size, write, volume if volumes else None)


@given(requests)
def test_numbers_follow_the_sorted_distinct_pages(rows):
    """The obvious way: collect every (volume, page) that is touched, sort, and number."""
    touched = [{(v, p) for p in range(o // 4096, (o + s - 1) // 4096 + 1)} for o, s, _, v in rows]
    number = {page: i for i, page in enumerate(sorted(set().union(*touched)))}
    r = trace_of(rows).requests
    for t, pages in enumerate(touched):
        assert sorted(number[p] for p in pages) == list(range(r.first[t], r.first[t] + r.pages[t]))
    ordered = sorted(number)
    for i, ((v, p), (w, q)) in enumerate(itertools.pairwise(ordered)):
        assert (r.address[i + 1] == r.address[i] + 1) == (v == w and q == p + 1)


def test_every_page_of_every_request_is_an_access():
    # 0..4095 is page 0; 4095..8192 touches pages 0, 1 and 2
    trace = trace_of([(0, 4096, False, 0), (4095, 4098, True, 0)])
    assert trace.page_accesses.tolist() == [0, 0, 1, 2]
    assert trace.requests.write.tolist() == [False, True]


def test_the_halves_share_their_pages():
    one, two = trace_of([(4096 * i, 1, False, 0) for i in range(5)]).halves()
    assert (len(one), len(two), one.n_pages, two.n_pages) == (2, 3, 5, 5)
    assert two.requests.first.tolist() == [2, 3, 4]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"offset": [-1, 0]}, "offsets of 0 and above"),
        ({"size": [1, 0]}, "at least 1 byte"),
        ({"offset": [2**63 - 1, 0]}, "below 2"),
        ({"time": [2, 1]}, "never fall"),
        ({"offset": [], "size": [], "write": [], "time": None}, "at least one request"),
    ],
)
def test_what_is_no_trace_is_refused(changes, message):
    given_ = {"time": [0, 1], "offset": [0, 0], "size": [1, 1], "write": [0, 0]} | changes
    with pytest.raises(ValueError, match=message):
        Trace.of("bad", **{k: None if v is None else np.array(v, np.int64) for k, v in given_.items()})
