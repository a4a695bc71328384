"""Do the cache kernels do, access by access, what the papers' policies do?"""

import cache_reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real_data import real_data
from storage_cache_speed import w106_accesses

from allocenv.core.arrays import IntArray
from allocenv.problems.storage.caches import (
    ADMITTED,
    CACHES,
    HIT,
    NEVER,
    Cache,
    access,
    access_knowing,
    contains,
    count_misses,
    new_cache,
    next_uses,
)

ONLINE = [name for name in CACHES if name != "belady"]
N_PAGES = 14

# libCacheSim, 10 % of the pages of w106: facts/hybrid_storage.md, section 6
LIBCACHESIM_RATIOS = {
    "fifo": "0.0978",
    "lru": "0.0823",
    "clock": "0.0838",
    "sieve": "0.0836",
    "lfu": "0.1287",
    "arc": "0.0793",
    "s3fifo": "0.0783",
    "2q": "0.0781",
}

pages = st.lists(st.integers(0, N_PAGES - 1), max_size=120)
repeating = st.tuples(st.lists(st.integers(0, N_PAGES - 1), min_size=1, max_size=20), st.integers(1, 8)).map(
    lambda pair: pair[0] * pair[1]
)
sequences = pages | repeating
capacities = st.integers(1, 8)


def held_pages(cache: Cache) -> set[int]:
    return {page for page in range(len(cache.where)) if contains(cache, page)}


def outcomes(cache: Cache, accesses: list[int]) -> list[int]:
    return [int(access(cache, page)) for page in accesses]


@pytest.mark.parametrize("name", ONLINE)
@settings(max_examples=120, deadline=None)
@given(accesses=sequences, capacity=capacities)
def test_every_outcome_equals_the_slow_twins(name: str, accesses: list[int], capacity: int) -> None:
    cache = new_cache(name, N_PAGES, capacity)
    slow = cache_reference.twin(name, capacity, N_PAGES)
    for page in accesses:
        assert int(access(cache, page)) == slow.access(page)
        assert held_pages(cache) == slow.held
        assert len(slow.held) <= capacity


@pytest.mark.parametrize("name", ONLINE)
def test_a_long_run_over_more_pages_equals_the_slow_twin(name: str) -> None:
    accesses = np.minimum(np.random.default_rng(3).zipf(1.2, 6000) - 1, 299)
    slow = cache_reference.twin(name, 40, 300)
    assert outcomes(new_cache(name, 300, 40), accesses) == [slow.access(int(page)) for page in accesses]


@pytest.mark.parametrize("name", ONLINE)
@settings(max_examples=20, deadline=None)
@given(accesses=sequences, capacity=capacities)
def test_counted_misses_are_the_accesses_that_do_not_hit(name: str, accesses: list[int], capacity: int) -> None:
    expected = sum(outcome != HIT for outcome in outcomes(new_cache(name, N_PAGES, capacity), accesses))
    assert count_misses(new_cache(name, N_PAGES, capacity), np.array(accesses, np.int32)) == expected


@settings(max_examples=150, deadline=None)
@given(accesses=st.lists(st.integers(0, 5), max_size=24), capacity=st.integers(1, 4))
def test_belady_misses_as_few_as_any_policy_can(accesses: list[int], capacity: int) -> None:
    misses = count_misses(new_cache("belady", 6, capacity), np.array(accesses, np.int32))
    assert misses == cache_reference.fewest_misses(accesses, capacity)


@settings(max_examples=100, deadline=None)
@given(accesses=sequences, capacity=capacities)
def test_belady_keeps_the_pages_used_next(accesses: list[int], capacity: int) -> None:
    cache = new_cache("belady", N_PAGES, capacity)
    held: dict[int, int] = {}  # page: next use
    for k, page in enumerate(accesses):
        use = cache_reference.next_use_of(accesses, k, NEVER)
        outcome = int(access_knowing(cache, page, use))
        assert outcome == HIT if page in held else outcome != HIT
        held[page] = use
        if outcome >= 0:
            assert outcome == page if use == NEVER else held[outcome] == max(held.values())
            del held[outcome]
        assert held_pages(cache) == set(held)
        assert len(held) <= capacity


@given(accesses=sequences)
@settings(max_examples=50, deadline=None)
def test_next_uses_look_forward(accesses: list[int]) -> None:
    expected = [cache_reference.next_use_of(accesses, k, NEVER) for k in range(len(accesses))]
    assert next_uses(np.array(accesses, np.int32), N_PAGES).tolist() == expected


def test_belady_refuses_what_it_cannot_know() -> None:
    cache = new_cache("belady", 3, 2)
    assert outcomes(cache, [1, 1]) == [1, 1]
    assert held_pages(cache) == set()


def test_lru_drops_the_page_unused_for_longest() -> None:
    # 0 1 fill; 0 is used again; 2 drops 1
    assert outcomes(new_cache("lru", 3, 2), [0, 1, 0, 2]) == [ADMITTED, ADMITTED, HIT, 1]


def test_sieve_leaves_survivors_in_place() -> None:
    # 0 is spared and 1 leaves, the hand rests on 2; then 2 and 3 leave, though 0 is older than both
    assert outcomes(new_cache("sieve", 6, 3), [0, 1, 2, 0, 3, 4, 5])[-3:] == [1, 2, 3]


@pytest.mark.parametrize("name", CACHES)
def test_a_cache_of_all_pages_misses_each_once(name: str) -> None:
    accesses = np.tile(np.arange(N_PAGES, dtype=np.int32), 5)
    assert count_misses(new_cache(name, N_PAGES, 10 * N_PAGES), accesses) == N_PAGES


@pytest.mark.parametrize("name", CACHES)
def test_no_access_is_no_miss(name: str) -> None:
    assert count_misses(new_cache(name, 1, 1), np.zeros(0, np.int32)) == 0


@pytest.mark.parametrize(
    ("name", "n_pages", "capacity", "expected"),
    [("mru", 4, 2, "wtinylfu"), ("lru", 0, 2, "n_pages"), ("lru", 4, 0, "capacity >= 1")],
)
def test_a_cache_that_cannot_be_is_refused(name: str, n_pages: int, capacity: int, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        new_cache(name, n_pages, capacity)


def test_pages_without_a_number_are_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.\.3, got 2\.\.4"):
        count_misses(new_cache("lru", 4, 2), np.array([2, 4], np.int32))


@pytest.fixture(scope="module")
def w106() -> IntArray:
    return w106_accesses(real_data("storage/cloudphysics_w106.u32le.xz"))


@pytest.mark.data
@pytest.mark.parametrize("name", LIBCACHESIM_RATIOS)
def test_miss_ratios_on_w106_are_libcachesims(name: str, w106: IntArray) -> None:
    n_pages = int(w106.max()) + 1
    misses = count_misses(new_cache(name, n_pages, int(0.1 * n_pages)), w106)
    assert f"{misses / len(w106):.4f}" == LIBCACHESIM_RATIOS[name]


@pytest.mark.data
def test_no_policy_beats_belady_on_w106(w106: IntArray) -> None:
    n_pages = int(w106.max()) + 1
    misses = {name: count_misses(new_cache(name, n_pages, int(0.1 * n_pages)), w106) for name in ("belady", "wtinylfu")}
    assert misses["belady"] < misses["wtinylfu"]
