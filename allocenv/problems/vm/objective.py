"""What rescheduling is for: fragment rates of chunk sizes, memory fragments, emptied machines, mixtures.

The X-core fragment rate is the share of free cores that no X-core VM can use:
`FR_X = 1 - X * chunks / free`, where `chunks` counts the X-core VMs that would still fit (VMR2L,
EuroSys 2025, section 3). Moving VMs keeps `free` constant, so a lower rate means more chunks, and every
objective here is a constant minus a sum over machines. Search and exact solvers rest on that.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, IntArray
from allocenv.core.files import one_line
from allocenv.problems.vm.cluster import INT_MAX

# What one unit of a resource, as people write it, is in the integers of a cluster.
UNITS = {"cpu": 1000, "memory": 1024, "gpu": 1000}  # cores -> millicores, GiB -> MiB, GPUs -> milli-GPUs

MAX_WEIGHT = 1e6


@dataclass(frozen=True)
class ChunkTerm:
    """The fragment rate of a chunk size: `weight * FR`.

    `chunk` is in cores, GiB, GPUs (others: as stored); `nodes` is how many NUMA nodes of one machine it
    takes, in equal parts: 1 for a single-NUMA VM, 2 for a double-NUMA one.
    """

    resource: str
    chunk: float
    nodes: int = 1
    weight: float = 1.0


@dataclass(frozen=True)
class Objective:
    """A weighted sum to minimise: chunk fragment rates, less `empty` times the share of emptied machines."""

    terms: tuple[ChunkTerm, ...]
    empty: float = 0.0

    @classmethod
    def parse(cls, text: str) -> "Objective":
        """Read `cpu:16`, `cpu:64x2` (double-NUMA), `empty`, or a mixture `0.7*cpu:16 + 0.3*memory:64`."""
        terms, empty = [], 0.0
        for part in text.split("+"):
            found = _PART.fullmatch(part.strip())
            if found is None:
                raise ValueError(
                    f"Expected an objective such as 'cpu:16', 'cpu:64x2', 'empty' or "
                    f"'0.7*cpu:16 + 0.3*memory:64', got {one_line(text)!r}."
                )
            weight = float(found["weight"] or 1)
            if weight > MAX_WEIGHT:
                raise ValueError(f"Expected a weight of at most {MAX_WEIGHT:g} in {one_line(part.strip())!r}.")
            if found["resource"] is None:
                empty += weight
                continue
            chunk, nodes = float(found["chunk"]), int(found["nodes"] or 1)
            if not 0 < chunk <= INT_MAX or nodes not in (1, 2):
                raise ValueError(f"Expected 0 < chunk <= {INT_MAX} and 1 or 2 nodes in {one_line(part.strip())!r}.")
            terms.append(ChunkTerm(found["resource"], chunk, nodes, weight))
        return cls(tuple(sorted(terms, key=lambda term: -term.weight)), empty)

    def __str__(self) -> str:
        parts = [
            f"{'' if t.weight == 1 else f'{t.weight:g}*'}{t.resource}:{t.chunk:g}{'x2' if t.nodes == 2 else ''}"
            for t in self.terms
        ]
        if self.empty:
            parts.append("empty" if self.empty == 1 else f"{self.empty:g}*empty")
        return " + ".join(parts)


_PART = re.compile(
    r"(?:(?P<weight>\d*\.?\d+)\s*\*\s*)?"
    r"(?:empty|(?P<resource>[a-zA-Z][\w./-]*):(?P<chunk>\d*\.?\d+)(?:x(?P<nodes>\d))?)"
)

ON_HOST = 0  # a term of a resource that a machine offers as a whole, not by NUMA node


class Rules(NamedTuple):
    """An objective in the integers of a cluster's resources, as the kernels take it."""

    n_cells: int  # NUMA nodes (or GPUs) of a machine, at most
    n_cell_resources: int
    term_resource: IntArray  # [T]  index among the cell's resources, or among all where ON_HOST
    term_chunk: IntArray  # [T]  what the chunk takes of each of its cells
    term_nodes: IntArray  # [T]  1, 2 or ON_HOST
    term_weight: Array  # [T]  float64
    empty_weight: float
    goal: float  # stop once the objective is this low; -inf: never
    move_price: float  # reward lost per move and unit of the VM's cost, in chunks


def compile_rules(
    objective: Objective,
    n_cells: int,
    cell_resources: tuple[str, ...],
    host_resources: tuple[str, ...],
    goal: float | None = None,
    move_price: float = 0.0,
) -> Rules:
    """The objective in integers. Raises ValueError for a resource the machines do not have.

    The first term also gives the observation its scale; where there is none (objective `empty`), a chunk of
    16 units of the first resource with weight 0 does.
    """
    terms = objective.terms or (ChunkTerm((cell_resources + host_resources)[0], 16.0, 1, 0.0),)
    resource, chunk, nodes = [], [], []
    for term in terms:
        whole = term.chunk * UNITS.get(term.resource, 1)
        if term.resource in cell_resources:
            resource.append(cell_resources.index(term.resource))
            nodes.append(term.nodes)
            chunk.append(round(whole / term.nodes))
        elif term.resource in host_resources:
            resource.append(n_cells * len(cell_resources) + host_resources.index(term.resource))
            nodes.append(ON_HOST)
            chunk.append(round(whole))
        else:
            raise ValueError(
                f"Expected the objective to name one of {', '.join(cell_resources + host_resources)}, "
                f"got {one_line(term.resource)!r}."
            )
        if not 1 <= chunk[-1] <= INT_MAX:
            raise ValueError(f"Expected a chunk of {term.resource} from 1 to {INT_MAX} units, got {chunk[-1]}.")
    return Rules(
        n_cells=n_cells,
        n_cell_resources=len(cell_resources),
        term_resource=np.array(resource, np.int32),
        term_chunk=np.array(chunk, np.int32),
        term_nodes=np.array(nodes, np.int32),
        term_weight=np.array([term.weight for term in terms], np.float64),
        empty_weight=float(objective.empty),
        goal=-np.inf if goal is None else float(goal),
        move_price=float(move_price),
    )
