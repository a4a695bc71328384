"""Policies that plan once an epoch: what they see of it, what they swap, and what their models learn."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from allocenv.core.resource_state import check
from allocenv.problems.storage.baselines.archivist import ArchivistScorer, Network, hot_pages
from allocenv.problems.storage.baselines.epochs import EpochMigration, PageUse, choose_swaps, use_of
from allocenv.problems.storage.baselines.frequency import DecayedCounts
from allocenv.problems.storage.baselines.hot_cold import CDE
from allocenv.problems.storage.baselines.k_svm import KSVMScorer, cluster_hot
from allocenv.problems.storage.baselines.rnn_hss import LSTM, WINDOW, RNNScorer
from allocenv.problems.storage.devices import Device
from allocenv.problems.storage.rules import System
from allocenv.problems.storage.simulation import Simulation
from allocenv.problems.storage.trace import PAGE_BYTES, Trace

FAST, SLOW = Device("fast", 10, 20, 1, 2), Device("slow", 100, 300, 5, 7)
NEW_SCORERS = {"counts": DecayedCounts, "archivist": ArchivistScorer, "k_svm": KSVMScorer, "rnn": RNNScorer}


def trace_of(requests):
    """Requests (first page, pages, whether it writes)."""
    first, pages, write = (np.array(column) for column in zip(*requests, strict=True))
    return Trace.of("hand-made", None, first * PAGE_BYTES, pages * PAGE_BYTES, write.astype(bool))


def use_from(counts, writes=0.0):
    """An epoch that touched page p counts[p] times."""
    counts = np.array(counts, float)
    pages = np.flatnonzero(counts)
    columns = [counts[pages], np.ones(len(pages)), np.full(len(pages), writes), np.zeros(len(pages))]
    return PageUse(pages.astype(np.int32), np.column_stack(columns))


def replayed(requests, share, policy):
    run = Simulation(trace_of(requests), System((FAST, SLOW), (share,)))
    run.run(policy)
    check(run.state.alloc, 0)
    return run


def test_use_of_an_epoch_tells_count_size_writes_and_sequence():
    # page 1 is touched by a read of 2 pages and by a write of 1; page 2 by a read that continues at its address
    trace = trace_of([(9, 1, 0), (0, 2, 0), (2, 1, 0), (1, 1, 1)])
    use = use_of(trace, 1, 4)
    assert use.pages.tolist() == [0, 1, 2]
    assert use.features.tolist() == [[1, 2, 0, 0], [2, 1.5, 0.5, 0], [1, 1, 0, 1]]


def test_the_best_pages_take_free_room_then_the_places_of_worse_ones():
    # of 3 places one is free; pages 3 and 4 come for 0 and nobody, 1 (score 4) beats 2 (score 3)
    score = np.array([1.0, 4, 3, 5, 9, 0])
    on_fastest = np.array([1, 1, 0, 0, 0, 0], np.bool_)
    up, down = choose_swaps(score, on_fastest, 3, 10)
    assert up.tolist() == [4, 3]
    assert down.tolist() == [-1, 0]


def test_pages_that_score_nothing_stay_below_though_there_is_room():
    up, _ = choose_swaps(np.array([0.0, -1]), np.zeros(2, np.bool_), 2, 10)
    assert len(up) == 0


def test_pages_move_at_the_end_of_an_epoch_and_are_paid_for():
    # epochs of 3: 0 0 1 served below; then 0 comes up into the one place: its move is read below and written above,
    # 100 + 20, paid between requests; 0 is read above, 1 below
    run = replayed([(p, 1, 0) for p in (0, 0, 1, 0, 1, 0)], 0.5, EpochMigration(DecayedCounts(), 3))
    assert run.latency.tolist() == [100, 100, 100, 10, 100, 10]
    assert run.state.latency[0] == 420 + 120


def test_chunks_do_not_change_what_an_epoch_policy_does():
    requests = [(int(p), 1, 0) for p in np.random.default_rng(0).zipf(1.5, 300) % 30]
    whole = replayed(requests, 0.2, EpochMigration(DecayedCounts(), 20))
    run, policy = Simulation(trace_of(requests), System((FAST, SLOW), (0.2,))), EpochMigration(DecayedCounts(), 20)
    for n in (7, 33, 60, 200):
        run.run(policy, n)
    assert (run.latency == whole.latency).all()


@pytest.mark.parametrize("name", NEW_SCORERS)
def test_the_same_seed_gives_the_same_run(name):
    requests = [(int(p), 1, int(p) % 2) for p in np.random.default_rng(1).zipf(1.5, 400) % 50]
    first, second = (replayed(requests, 0.2, EpochMigration(NEW_SCORERS[name](), 40)) for _ in range(2))
    assert first.state.promoted[0] > 0
    assert (first.latency == second.latency).all()


@pytest.mark.parametrize("name", NEW_SCORERS)
def test_pages_always_hot_come_to_score_above_pages_used_once(name):
    scorer = NEW_SCORERS[name]()
    for _ in range(30):
        score = scorer.score(use_from([20] * 5 + [1] * 20), 25, 5)
    assert score[:5].min() > max(score[5:].max(), 0)


def test_counts_decay():
    scorer = DecayedCounts(decay=0.5)
    scorer.score(use_from([4, 0]), 2, 1)
    assert scorer.score(use_from([1, 2]), 2, 1).tolist() == [3, 2]


def test_hot_pages_are_the_most_used_of_those_used_twice():
    assert hot_pages(use_from([1, 5, 3, 2, 0]), 5, 2).tolist() == [0, 1, 1, 0, 0]
    assert hot_pages(use_from([1, 5, 1, 1, 0]), 5, 2).tolist() == [0, 1, 0, 0, 0]


def test_the_hotter_cluster_is_the_one_used_more():
    inputs = np.array([[1.0, 0], [1.1, 0], [5, 0], [5.2, 0]])
    assert cluster_hot(inputs).tolist() == [False, False, True, True]
    assert not cluster_hot(np.ones((3, 2))).any()


def test_gradients_of_the_lstm_are_those_of_finite_differences():
    rng = np.random.default_rng(2)
    lstm, series, following = LSTM(rng), rng.normal(size=(5, WINDOW)), rng.normal(size=5)
    _, gradients = lstm.loss_and_gradients(series, following)
    for weight, gradient in zip(lstm.weights, gradients, strict=True):
        for place in [np.unravel_index(i, weight.shape) for i in rng.integers(weight.size, size=6)]:
            ends = []
            for change in (1e-6, -2e-6):
                weight[place] += change
                ends.append(lstm.loss_and_gradients(series, following)[0])
            weight[place] += 1e-6
            assert_allclose(gradient[place], (ends[0] - ends[1]) / 2e-6, rtol=1e-4, atol=1e-8)


def test_the_network_learns_what_can_be_told_apart():
    rng = np.random.default_rng(4)
    network, inputs = Network(rng), rng.normal(size=(200, 4))
    hot = (inputs[:, 0] * inputs[:, 1] > 0).astype(float)  # no single layer can tell
    for _ in range(600):
        network.learn(inputs, hot)
    assert ((network.probability(inputs) > 0.5) == hot).mean() > 0.95


def test_cold_eviction_sends_up_what_is_random_or_hot_and_down_what_is_not():
    # 4-KiB writes are random; of two 8-KiB writes in sequence the second is cold until it is written often
    policy = CDE(random_kib=4, hot_writes=2)
    requests = [(0, 1, 1), (1, 2, 1), (3, 2, 1), (1, 2, 1), (3, 2, 1), (8, 2, 0)]
    run = Simulation(trace_of(requests), System((FAST, SLOW), (1.0,)))
    homes = []
    while run.at < len(requests):
        run.run(policy, 1)
        homes.append(int(run.state.alloc.bin_of[0, run.trace.requests.first[run.at - 1]]))
    # random by size; sequential; sequential; not after the last; sequential, but hot; a read, served in place
    assert homes == [0, 1, 1, 0, 0, 1]


def test_an_epoch_has_a_length():
    with pytest.raises(ValueError, match="length >= 1"):
        EpochMigration(DecayedCounts(), 0)
