"""Where episodes begin: one snapshot, a churned snapshot, or the embedded generator."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.dynamics import Shape


class Source(Protocol):
    """Draws clusters of one schema (cells, resources), none larger than `limits`."""

    @property
    def example(self) -> Cluster:
        """A cluster of the schema."""

    @property
    def limits(self) -> Shape:
        """No cluster drawn is larger. `terms` is 0: it is the objective's."""

    def draw(self, rng: np.random.Generator) -> Cluster: ...


def shape_of(cluster: Cluster, spare_vms: int = 0) -> Shape:
    """The arrays that hold the cluster, with room for some VMs more."""
    return Shape(
        vms=cluster.n_vms + spare_vms,
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
class Snapshot:
    """Every episode begins at the same cluster."""

    example: Cluster

    @property
    def limits(self) -> Shape:
        return shape_of(self.example)

    def draw(self, rng: np.random.Generator) -> Cluster:
        return self.example
