"""Where episodes begin: a snapshot, a churned snapshot, or the embedded generator. Named as in configs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from allocenv.core.data import data_folder
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.dynamics import Shape
from allocenv.problems.vm.instances import Calibration, Flavour, Model, calibrated, churned

SPARE = 1.25  # how many times the VMs of its example a drawn cluster may have
MAX_DRAWS = 100


class Source(Protocol):
    """Draws clusters of one schema (cells, resources), none larger than `limits`."""

    @property
    def example(self) -> Cluster:
        """A cluster of the schema."""

    @property
    def limits(self) -> Shape:
        """No cluster drawn is larger. `terms` is 0: it is the objective's."""

    def draw(self, rng: np.random.Generator) -> Cluster: ...


def arrays_for(cluster: Cluster, vms: int) -> Shape:
    """The arrays that hold the cluster, or one like it with `vms` VMs."""
    return Shape(
        vms=vms,
        pms=cluster.n_pms,
        resources=cluster.capacity.shape[0],
        shapes=max(len(cluster.shape_nodes), 1),
        variants=cluster.demand.shape[1],
        classes=len(cluster.allowed),
        groups=len(cluster.group_scope),
        groups_of_a_vm=cluster.group_of.shape[1],
        terms=0,
    )


@dataclass(frozen=True)
class Given:
    """Every episode begins at one of these clusters."""

    clusters: tuple[Cluster, ...]

    def __post_init__(self) -> None:
        schemas = {(c.n_cells, c.cell_resources, c.host_resources) for c in self.clusters}
        if len(schemas) != 1:
            raise ValueError(f"Expected clusters with the same cells and resources, got {sorted(schemas)}.")

    @property
    def example(self) -> Cluster:
        return self.clusters[0]

    @cached_property
    def limits(self) -> Shape:
        return Shape(*(max(sizes) for sizes in zip(*(arrays_for(c, c.n_vms) for c in self.clusters), strict=True)))

    def draw(self, rng: np.random.Generator) -> Cluster:
        return self.clusters[int(rng.integers(len(self.clusters)))] if len(self.clusters) > 1 else self.example


@dataclass(frozen=True)
class Drawn:
    """Every episode begins at a fresh cluster, made like the example."""

    example: Cluster
    make: Callable[[np.random.Generator], Cluster] = field(repr=False)

    @property
    def limits(self) -> Shape:
        return arrays_for(self.example, int(SPARE * self.example.n_vms) + 16)

    def draw(self, rng: np.random.Generator) -> Cluster:
        for _ in range(MAX_DRAWS):
            cluster = self.make(rng)
            if cluster.n_vms <= self.limits.vms:
                return cluster
        raise ValueError(f"None of {MAX_DRAWS} clusters had at most {self.limits.vms} VMs.")


def find_source(name: str, n_pms: int) -> Source:
    """The source of a name: a kind of made-up cluster with `n_pms` machines, `t1`, or a snapshot file.

    Raises:
        ValueError: neither a known name nor a file; or the real data is not there.
    """
    if name in MADE_UP:
        calibration = MADE_UP[name]
        make = lambda rng: calibrated(n_pms, rng, calibration)  # noqa: E731
        return Drawn(make(np.random.default_rng(0)), make)
    if name == "t1":
        base = real_snapshot("medium")
        # By way of another generator: NumPy takes [seed, 0] for `seed`, and T1 itself is seeds 0 to 19.
        return Drawn(base, lambda rng: churned(base, np.random.default_rng(rng.integers(2**63))))
    if name in ("medium", "large"):
        return Given((real_snapshot(name),))
    if Path(name).exists():
        return Given((_read(Path(name)),))
    raise ValueError(
        f"Expected a source among {', '.join([*MADE_UP, 't1', 'medium', 'large'])} or a file, got {name!r}."
    )


def real_snapshot(name: str) -> Cluster:
    """ByteDance's `medium` or `large` snapshot.

    Raises:
        ValueError: the real data is not on this machine.
    """
    folder = data_folder()
    if folder is None:
        raise ValueError(f"Expected the real data of {name!r} in $ALLOCENV_DATA or ../shared/data; there is none.")
    return _read(folder / "vm" / "bytedance" / f"{name}.json.gz")


@cache
def _read(path: Path) -> Cluster:
    from allocenv.problems.vm.formats import read_cluster

    return read_cluster(path)


def _scaled(by: float) -> tuple[Flavour, ...]:
    flavours = Calibration().flavours
    return tuple(Flavour(f.nodes, max(1, round(f.cores * by)), f.weight) for f in flavours)


# Made-up clusters. All but the first are there to train on more than one kind: halving or doubling the VMs is
# what doubling or halving the chunk is.
MADE_UP: dict[str, Calibration] = {
    "calibrated": Calibration(),
    "half_vms": Calibration(flavours=_scaled(0.5), tolerance=np.inf),
    "double_vms": Calibration(flavours=_scaled(2.0), tolerance=np.inf),
    "roomy": Calibration(used=0.82, memory_per_core=4096, empty=0.05, tolerance=np.inf),
    "crowded": Calibration(used=0.94, departures=0.1, tolerance=np.inf),
    "mixed_pms": Calibration(machines=(Model(), Model(32, 131_072), Model(64, 262_144)), tolerance=np.inf),
}
