"""The instance of VM rescheduling: a cluster snapshot, checked once, then only arrays.

A machine (PM) has up to K cells (NUMA nodes; or GPUs) with C resources each, and P resources of its own
(extended resources). A VM takes equal parts of `nodes` cells of one machine (1: single-NUMA, 2: double-NUMA,
0: none) and some of the machine's own resources. Which cells is its variant.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from math import comb

import numpy as np

from allocenv.core.arrays import Array, BoolArray, IntArray, LongArray
from allocenv.core.files import InputError

INT_MAX = 2**31 - 1
MAX_VARIANTS = 512
MAX_COST = 1e9


class ClusterError(InputError):
    """A snapshot that cannot be: names the file, the field, the value found and what was expected."""


@dataclass(frozen=True)
class PM:
    """A physical machine as a reader found it. Amounts in millicores, MiB, milli-GPUs."""

    id: str
    cells: tuple[Mapping[str, int], ...]
    own: Mapping[str, int] = field(default_factory=dict)
    active: bool = True  # DISABLED machines keep their VMs, take none and count in no fragment rate
    rack: str = ""


@dataclass(frozen=True)
class VM:
    """A virtual machine (or pod) as a reader found it."""

    id: str
    pm: str
    cells: tuple[int, ...]  # which cells of its machine; empty: none
    per_cell: Mapping[str, int]  # what it takes of each of them
    own: Mapping[str, int] = field(default_factory=dict)  # what it takes of the machine's own resources
    movable: bool = True
    cost: float = 1.0
    may_run_on: frozenset[str] | None = None  # machine ids; None: any
    type: str = ""


@dataclass(frozen=True)
class Group:
    """Hard anti-affinity: at most `limit` of the members in one host (or one rack)."""

    members: tuple[str, ...]  # VM ids
    scope: str = "host"  # or "rack"
    limit: int = 1
    id: str = ""


@dataclass(frozen=True, eq=False)
class Cluster:
    """A cluster snapshot as arrays. Build it with `build_cluster`, which checks everything."""

    source: str
    cell_resources: tuple[str, ...]  # C names
    host_resources: tuple[str, ...]  # P names
    n_cells: int  # K
    pm_ids: tuple[str, ...]
    vm_ids: tuple[str, ...]
    capacity: IntArray  # [K*C + P, N]  cell k's resource c is row k*C + c
    active: BoolArray  # [N]
    rack_of: IntArray  # [N]
    shape_nodes: IntArray  # [S]  how many cells the shape takes
    shape_demand: IntArray  # [S, C + P]  per cell taken, then of the machine
    shape_of: IntArray  # [M]
    bin_of: IntArray  # [M]
    variant_of: IntArray  # [M]
    movable: BoolArray  # [M]
    cost: Array  # [M] float32
    class_of: IntArray  # [M]  which row of `allowed` holds for the VM
    allowed: BoolArray  # [classes, N]  row 0: everywhere
    group_of: IntArray  # [M, groups of a VM at most]  or -1
    group_scope: IntArray  # [G]  0 host, 1 rack
    group_limit: IntArray  # [G]
    vm_types: tuple[str, ...] = ()

    @property
    def n_pms(self) -> int:
        return len(self.pm_ids)

    @property
    def n_vms(self) -> int:
        return len(self.vm_ids)

    @cached_property
    def variants(self) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """The cells of each variant, for each number of nodes 0..K (none where they would be too many)."""
        k = self.n_cells
        return tuple(tuple(combinations(range(k), n)) if comb(k, n) <= MAX_VARIANTS else () for n in range(k + 1))

    @cached_property
    def n_variants(self) -> IntArray:
        """How many variants each shape has: [S]."""
        return np.array([len(self.variants[n]) for n in self.shape_nodes], np.int32)

    @cached_property
    def demand(self) -> IntArray:
        """What each shape takes as each variant: [S, V, K*C + P]."""
        c, k = len(self.cell_resources), self.n_cells
        out = np.zeros((len(self.shape_nodes), self.n_variants.max(initial=1), self.capacity.shape[0]), np.int32)
        for shape, nodes in enumerate(self.shape_nodes):
            for v, cells in enumerate(self.variants[nodes]):
                for cell in cells:
                    out[shape, v, cell * c : (cell + 1) * c] = self.shape_demand[shape, :c]
                out[shape, v, k * c :] = self.shape_demand[shape, c:]
        return out

    @cached_property
    def used(self) -> LongArray:
        """What the VMs take of each machine: [K*C + P, N]."""
        out = np.zeros(self.capacity.shape, np.int64)
        np.add.at(out.T, self.bin_of, self.demand[self.shape_of, self.variant_of])
        return out

    def cells_of(self, vm: int, variant: int) -> tuple[int, ...]:
        """The cells the VM would take as the variant."""
        return self.variants[int(self.shape_nodes[self.shape_of[vm]])][variant]

    def moved(self, bin_of: IntArray, variant_of: IntArray) -> "Cluster":
        """The same cluster with its VMs elsewhere. The caller answers for capacity."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return Cluster(**{**values, "bin_of": bin_of.astype(np.int32), "variant_of": variant_of.astype(np.int32)})


def build_cluster(source: str, pms: Sequence[PM], vms: Sequence[VM], groups: Sequence[Group] = ()) -> Cluster:
    """Check the records of a snapshot and turn them into arrays.

    Raises:
        ClusterError: an empty cluster, machines without any resource, a duplicate id, an unknown machine, cell
            or resource, a negative or huge amount, a VM larger than its machine, a machine over its capacity,
            an unknown group member.
    """
    if not pms:
        raise ClusterError(source, "PMs", 0, "at least one physical machine")
    pm_index = _index(source, "PM id", [pm.id for pm in pms])
    vm_index = _index(source, "VM id", [vm.id for vm in vms])
    cell_resources = _resources([cell for pm in pms for cell in pm.cells])
    host_resources = _resources([pm.own for pm in pms])
    if not cell_resources and not host_resources:
        raise ClusterError(source, "PMs", "no resource", "machines that offer something, such as cpu")
    n_cells = max(len(pm.cells) for pm in pms)
    capacity = _capacity(source, pms, n_cells, cell_resources, host_resources)
    shapes: dict[tuple[int, ...], int] = {}
    shape_of, bin_of, variant_of = [], [], []
    for vm in vms:
        pm, nodes, demand = _checked_vm(source, vm, pms, pm_index, cell_resources, host_resources)
        shape_of.append(shapes.setdefault((nodes, *demand), len(shapes)))
        bin_of.append(pm)
        n_variants = comb(n_cells, nodes)
        if n_variants > MAX_VARIANTS:
            raise ClusterError(
                source, f"VM {vm.id}: cells", list(vm.cells),
                f"a choice of cells with at most {MAX_VARIANTS} ways, not {n_variants}",
            )  # fmt: skip
        cells = tuple(sorted(vm.cells)) if nodes else ()
        variant_of.append(list(combinations(range(n_cells), nodes)).index(cells))
    table = np.array(list(shapes) or np.zeros((0, 1 + len(cell_resources) + len(host_resources))), np.int64)
    class_of, allowed = _classes(source, vms, pm_index)
    racks = {rack: i for i, rack in enumerate(dict.fromkeys(pm.rack for pm in pms))}
    cluster = Cluster(
        source=source,
        cell_resources=cell_resources,
        host_resources=host_resources,
        n_cells=n_cells,
        pm_ids=tuple(pm_index),
        vm_ids=tuple(vm_index),
        capacity=capacity,
        active=np.array([pm.active for pm in pms]),
        rack_of=np.array([racks[pm.rack] for pm in pms], np.int32),
        shape_nodes=table[:, 0].astype(np.int32),
        shape_demand=table[:, 1:].astype(np.int32),
        shape_of=np.array(shape_of, np.int32),
        bin_of=np.array(bin_of, np.int32),
        variant_of=np.array(variant_of, np.int32),
        movable=np.array([vm.movable for vm in vms], np.bool_),
        cost=_costs(source, vms),
        class_of=class_of,
        allowed=allowed,
        group_of=_memberships(source, groups, vm_index),
        group_scope=np.array([group.scope == "rack" for group in groups], np.int32),
        group_limit=np.array([group.limit for group in groups], np.int32),
        vm_types=tuple(vm.type for vm in vms),
    )
    _expect_capacity(cluster)
    return cluster


def _index(source: str, what: str, ids: Sequence[str]) -> dict[str, int]:
    index: dict[str, int] = {}
    for i, name in enumerate(ids):
        if not name:
            raise ClusterError(source, what, name, "a non-empty id")
        if name in index:
            raise ClusterError(source, what, name, f"unique ids; records {index[name]} and {i} share it")
        index[name] = i
    return index


def _resources(offers: Iterable[Mapping[str, int]]) -> tuple[str, ...]:
    names = {name for offer in offers for name in offer}
    return tuple(sorted(names, key=lambda name: (name != "cpu", name != "memory", name)))


def _capacity(source: str, pms: Sequence[PM], n_cells: int, cell: tuple[str, ...], host: tuple[str, ...]) -> IntArray:
    out = np.zeros((n_cells * len(cell) + len(host), len(pms)), np.int64)
    for n, pm in enumerate(pms):
        for k, offer in enumerate(pm.cells):
            for c, name in enumerate(cell):
                out[k * len(cell) + c, n] = _amount(source, f"PM {pm.id}: cell {k}: {name}", offer.get(name, 0))
        for p, name in enumerate(host):
            out[n_cells * len(cell) + p, n] = _amount(source, f"PM {pm.id}: {name}", pm.own.get(name, 0))
    return out.astype(np.int32)


def _amount(source: str, what: str, found: int) -> int:
    if not isinstance(found, (int, np.integer)) or not 0 <= found <= INT_MAX:
        raise ClusterError(source, what, found, f"a whole number from 0 to {INT_MAX}")
    return int(found)


def _checked_vm(
    source: str,
    vm: VM,
    pms: Sequence[PM],
    pm_index: Mapping[str, int],
    cell: tuple[str, ...],
    host: tuple[str, ...],
) -> tuple[int, int, tuple[int, ...]]:
    """The VM's machine, number of cells, and demand (per cell, then of the machine).

    A VM that takes nothing of its cells takes no cell: it would fit on cells that are not there.
    """
    if vm.pm not in pm_index:
        raise ClusterError(source, f"VM {vm.id}: host", vm.pm, "the id of a PM of the cluster")
    for name in vm.per_cell:
        if name not in cell:
            raise ClusterError(source, f"VM {vm.id}: resource", name, f"one of {', '.join(cell) or 'none'}")
    for name in vm.own:
        if name not in host:
            raise ClusterError(source, f"VM {vm.id}: resource", name, f"one of {', '.join(host) or 'none'}")
    pm = pm_index[vm.pm]
    if len(set(vm.cells)) != len(vm.cells) or not all(0 <= k < len(pms[pm].cells) for k in vm.cells):
        raise ClusterError(
            source,
            f"VM {vm.id}: cells",
            list(vm.cells),
            f"distinct cells of {vm.pm}, 0 to {len(pms[pm].cells) - 1}",
        )
    per_cell = [_amount(source, f"VM {vm.id}: {name}", vm.per_cell.get(name, 0)) for name in cell]
    own = [_amount(source, f"VM {vm.id}: {name}", vm.own.get(name, 0)) for name in host]
    return pm, len(vm.cells) if any(per_cell) else 0, (*per_cell, *own)


def _costs(source: str, vms: Sequence[VM]) -> Array:
    for vm in vms:
        if not 0 <= vm.cost <= MAX_COST:
            raise ClusterError(source, f"VM {vm.id}: cost", vm.cost, f"a number from 0 to {MAX_COST:g}")
    return np.array([vm.cost for vm in vms], np.float32)


def _classes(source: str, vms: Sequence[VM], pm_index: Mapping[str, int]) -> tuple[IntArray, BoolArray]:
    """VMs with the same set of permitted machines form a class; class 0 may run anywhere."""
    classes: dict[frozenset[str] | None, int] = {None: 0}
    class_of = [classes.setdefault(vm.may_run_on, len(classes)) for vm in vms]
    allowed = np.ones((len(classes), len(pm_index)), np.bool_)
    for permitted, row in classes.items():
        if permitted is not None:
            unknown = permitted - pm_index.keys()
            if unknown:
                raise ClusterError(source, "permitted hosts", min(unknown), "the id of a PM of the cluster")
            allowed[row] = False
            allowed[row, [pm_index[name] for name in permitted]] = True
    return np.array(class_of, np.int32), allowed


def _memberships(source: str, groups: Sequence[Group], vm_index: Mapping[str, int]) -> IntArray:
    held: list[list[int]] = [[] for _ in vm_index]
    for g, group in enumerate(groups):
        if group.scope not in ("host", "rack"):
            raise ClusterError(source, f"group {group.id or g}: scope", group.scope, "'host' or 'rack'")
        if not 1 <= group.limit <= INT_MAX:
            raise ClusterError(source, f"group {group.id or g}: limit", group.limit, f"from 1 to {INT_MAX}")
        for name in dict.fromkeys(group.members):
            if name not in vm_index:
                raise ClusterError(source, f"group {group.id or g}: member", name, "the id of a VM")
            held[vm_index[name]].append(g)
    out = np.full((len(held), max(map(len, held), default=0)), -1, np.int32)
    for vm, mine in enumerate(held):
        out[vm, : len(mine)] = mine
    return out


def _expect_capacity(cluster: Cluster) -> None:
    over = np.argwhere(cluster.used > cluster.capacity)
    if len(over) == 0:
        return
    r, n = over[0]
    c = len(cluster.cell_resources)
    if r < cluster.n_cells * c:
        what = f"cell {r // c}: {cluster.cell_resources[r % c]}"
    else:
        what = cluster.host_resources[r - cluster.n_cells * c]
    holders = np.flatnonzero(cluster.bin_of == n)
    largest = max(holders, key=lambda m: cluster.demand[cluster.shape_of[m], cluster.variant_of[m], r])
    need = int(cluster.demand[cluster.shape_of[largest], cluster.variant_of[largest], r])
    if need > cluster.capacity[r, n]:
        raise ClusterError(
            cluster.source, f"VM {cluster.vm_ids[largest]}: {what}", need,
            f"at most what its host {cluster.pm_ids[n]} has, {cluster.capacity[r, n]}",
        )  # fmt: skip
    raise ClusterError(
        cluster.source, f"PM {cluster.pm_ids[n]}: {what}: used by its {len(holders)} VMs",
        int(cluster.used[r, n]), f"at most its total, {cluster.capacity[r, n]}",
    )  # fmt: skip
