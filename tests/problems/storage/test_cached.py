"""Cache-style tiering keeps on the fastest device what the cache holds, and pays for every page it moves."""

import numpy as np
import pytest

from allocenv.core.resource_state import check
from allocenv.problems.storage.baselines.cached import STYLES, Cached
from allocenv.problems.storage.caches import count_misses, new_cache
from allocenv.problems.storage.devices import Device
from allocenv.problems.storage.policies import POLICIES
from allocenv.problems.storage.rules import System
from allocenv.problems.storage.simulation import Simulation
from allocenv.problems.storage.trace import PAGE_BYTES, Trace

FAST, SLOW = Device("fast", 10, 20, 1, 2), Device("slow", 100, 300, 5, 7)
every = pytest.mark.parametrize("name", STYLES)


def replayed(requests, share, policy, **options):
    first, pages, write = (np.array(column) for column in zip(*requests, strict=True))
    trace = Trace.of("hand-made", None, first * PAGE_BYTES, pages * PAGE_BYTES, write.astype(bool))
    run = Simulation(trace, System((FAST, SLOW), (share,), **options))
    run.run(policy)
    check(run.state.alloc, 0)
    return run


def drawn(seed, longest):
    rng = np.random.default_rng(seed)
    return [(int(rng.zipf(1.3) % 60), int(rng.integers(1, longest + 1)), int(rng.integers(2))) for _ in range(400)]


@every
def test_reads_of_single_pages_are_fast_where_the_cache_hits(name):
    requests = [(first, 1, 0) for first, *_ in drawn(1, 1)]
    run = replayed(requests, 0.2, Cached(name, 3), accounting="free")
    cache = new_cache(name, run.trace.n_pages, int(run.rules.capacity[0]), 3)
    misses = count_misses(cache, run.trace.page_accesses)
    assert run.state.fast_pages[0] == 400 - misses
    assert run.state.latency[0] == misses * 100 + (400 - misses) * 10


@every
def test_every_style_is_sound_on_requests_of_many_pages(name):
    run = replayed(drawn(2, 9), 0.1, POLICIES[name].make(None, None, 0))
    assert run.state.alloc.used[0, 0, 0] == run.rules.capacity[0]
    again = replayed(drawn(2, 9), 0.1, POLICIES[name].make(None, None, 0))
    assert (run.latency == again.latency).all()


def test_the_first_in_leaves_first_and_is_paid_for():
    # 2 places of 4; 0-1 enter together: 105 + 22; 0 is hit: 10; 2 comes for 0: 100 + 20, and 10 + 300 for 0
    run = replayed([(0, 2, 0), (0, 1, 0), (2, 1, 0), (3, 1, 1)], 0.5, Cached("fifo"))
    # 3 is written above, 20, while 1 goes down: 10 + 300
    assert run.latency.tolist() == [127, 10, 430, 330]


def test_a_page_that_passes_through_within_one_request_does_not_move():
    # one place, pages 0-2 read together: only the last one stays, 110 + 20
    run = replayed([(0, 3, 0)], 0.34, Cached("fifo"))
    assert run.latency.tolist() == [130]
    assert run.state.promoted[0] == 1


def test_a_cache_refuses_a_run_that_has_begun():
    run = Simulation(Trace.of("x", None, [0, 0], [1, 1], [0, 0]), System((FAST, SLOW), (1.0,)))
    run.run(Cached("fifo"), 1)
    with pytest.raises(ValueError, match="first request"):
        run.run(Cached("fifo"))
