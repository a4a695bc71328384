"""Where instances come from: a real snapshot after churn, or the embedded generator that needs no data.

Both end with VMs that arrive by best fit on the free cores of the NUMA nodes, ties at random; random fit and
first fit miss the fragment rates of real clusters.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from allocenv.core.arrays import BoolArray, IntArray, LongArray
from allocenv.core.kernel import kernel
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.objective import UNITS

MEDIUM_USED = 1 - 2_340 / 24_552  # cores in use of the benchmark made from ByteDance's Medium snapshot
MEDIUM_RATE = 0.555  # its 16-core fragment rate, which is also VMR2L's (EuroSys 2025) at the start
MAX_ATTEMPTS = 1_000
CALIBRATION_ATTEMPTS = 40
_ARRIVALS = 2_048  # drawn at once
_POOL = 10_000  # entries from which made-up arrivals are drawn
_PATIENCE = 300  # arrivals in a row that fit nowhere: the cluster is full


@dataclass(frozen=True)
class Churn:
    """What happens to a snapshot: departures, then arrivals until it is as full as wanted.

    The defaults turn ByteDance's Medium snapshot into instances on which greedy and the exact optimum land
    on the curves of VMR2L (EuroSys 2025).
    """

    departures: float = 0.215  # probability that a VM leaves
    used: float = MEDIUM_USED  # share of the active machines' cores in use at the end, at least
    chunk: float = 16.0  # cores
    rate: float = MEDIUM_RATE  # fragment rate of the chunk wanted at the end ...
    tolerance: float = 0.02  # ... and how far from it an instance may be; inf: any

    def __post_init__(self) -> None:
        _expect_share("departures", self.departures)
        _expect_share("used", self.used)
        _expect_share("rate", self.rate)
        if not self.chunk > 0:
            raise ValueError(f"Expected chunk > 0, got {self.chunk}.")
        if not self.tolerance > 0:
            raise ValueError(f"Expected tolerance > 0, got {self.tolerance}.")


@dataclass(frozen=True)
class Flavour:
    """A size of VM and how often it is asked for."""

    nodes: int  # NUMA nodes it takes
    cores: int  # of each of them
    weight: float


# The sizes and frequencies of ByteDance's Medium snapshot (Apache-2.0; shared/data/vm/README.md).
MEDIUM_FLAVOURS = (
    Flavour(1, 2, 337),
    Flavour(1, 4, 906),
    Flavour(1, 8, 311),
    Flavour(1, 16, 184),
    Flavour(1, 32, 61),
    Flavour(2, 2, 3),
    Flavour(2, 4, 57),
    Flavour(2, 8, 46),
    Flavour(2, 16, 50),
    Flavour(2, 32, 130),
    Flavour(2, 44, 4),
)


@dataclass(frozen=True)
class Model:
    """A make of machine and how common it is."""

    cores: int = 44  # of each NUMA node
    memory: int = 184_388  # MiB of each NUMA node
    share: float = 1.0


@dataclass(frozen=True)
class Calibration:
    """A made-up cluster: machines, VM sizes, how full. The defaults resemble the churned Medium cluster.

    First the machines fill up; `reserved` ones with large VMs only, as operators do, which leaves odd rests.
    Then the cluster is churned (see `Churn`) until `used` is reached and the fragment rate is near `rate`.
    """

    used: float = MEDIUM_USED  # share of the cores in use, at least
    nodes: int = 2  # NUMA nodes of a machine
    memory_per_core: int = 2_048  # MiB
    machines: tuple[Model, ...] = (Model(),)
    flavours: tuple[Flavour, ...] = MEDIUM_FLAVOURS
    empty: float = 0.0  # share of the machines that no VM ever comes to
    reserved: float = 0.17  # share of the others that hold, before the churn, VMs of over half a node only
    departures: float = 0.215  # probability that a VM leaves (more leave where `used` asks for it)
    chunk: float = 16.0  # cores
    rate: float = MEDIUM_RATE
    tolerance: float = 0.03  # from 100 machines on; fewer: wider by sqrt(100 / machines); inf: any rate
    machines_per_rack: int = 28

    def __post_init__(self) -> None:
        for name in ("used", "empty", "reserved", "departures", "rate"):
            _expect_share(name, getattr(self, name))
        if self.used > 1 - self.empty:
            raise ValueError(f"Expected used <= 1 - empty = {1 - self.empty:g}, got {self.used}.")
        for name in ("nodes", "memory_per_core", "machines_per_rack"):
            if getattr(self, name) < 1:
                raise ValueError(f"Expected {name} >= 1, got {getattr(self, name)}.")
        if not (self.chunk > 0 and self.tolerance > 0):
            raise ValueError(f"Expected chunk and tolerance > 0, got {self.chunk} and {self.tolerance}.")
        if not self.machines or any(min(m.cores, m.memory) < 1 or not m.share > 0 for m in self.machines):
            raise ValueError(f"Expected machines with cores, memory and share > 0, got {self.machines}.")
        if any(f.nodes < 1 or f.cores < 1 or not f.weight > 0 for f in self.flavours):
            raise ValueError(f"Expected flavours with nodes, cores and weight > 0, got {self.flavours}.")
        if not any(self.fits_somewhere(flavour) for flavour in self.flavours):
            raise ValueError("Expected a flavour that fits on a machine.")

    def fits_somewhere(self, flavour: Flavour) -> bool:
        """Whether a machine, when empty, has room for the flavour."""
        return flavour.nodes <= self.nodes and any(
            flavour.cores <= m.cores and flavour.cores * self.memory_per_core <= m.memory for m in self.machines
        )


def churned(base: Cluster, rng: np.random.Generator, churn: Churn | None = None) -> Cluster:
    """The snapshot after departures and arrivals, redone until its fragment rate is near the wanted one.

    Sizes of arrivals are those of the snapshot's VMs, at their frequencies. Survivors keep their id, arrivals
    are called `new_0`, `new_1`, ...; they are movable, cost 1 and belong to no group.

    Raises:
        ValueError: no VMs, no cores on the cells, or none of 1,000 attempts came near the wanted rate.
    """
    churn = churn or Churn()
    if base.n_vms == 0:
        raise ValueError(f"Expected {base.source} to hold VMs, whose sizes the arrivals take.")
    cluster, rate = _nearest(base, base.shape_of, rng, churn, MAX_ATTEMPTS)
    if abs(rate - churn.rate) > churn.tolerance:
        raise ValueError(
            f"Expected a {churn.chunk:g}-core fragment rate of {churn.rate:g} +- {churn.tolerance:g} from "
            f"churning {base.source}; the nearest of {MAX_ATTEMPTS} attempts has {rate:.3f}."
        )
    return cluster


def calibrated(n_pms: int, rng: np.random.Generator, calibration: Calibration | None = None) -> Cluster:
    """A made-up cluster of `n_pms` machines. Needs no data.

    Where the wanted fragment rate is out of reach it is the nearest of 40 attempts.

    Raises:
        ValueError: n_pms < 1.
    """
    if n_pms < 1:
        raise ValueError(f"Expected n_pms >= 1, got {n_pms}.")
    calibration = calibration or Calibration()
    full, pool = _full(n_pms, rng, calibration)
    cores = _core_rows(full)
    capacity = full.capacity[cores][:, full.active].sum(dtype=np.int64)
    filled = float(full.used[cores].sum() / capacity)
    used = min(calibration.used / (1 - calibration.empty), 1.0)
    churn = Churn(
        departures=max(calibration.departures, min(1 - used / filled, 1.0)),
        used=used,
        chunk=calibration.chunk,
        rate=calibration.rate,
        tolerance=calibration.tolerance * max(1.0, (100 / n_pms) ** 0.5),
    )
    cluster, _ = _nearest(full, pool, rng, churn, CALIBRATION_ATTEMPTS)
    return _with_vms(
        cluster,
        active=np.ones(n_pms, np.bool_),
        vm_ids=tuple(f"vm_{i}" for i in range(cluster.n_vms)),
    )


def _nearest(
    base: Cluster, pool: IntArray, rng: np.random.Generator, churn: Churn, attempts: int
) -> tuple[Cluster, float]:
    """The first churned cluster with a rate within the tolerance, or the nearest; and its rate."""
    cores = _core_rows(base)
    chunk = round(churn.chunk * UNITS["cpu"])
    target = _free_at(base, cores, churn.used)
    best, best_rate = None, np.inf
    for _ in range(attempts):
        stay = np.flatnonzero(rng.random(base.n_vms) >= churn.departures).astype(np.int32)
        free = _free(base, Held(base.shape_of[stay], base.bin_of[stay], base.variant_of[stay]))
        arrivals = _arrive(base, pool, free, cores, base.active, target, rng)
        rate = _fragment_rate(free[base.active][:, cores], chunk)
        if best is None or abs(rate - churn.rate) < abs(best_rate - churn.rate):
            best, best_rate = (stay, *arrivals), rate
        if abs(rate - churn.rate) <= churn.tolerance:
            break
    assert best is not None
    return _joined(base, *best), best_rate


class Held(NamedTuple):
    """VMs and where they are."""

    shape: IntArray  # [n]
    pm: IntArray  # [n]
    variant: IntArray  # [n]


def _core_rows(cluster: Cluster) -> IntArray:
    """Which rows of `capacity` count the cores of a cell: [K]."""
    if "cpu" not in cluster.cell_resources:
        raise ValueError(f"Expected cells with 'cpu', got {', '.join(cluster.cell_resources) or 'none'}.")
    c = len(cluster.cell_resources)
    return (np.arange(cluster.n_cells) * c + cluster.cell_resources.index("cpu")).astype(np.int32)


def _free_at(cluster: Cluster, cores: IntArray, used: float) -> int:
    """How much of the active machines' cores is free when the share `used` is not."""
    total = int(cluster.capacity[cores][:, cluster.active].sum(dtype=np.int64))
    return round((1 - used) * total)


def _free(cluster: Cluster, held: Held) -> LongArray:
    """What is free of each machine: [N, K*C + P]."""
    free = cluster.capacity.T.astype(np.int64)
    np.subtract.at(free, held.pm, cluster.demand[held.shape, held.variant])
    return free


def _arrive(
    cluster: Cluster,
    pool: IntArray,
    free: LongArray,
    cores: IntArray,
    open_pms: BoolArray,
    target: int,
    rng: np.random.Generator,
) -> tuple[IntArray, Held]:
    """VMs arrive, each of a shape drawn from the pool, until at most `target` is free; `free` is updated.

    Returns which entries of the pool arrived, and where they went.
    """
    drawn: list[IntArray] = []
    places: list[IntArray] = []
    best = np.empty((free.shape[0] * cluster.demand.shape[1], 2), np.int32)
    failed = 0
    while failed < _PATIENCE:
        picks = rng.integers(len(pool), size=_ARRIVALS)
        shapes = pool[picks].astype(np.int32)
        where = np.empty((_ARRIVALS, 2), np.int32)
        n, failed = _best_fits(
            cluster.demand, cluster.n_variants, free, cores, open_pms, shapes, rng.random(_ARRIVALS), target, failed,
            best, where,
        )  # fmt: skip
        came = np.flatnonzero(where[:n, 0] >= 0)
        drawn.append(picks[came].astype(np.int32))
        places.append(where[came])
        if n < _ARRIVALS:
            break
    chosen, where = np.concatenate(drawn), np.concatenate(places)
    return chosen, Held(pool[chosen].astype(np.int32), where[:, 0], where[:, 1])


@kernel
def _best_fits(demand, n_variants, free, cores, open_pms, shapes, ties, target, failed, best, where):
    """Place arrivals until at most `target` is free or too many in a row find no room.

    Writes the places (-1: no room); returns how many arrivals were looked at and the last run of failures.
    """
    left = 0
    for pm in range(free.shape[0]):
        for k in range(cores.size):
            left += free[pm, cores[k]]
    for i in range(shapes.size):
        where[i, 0] = where[i, 1] = -1
        if left <= target or failed >= _PATIENCE:
            return i, failed
        shape = shapes[i]
        n_best = 0
        least = np.int64(0)
        for pm in range(free.shape[0]):
            if not open_pms[pm]:
                continue
            for variant in range(n_variants[shape]):
                if not _has_room(free, demand, pm, shape, variant):
                    continue
                spare = np.int64(0)
                for k in range(cores.size):
                    if demand[shape, variant, cores[k]] > 0:
                        spare += free[pm, cores[k]]
                if n_best == 0 or spare < least:
                    n_best = 0
                    least = spare
                if spare == least:
                    best[n_best, 0] = pm
                    best[n_best, 1] = variant
                    n_best += 1
        failed += 1
        if n_best == 0:
            continue
        failed = 0
        pick = int(ties[i] * n_best)
        where[i, 0], where[i, 1] = best[pick, 0], best[pick, 1]
        for r in range(free.shape[1]):
            free[where[i, 0], r] -= demand[shape, where[i, 1], r]
        for k in range(cores.size):
            left -= demand[shape, where[i, 1], cores[k]]
    return shapes.size, failed


@kernel
def _has_room(free, demand, pm, shape, variant):
    for r in range(free.shape[1]):
        need = demand[shape, variant, r]
        if need > free[pm, r] and need > 0:
            return False
    return True


def _fragment_rate(free: LongArray, chunk: int) -> float:
    total = int(free.sum())
    return 1 - chunk * int((free // chunk).sum()) / total if total else 0.0


def _joined(base: Cluster, stay: IntArray, drawn: IntArray, arrived: Held) -> Cluster:
    """The survivors and the arrivals (whose sizes and types are those of the VMs `drawn`)."""
    n = len(drawn)
    nobody = np.full((n, base.group_of.shape[1]), -1, np.int32)
    types = base.vm_types
    return _with_vms(
        base,
        vm_ids=(*(base.vm_ids[i] for i in stay), *(f"new_{i}" for i in range(n))),
        shape_of=np.concatenate([base.shape_of[stay], arrived.shape]),
        bin_of=np.concatenate([base.bin_of[stay], arrived.pm]),
        variant_of=np.concatenate([base.variant_of[stay], arrived.variant]),
        movable=np.concatenate([base.movable[stay], np.ones(n, np.bool_)]),
        cost=np.concatenate([base.cost[stay], np.ones(n, np.float32)]),
        class_of=np.concatenate([base.class_of[stay], np.zeros(n, np.int32)]),
        group_of=np.concatenate([base.group_of[stay], nobody]),
        vm_types=(*(types[i] for i in stay), *(types[i] for i in drawn)) if types else (),
    )


def _with_vms(base: Cluster, **vms: Any) -> Cluster:
    """The base with other VMs (or other flags), which the caller has checked to fit."""
    kept = {name: getattr(base, name) for name in base.__dataclass_fields__}
    return Cluster(**{**kept, **vms})


def _full(n_pms: int, rng: np.random.Generator, calibration: Calibration) -> tuple[Cluster, IntArray]:
    """Machines filled up (empty ones inactive), and a pool of shapes at the flavours' frequencies."""
    flavours = [f for f in calibration.flavours if calibration.fits_somewhere(f)]
    weights = np.array([f.weight for f in flavours], np.float64)
    counts = np.maximum(1, np.rint(_POOL * weights / weights.sum())).astype(np.int64)
    pool = np.repeat(np.arange(len(flavours), dtype=np.int32), counts)
    bare = _bare(n_pms, rng, calibration, flavours)
    order = rng.permutation(n_pms)
    n_empty = round(calibration.empty * n_pms)
    reserved, active = np.zeros(n_pms, np.bool_), np.ones(n_pms, np.bool_)
    active[order[:n_empty]] = False
    reserved[order[n_empty : n_empty + round(calibration.reserved * (n_pms - n_empty))]] = True
    cores, free = _core_rows(bare), bare.capacity.T.astype(np.int64)
    parts = []
    large = np.array([2 * f.cores > max(m.cores for m in calibration.machines) for f in flavours])
    if large.any() and reserved.any():
        parts.append(_arrive(bare, pool[large[pool]], free, cores, reserved, 0, rng)[1])
    parts.append(_arrive(bare, pool, free, cores, active & ~reserved, 0, rng)[1])
    shape, pms, variant = (np.concatenate(fields) for fields in zip(*parts, strict=True))
    order = np.argsort(pms, kind="stable")  # a listing by machine
    m = len(order)
    full = _with_vms(
        bare,
        active=active,
        vm_ids=("",) * m,
        shape_of=shape[order],
        bin_of=pms[order],
        variant_of=variant[order],
        movable=np.ones(m, np.bool_),
        cost=np.ones(m, np.float32),
        class_of=np.zeros(m, np.int32),
        group_of=np.zeros((m, 0), np.int32),
    )
    return full, pool


def _bare(n_pms: int, rng: np.random.Generator, calibration: Calibration, flavours: list[Flavour]) -> Cluster:
    """The machines without VMs."""
    shares = np.array([m.share for m in calibration.machines], np.float64)
    make = rng.choice(len(shares), size=n_pms, p=shares / shares.sum())
    offers = np.array([(m.cores * UNITS["cpu"], m.memory) for m in calibration.machines], np.int32)
    demand = [(f.cores * UNITS["cpu"], f.cores * calibration.memory_per_core) for f in flavours]
    nobody = np.zeros(0, np.int32)
    return Cluster(
        source="calibrated",
        cell_resources=("cpu", "memory"),
        host_resources=(),
        n_cells=calibration.nodes,
        pm_ids=tuple(f"pm_{i}" for i in range(n_pms)),
        vm_ids=(),
        capacity=np.tile(offers[make].T, (calibration.nodes, 1)),
        active=np.ones(n_pms, np.bool_),
        rack_of=(np.arange(n_pms) // calibration.machines_per_rack).astype(np.int32),
        shape_nodes=np.array([f.nodes for f in flavours], np.int32),
        shape_demand=np.array(demand, np.int32),
        shape_of=nobody,
        bin_of=nobody,
        variant_of=nobody,
        movable=np.zeros(0, np.bool_),
        cost=np.zeros(0, np.float32),
        class_of=nobody,
        allowed=np.ones((1, n_pms), np.bool_),
        group_of=np.zeros((0, 0), np.int32),
        group_scope=nobody,
        group_limit=nobody,
    )


def _expect_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"Expected {name} between 0 and 1, got {value}.")
