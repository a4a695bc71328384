"""Harmonia: who decides what, which pages are candidates, what a batch earns."""

from dataclasses import replace

import numpy as np
import pytest

from allocenv.core.bits import seeded
from allocenv.core.resource_state import check
from allocenv.problems.storage.online.features import harmonia_levels
from allocenv.problems.storage.online.harmonia import MIGRATION, PLACEMENT, Harmonia
from allocenv.problems.storage.online.learner import empty_learner, empty_memory, take_over
from allocenv.problems.storage.online.q_learning import learn_q
from allocenv.problems.storage.rules import System
from allocenv.problems.storage.simulation import Simulation
from allocenv.problems.storage.trace import Trace

EAGER = replace(PLACEMENT, learning_rate=1e-2, epsilon=0.05)  # than published: the toys are short


def trace_of(pages, write):
    pages = np.asarray(pages)
    write = np.full(len(pages), write) if isinstance(write, bool) else np.array(write)
    return Trace.of("toy", None, pages * 4096, np.full(len(pages), 4096), write)


def test_the_placement_agent_decides_on_writes_and_first_touches_only():
    # page 0: first touch, read, write; page 1: first touch (a write)
    trace, system = trace_of([0, 0, 0, 1], [False, False, True, True]), System.named("H&M")
    harmonia = Harmonia(trace, system)
    Simulation(trace, system).run(harmonia)
    memory = harmonia.state.placement.memory
    assert memory.written[0] == 3
    # write, size, interval, count: the third request comes 1 after the second, its page has 2 accesses
    assert memory.bins[:3, :4].tolist() == [[0, 0, 63, 0], [1, 0, 1, 2], [1, 0, 63, 0]]


def always(learner, device):
    """Let an agent want the same device for everything."""
    learner.training[:] = 0.0
    learner.training[device - 2] = 1.0  # the last weights are the biases of the two devices
    take_over(learner)


def frozen(trace, system, place, migrate):
    """Both agents want one device each."""
    harmonia = Harmonia(trace, system, 0, replace(PLACEMENT, epsilon=0.0), replace(MIGRATION, epsilon=0.0))
    always(harmonia.state.placement.learner, place)
    always(harmonia.state.migration.learner, migrate)
    return harmonia


def test_a_batch_holds_the_coldest_of_the_fastest_and_the_most_accessed_of_the_slow():
    # 8 of 10 pages are written, then read, then 8 and 9 read often: 50 requests, then a batch. Writes and first touches
    # go to the fastest device, where 6 pages fit: the writes leave 2..7, then 8 drives out 2, and 9 drives out 3.
    trace = trace_of([*range(8), *range(8), *[8] * 14, *[9] * 20], [True] * 8 + [False] * 42)
    system = System.named("H&M", shares=(0.6,))
    harmonia, run = frozen(trace, system, place=0, migrate=1), Simulation(trace, system)
    run.run(harmonia)
    batch = harmonia.state.migration
    # cold: 5 of 4..9; hot: 0, 1 (queued again by their reads) and 2, 3, of equal counts those queued last
    assert batch.page[: batch.size[0]].tolist() == [4, 5, 6, 7, 8, 1, 0, 3, 2]
    assert np.flatnonzero(run.state.alloc.bin_of[0] == 0).tolist() == [9]
    check(run.state.alloc, 0)


def test_hot_candidates_come_in_order_of_accesses():
    # all stays on the slow device; accesses: page 3 five times, page 1 three times, the others once
    pages = [3, 1, 0, 2, 3, 1, 3, 4, 3, 1, 3, *range(5, 44)]
    trace, system = trace_of(pages, False), System.named("H&M")
    harmonia = frozen(trace, system, place=1, migrate=1)
    Simulation(trace, system).run(harmonia)
    batch = harmonia.state.migration
    # the fastest device is empty, so no cold ones; of equal ones the latest
    assert batch.page[: batch.size[0]].tolist() == [3, 1, 43, 42, 41, 40, 39, 38, 37, 36]


def test_a_batch_earns_the_latencies_that_follow_it_less_a_penalty():
    # one page is read 101 times, first from the slow device (37 us); the first batch moves it up for 37 + 10 us
    trace, system = trace_of([0] * 101, False), System.named("H&M", shares=(1.0,))
    harmonia = frozen(trace, system, place=1, migrate=0)
    Simulation(trace, system).run(harmonia)
    memory = harmonia.state.migration.memory
    # 50 reads at 10 us and the charge of 47; the page was accessed 1 request ago and never moved (50 requests + 1)
    earned = 10 * 50 / (50 * 10 + 47) - 1 / (1 + 51)
    assert memory.written[0] == 1
    assert memory.action[0] == 0
    assert memory.reward[0] == pytest.approx((1 - MIGRATION.gamma) * earned)
    # 50 accesses: 50 = 6 * 2**3 and a rest, bin 4 * 3 + 6
    assert memory.bins[0].tolist() == [0, 0, 1, 18, 7, 1, 63]


def test_q_learning_reaches_the_reward_of_each_action():
    learner = empty_learner(harmonia_levels(2), (10,), 2, np.random.default_rng(0))
    memory = empty_memory(100, 7)
    memory.action[:] = np.arange(100) % 2
    memory.reward[:] = np.where(memory.action == 0, 0.2, 0.6)
    memory.written[0] = 100
    random = seeded(0)
    losses = [learn_q(learner, memory, 0.0, 1e-2, 32, random) for _ in range(500)]
    assert losses[-1] < 1e-5 < losses[0]


@pytest.mark.parametrize("seed", range(3))
def test_it_learns_to_write_to_a_fast_device_that_holds_all(seed):
    trace, system = trace_of(np.arange(25_000) % 1000, True), System.named("H&M", shares=(1.0,), accounting="free")
    run, harmonia = Simulation(trace, system, seed), Harmonia(trace, system, seed, EAGER)
    run.run(harmonia, 20_000)
    run.measure_from_here()
    run.run(harmonia)
    assert run.summary().mean < 20  # 10 us on the fastest device, 37 on the other


def test_the_seed_decides_everything_and_a_saved_agent_goes_on():
    rng = np.random.default_rng(0)
    trace = trace_of(rng.integers(0, 300, 5000), rng.random(5000) < 0.5)
    for system in (System.named("H&M"), System.named("H&M&L_SSD&L", budget_mb_s=1.0)):
        whole, parts = Simulation(trace, system), Simulation(trace, system)
        whole.run(Harmonia(trace, system, 1))
        first, second = Harmonia(trace, system, 1), Harmonia(trace, system, 2)
        parts.run(first, 1733)
        second.load_state_dict(first.state_dict())
        parts.run(second)
        assert np.array_equal(whole.latency, parts.latency)
        check(whole.state.alloc, 0)
        assert whole.state.migrated[0] <= whole.rules.budget * whole.state.done[0]


def test_two_periods_are_refused():
    trace = trace_of([0], False)
    with pytest.raises(ValueError, match="one period"):
        Harmonia(trace, System.named("H&M"), 0, PLACEMENT, replace(MIGRATION, period=500))
