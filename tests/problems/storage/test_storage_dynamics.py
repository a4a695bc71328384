"""The kernels and their slow twin agree on random traces, systems, targets and migrations."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from storage_reference import SlowStorage

from allocenv.core import resource_state
from allocenv.core.kernel import kernel
from allocenv.problems.storage.baselines.selective import Fixed
from allocenv.problems.storage.devices import DEVICES, Device
from allocenv.problems.storage.dynamics import STAY, begin, empty_state, may_migrate, migrate, serve
from allocenv.problems.storage.rules import WEAR_CREDIT_US, System
from allocenv.problems.storage.simulation import Simulation
from allocenv.problems.storage.trace import PAGE_BYTES, Trace

# Endurance that a few pages use up: 0.48 x 4.1 MB a day are 480 pages, 20 of them in the first hour.
FRAIL = Device("frail", 20, 30, 3, 4, gigabytes=0.0041, dwpd=0.48)
KINDS = (DEVICES["H"], DEVICES["M"], FRAIL, DEVICES["L_SSD"], DEVICES["L"])


@kernel
def serve_one(x, rules, s, b, target):
    return serve(x, rules, s, b, target)


@kernel
def migrate_one(x, rules, s, b, page, target):
    """Migrate where that is legal; whether it is."""
    allowed = may_migrate(rules, s, b, page, target)
    if allowed:
        migrate(x, rules, s, b, page, target)
    return allowed


@st.composite
def systems(draw):
    devices = tuple(draw(st.lists(st.sampled_from(KINDS), min_size=2, max_size=4)))
    shares = tuple(draw(st.sampled_from((0.05, 0.1, 0.3, 0.6))) for _ in devices[1:])
    return System(
        devices,
        shares,
        accounting=draw(st.sampled_from(("charged", "background", "free"))),
        loop=draw(st.sampled_from(("open", "closed"))),
        budget_mb_s=draw(st.sampled_from((None, 0.5, 50.0))),
        endurance=draw(st.sampled_from((None, 0.5, 1.0))),
    )


@st.composite
def traces(draw):
    """Up to 60 requests of up to 6 pages over 40 pages with gaps, so that neighbours are not always near."""
    n = draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    page = rng.integers(0, 40, n)
    offset = (page + 100 * (page // 15)) * PAGE_BYTES
    size = np.minimum(rng.integers(1, 7, n), 15 - page % 15) * PAGE_BYTES
    time = np.cumsum(rng.integers(0, draw(st.sampled_from((1, 200_000, 30_000_000))), n))
    return Trace.of("random", time, offset, size, rng.random(n) < 0.5)


def twin_of(system, trace):
    r = trace.requests
    requests = list(zip(r.time.tolist(), r.first.tolist(), r.pages.tolist(), r.write.tolist(), strict=True))
    return SlowStorage(
        system.devices,
        system.shares,
        requests,
        r.address.tolist(),
        system.accounting,
        system.loop == "open",
        system.budget_mb_s,
        system.endurance,
    )


def assert_agree(twin, rules, s):
    assert s.alloc.bin_of[0].tolist() == [twin.where(page) for page in range(len(twin.address))]
    for d, device in enumerate(twin.devices):
        assert resource_state._linked(s.alloc, 0, d) == device.pages  # in order of recency
    assert s.written[0].tolist() == [device.written for device in twin.devices]
    assert s.free_at[0] == pytest.approx([device.free_at for device in twin.devices])
    assert (s.promoted[0], s.demoted[0], s.migrated[0]) == (twin.promoted, twin.demoted, twin.migrated)
    assert s.done[0] == pytest.approx(twin.done)
    resource_state.check(s.alloc, 0)
    limit = rules.wear * (s.clock[0] + WEAR_CREDIT_US)
    assert (s.written[0, :-1] <= limit[:-1] + 1e-9).all()
    assert np.isinf(rules.budget) or s.migrated[0] <= rules.budget * twin.now()


# Victims that are neighbours, more of them than the frail device below may still take.
H = DEVICES["H"]
WORN = System((H, H, FRAIL, H), (0.05, 0.3, 0.3), accounting="background", loop="open", endurance=0.5)
FIRST = np.array([10, 235, 14, 116, 1, 129, 5, 237, 128, 4, 126, 0, 121, 3, 237])
PAGES = np.array([3, 3, 1, 5, 6, 1, 6, 5, 2, 3, 4, 3, 4, 1, 5])
WRITES = np.array([1, 1, 0, 1, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 1], bool)
WEARING = Trace.of("wearing", np.zeros(15, np.int64), FIRST * PAGE_BYTES, PAGES * PAGE_BYTES, WRITES)


@settings(max_examples=150, deadline=None)
@given(systems(), traces(), st.integers(0, 2**32))
@example(WORN, WEARING, 68176)
def test_the_kernels_do_what_the_slow_twin_does(system, trace, seed):
    rules, twin, rng = system.rules(trace), twin_of(system, trace), np.random.default_rng(seed)
    s = empty_state(1, trace.n_pages, len(system.devices))
    begin(rules, s, 0, 0)
    x, latency = trace.requests, 0.0
    for _ in range(len(trace)):
        target = int(rng.integers(STAY, len(system.devices)))
        took = twin.serve(target)
        latency += took
        assert serve_one(x, rules, s, 0, target) == pytest.approx(took)
        assert s.last_evictions[0] == twin.evictions
        if rng.random() < 0.3:
            page, target = int(rng.integers(trace.n_pages)), int(rng.integers(len(system.devices)))
            allowed = twin.may_migrate(page, target)
            assert migrate_one(x, rules, s, 0, page, target) == allowed
            if allowed:
                moving = twin.migrate(page, target)
                latency += moving if system.accounting == "charged" else 0.0
        assert_agree(twin, rules, s)
    assert s.latency[0] == pytest.approx(latency)
    assert s.accesses[0].tolist() == [twin.accesses.get(page, 0) for page in range(trace.n_pages)]
    assert s.last_access[0].tolist() == [twin.last_access.get(page, -1) for page in range(trace.n_pages)]


def test_a_device_spreads_its_times_as_fitted():
    """One-page reads at random from a device of sigma 0.5: the same mean, p99 by the lognormal's formula."""
    n, sigma = 40_000, 0.5
    pages = np.random.default_rng(0).integers(0, 1000, n)
    trace = Trace.of("reads", None, pages * 4096, np.full(n, 4096), np.zeros(n, bool))
    devices = (DEVICES["H"], replace(DEVICES["M"], read_sigma=sigma))
    run = Simulation(trace, System(devices, (0.1,)), seed=3)
    run.run(Fixed(STAY))
    found = run.summary()
    assert found.mean == pytest.approx(37, rel=0.01)
    assert found.p99 == pytest.approx(37 * np.exp(2.3263 * sigma - sigma**2 / 2), rel=0.03)
    again = Simulation(trace, System(devices, (0.1,)), seed=3)
    again.run(Fixed(STAY))
    np.testing.assert_array_equal(run.latency, again.latency)
