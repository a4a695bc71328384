"""Sibyl decides, earns and remembers as its slow twin says, and learns which device is better."""

from dataclasses import replace

import numpy as np
import pytest
from sibyl_reference import SlowSibyl, reward

from allocenv.problems.storage.dynamics import begin, empty_state, serve
from allocenv.problems.storage.online.sibyl import PUBLISHED, Sibyl
from allocenv.problems.storage.rules import System
from allocenv.problems.storage.simulation import Simulation
from allocenv.problems.storage.trace import Trace

EAGER = replace(PUBLISHED, learning_rate=3e-3, epsilon=0.05)  # than published: the toys are short


def random_trace(requests, pages, seed=0):
    rng = np.random.default_rng(seed)
    first = rng.integers(0, pages, requests) * 4096
    return Trace.of("toy", None, first, rng.integers(1, 5, requests) * 4096, rng.random(requests) < 0.5)


def round_robin(requests, pages):
    """Reads of one page after the other, around and around."""
    first = np.arange(requests) % pages * 4096
    return Trace.of("toy", None, first, np.full(requests, 4096), np.zeros(requests, bool))


@pytest.mark.parametrize("accounting", ["charged", "free"])
def test_it_does_what_its_slow_twin_does(accounting):
    trace = random_trace(400, 40)
    system = System.named("H&M&L_SSD", shares=(0.1, 0.3), accounting=accounting)
    sibyl = Sibyl(trace, system, 3, replace(PUBLISHED, epsilon=0.0))
    Simulation(trace, system).run(sibyl)
    rules, state, memory = system.rules(trace), empty_state(1, trace.n_pages, 3), sibyl.state.memory
    learner = sibyl.state.learner
    twin = SlowSibyl(learner.sizes, learner.acting, learner.levels)
    begin(rules, state, 0, 0)
    for t in range(len(trace)):
        bins = twin.see(trace.requests, t, rules.capacity, state.alloc.bin_of[0])
        assert memory.bins[t].tolist() == bins
        if t > 0:
            assert memory.next_bins[t - 1].tolist() == bins
        values = twin.values(bins)
        assert values[memory.action[t]] == pytest.approx(values.max(), abs=1e-9)
        latency = serve(trace.requests, rules, state, 0, memory.action[t])
        earned = reward(latency, state.last_evictions[0] > 0, state.last_eviction_us[0], 10.0, 0.9)
        assert memory.reward[t] == pytest.approx(earned)


def share_promoted(trace, system, seed):
    """Of the last 5,000 requests, those that brought a page to the fastest device."""
    run, sibyl = Simulation(trace, system, seed), Sibyl(trace, system, seed, EAGER)
    run.run(sibyl, len(trace) - 5000)
    run.measure_from_here()
    run.run(sibyl)
    return run.summary().promoted / 5000, run.summary()


@pytest.mark.parametrize("seed", range(3))
def test_it_learns_to_leave_pages_where_moving_them_never_pays(seed):
    # 10 of 1000 pages fit: none is read again while it is on the fastest device. To bring one costs its read (37 us),
    # its write (10) and the eviction of another (10 + 37), to leave it costs the read alone. Exploration brings
    # 0.05 / 2 of them.
    promoted, _ = share_promoted(round_robin(25_000, 1000), System.named("H&M", shares=(0.01,)), seed)
    assert promoted < 0.1


@pytest.mark.parametrize("seed", range(3))
def test_it_learns_to_use_a_fast_device_that_holds_all(seed):
    # every page fits: once brought, a read takes 10 us instead of 37, and nothing is ever evicted
    _, summary = share_promoted(round_robin(25_000, 1000), System.named("H&M", shares=(1.0,)), seed)
    assert summary.on_fastest > 0.8


def test_the_seed_decides_everything():
    trace, system = random_trace(5000, 300), System.named("H&M")
    runs = [Simulation(trace, system) for _ in range(3)]
    for run, seed in zip(runs, (1, 1, 2), strict=True):
        run.run(Sibyl(trace, system, seed))
    assert np.array_equal(runs[0].latency, runs[1].latency)
    assert not np.array_equal(runs[0].latency, runs[2].latency)


def test_chunks_and_a_saved_agent_change_nothing():
    trace, system = random_trace(5000, 300), System.named("H&M")
    whole, parts = Simulation(trace, system), Simulation(trace, system)
    whole.run(Sibyl(trace, system, 1))
    first, second = Sibyl(trace, system, 1), Sibyl(trace, system, 2)
    parts.run(first, 1700)
    second.load_state_dict(first.state_dict())
    parts.run(second)
    assert np.array_equal(whole.latency, parts.latency)


def test_a_saved_agent_of_another_system_is_refused():
    trace = random_trace(10, 10)
    saved = Sibyl(trace, System.named("H&M")).state_dict()
    with pytest.raises(ValueError, match="shape"):
        Sibyl(trace, System.named("H&M&L")).load_state_dict(saved)


@pytest.mark.parametrize(
    "changes", [{"hidden": ()}, {"gamma": 1.0}, {"epsilon": 2.0}, {"learning_rate": 0}, {"replay": 1}, {"period": 1}]
)
def test_learning_that_cannot_be_is_refused(changes):
    with pytest.raises(ValueError, match="Expected"):
        replace(PUBLISHED, **changes)
