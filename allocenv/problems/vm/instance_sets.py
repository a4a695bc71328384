"""Named, fixed instances to be judged on. Trainings use seeds from 1,000 on and never these."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from allocenv.core.instance_sets import bare_name
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.instances import calibrated, churned
from allocenv.problems.vm.sources import real_snapshot

if TYPE_CHECKING:
    from allocenv.problems.vm.problem import VM

VERSION = 1  # raised whenever a name comes to hold something else
# Name -> what it holds; for `allocenv list vm`.
INSTANCE_SETS = {
    "default": "20 made-up clusters of 100 machines, calibrated to T1; needs no data",
    "t1": "T1: ByteDance's Medium snapshot after churn, seeds 0 to 19 (facts: greedy 0.401, optimum 0.2864)",
    "validation": "as T1, seeds 2000 to 2009: to choose and tune by",
    "medium": "ByteDance's Medium snapshot as it is: 279 machines, 2,089 VMs",
    "large": "ByteDance's Large snapshot: 1,176 machines, 4,546 VMs",
}


def instance_set(problem: "VM", name: str) -> Iterator[tuple[str, Cluster]]:
    """Pairs (label, cluster). Raises ValueError for an unknown name or version, or where its data is not there."""
    name = bare_name(name, VERSION)
    if name == "default":
        for seed in range(20):
            yield f"default-{seed}", calibrated(100, np.random.default_rng([500_000, seed]))
    elif name in ("t1", "validation"):
        base = real_snapshot("medium")
        for seed in range(20) if name == "t1" else range(2000, 2010):
            yield f"{name}-{seed}", churned(base, np.random.default_rng(seed))
    elif name in ("medium", "large"):
        yield name, real_snapshot(name)
    else:
        raise ValueError(f"Expected an instance set, one of {', '.join(INSTANCE_SETS)}; got {name!r}.")
