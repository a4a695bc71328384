"""Two plain CSV files, for any cluster that has no reader of its own: `pms.csv` and `vms.csv` in one folder.

`pms.csv`, a line a machine:

| column | holds |
|---|---|
| `id` | its name |
| `cpu`, `memory_gib` | cores and GiB of the whole machine; fractions are fine |
| `numa` | number of NUMA nodes, each with an equal part; default 1 |
| `rack` | its rack, for `rack_group` |
| `status` | `ACTIVE` (default); anything else keeps its VMs, takes none, counts in no rate |
| any other | an extended resource of the whole machine, such as `gpu` |

`vms.csv`, a line a VM:

| column | holds |
|---|---|
| `id`, `pm` | its name and its machine |
| `cpu`, `memory_gib` | of the whole VM, taken in equal parts from its NUMA nodes |
| `numa_nodes` | `0`, `1`, `0+1`, ...; empty: as few nodes as have room, the fullest first |
| `movable` | `true` (default) or `false` |
| `cost` | of one migration, at least 0; default 1 |
| `group`, `rack_group` | names, separated by `;`: VMs of one group share no host (no rack) |
| `may_run_on` | machine names, separated by `;`; empty: any |
| `type` | a name for equal VMs |
| any other | what it takes of the extended resource of that name |

Only `id`, `cpu`, `memory_gib` and `pm` are required. Empty cells mean the default (0 for extended resources).
"""

import csv
from collections import Counter, defaultdict
from decimal import Decimal
from io import StringIO
from itertools import combinations
from math import comb
from os.path import exists, isdir
from pathlib import Path
from typing import Any

import numpy as np

from allocenv.core.files import InputError, write_atomically
from allocenv.problems.vm.cluster import MAX_VARIANTS, PM, VM, Cluster, ClusterError, Group, build_cluster
from allocenv.problems.vm.formats.fields import Row, read_rows
from allocenv.problems.vm.objective import UNITS

PM_COLUMNS = ("id", "cpu", "memory_gib", "numa", "rack", "status")
VM_COLUMNS = (
    "id", "pm", "cpu", "memory_gib", "numa_nodes",
    "movable", "cost", "group", "rack_group", "may_run_on", "type",
)  # fmt: skip
REQUIRED_COLUMNS = ("id", "cpu", "memory_gib")  # of both
MAX_NUMA = 64
_FLAGS = {"": True, "true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_CELL = ("cpu", "memory_gib")


def read_table(path: str | Path, vms: str | Path | None = None) -> Cluster:
    """Read a snapshot from the folder of both files, from one of them in it, or from two files by any name.

    Raises:
        InputError: a column that is missing or unknown, a cell that is not what its column holds (with file,
            line and column), a VM without `numa_nodes` that its machine has no room for, or what
            `build_cluster` finds wrong.
    """
    path = Path(path)
    folder = path if isdir(path) else path.parent
    pms_path = _one_of(folder, "pms") if vms is None else path
    vms_path = _one_of(folder, "vms") if vms is None else Path(vms)
    header, pm_rows = _rows(pms_path, REQUIRED_COLUMNS, None)
    extended = [name for name in header if name not in PM_COLUMNS]
    for name in extended:
        if name in (*VM_COLUMNS, "memory"):
            raise InputError(str(pms_path), "header", name, f"one of {', '.join(PM_COLUMNS)} or another name")
    pms = {row["id"]: _pm(row, extended) for row in pm_rows}
    if len(pms) < len(pm_rows):
        twice = Counter(row["id"] for row in pm_rows).most_common(1)[0][0]
        raise InputError(str(pms_path), "column id", twice, "a different id on each line")
    _, vm_rows = _rows(vms_path, (*REQUIRED_COLUMNS, "pm"), (*VM_COLUMNS, *extended))
    records = _vms(vm_rows, extended, pms)
    return build_cluster(str(folder), list(pms.values()), records, _groups(vm_rows))


def holds_table(folder: Path) -> bool:
    """Whether the folder has both files."""
    return all(any(exists(folder / f"{name}{end}") for end in (".csv", ".csv.gz")) for name in ("pms", "vms"))


def _one_of(folder: Path, name: str) -> Path:
    packed = folder / f"{name}.csv.gz"
    return packed if exists(packed) else folder / f"{name}.csv"


def _rows(path: Path, required: tuple[str, ...], known: tuple[str, ...] | None) -> tuple[list[str], list[Row]]:
    header, rows = read_rows(path)
    for name in required:
        if name not in header:
            raise InputError(str(path), "header", ", ".join(header), f"a column {name}")
    for name in header:
        if known is not None and name not in known:
            raise InputError(str(path), "header", name, f"one of {', '.join(known)}")
    return header, rows


def _pm(row: Row, extended: list[str]) -> PM:
    nodes = row.whole("numa", 1, MAX_NUMA) if row["numa"] else 1
    cpu, memory = (row.scaled(name, unit, up=False) for name, unit in zip(_CELL, (1000, 1024), strict=True))
    return PM(
        id=row.id("id"),
        cells=({"cpu": cpu // nodes, "memory": memory // nodes},) * nodes,
        own={name: _extended(row, name, up=False) for name in extended},
        active=row["status"] in ("", "ACTIVE"),
        rack=row["rack"],
    )


def _extended(row: Row, name: str, *, up: bool) -> int:
    return row.scaled(name, UNITS.get(name, 1), up=up) if row[name] else 0


def _vms(rows: list[Row], extended: list[str], pms: dict[str, PM]) -> list[VM]:
    """The VMs in file order. Those without `numa_nodes` are given theirs after the others, largest first."""
    totals = [(row.scaled("cpu", 1000, up=True), row.scaled("memory_gib", 1024, up=True)) for row in rows]
    for row in rows:
        if row["pm"] not in pms:
            raise row.wrong("pm", "the id of a machine in pms.csv")
    free = {name: [[cell["cpu"], cell["memory"]] for cell in pm.cells] for name, pm in pms.items()}
    cells: dict[int, tuple[int, ...]] = {}
    for i, row in enumerate(rows):
        if row["numa_nodes"]:
            cells[i] = _stated_nodes(row, pms[row["pm"]])
            _take(free[row["pm"]], cells[i], totals[i])
    for i in sorted(set(range(len(rows))) - cells.keys(), key=lambda i: totals[i], reverse=True):
        cells[i] = _chosen_nodes(rows[i], free[rows[i]["pm"]], totals[i])
        _take(free[rows[i]["pm"]], cells[i], totals[i])
    return [_vm(row, extended, cells[i], totals[i]) for i, row in enumerate(rows)]


def _vm(row: Row, extended: list[str], cells: tuple[int, ...], total: tuple[int, int]) -> VM:
    if row["movable"].lower() not in _FLAGS:
        raise row.wrong("movable", "true or false")
    if not any(total):
        raise row.wrong("cpu", "more than 0 of cpu or memory_gib")
    permitted = _names(row, "may_run_on")
    cpu, memory = _part(total, len(cells))
    return VM(
        id=row.id("id"),
        pm=row["pm"],
        cells=cells,
        per_cell={"cpu": cpu, "memory": memory},
        own={name: _extended(row, name, up=True) for name in extended},
        movable=_FLAGS[row["movable"].lower()],
        cost=float(row.decimal("cost", 0, 10**9)) if row["cost"] else 1.0,
        may_run_on=frozenset(permitted) if permitted else None,
        type=row["type"],
    )


def _stated_nodes(row: Row, pm: PM) -> tuple[int, ...]:
    parts = row["numa_nodes"].split("+")
    known = {str(k): k for k in range(len(pm.cells))}
    if len(set(parts)) < len(parts) or not known.keys() >= set(parts):
        raise row.wrong("numa_nodes", f"different nodes of {pm.id} from 0 to {len(known) - 1}, joined by +")
    return tuple(sorted(known[part] for part in parts))


def _chosen_nodes(row: Row, free: list[list[int]], total: tuple[int, int]) -> tuple[int, ...]:
    """As few nodes as have room for equal parts, of those the ones with least CPU left."""
    for n in range(1, len(free) + 1):
        if comb(len(free), n) > MAX_VARIANTS:
            break
        cpu, memory = _part(total, n)
        fitting = [k for k, (cores, mib) in enumerate(free) if cores >= cpu and mib >= memory]
        if len(fitting) >= n:
            return min(combinations(fitting, n), key=lambda nodes: sum(free[k][0] for k in nodes))
    raise row.wrong("numa_nodes", f"room for it on {row['pm']}, which has no node or set of nodes with that much left")


def _part(total: tuple[int, int], nodes: int) -> tuple[int, int]:
    return -(-total[0] // nodes), -(-total[1] // nodes)


def _take(free: list[list[int]], cells: tuple[int, ...], total: tuple[int, int]) -> None:
    cpu, memory = _part(total, len(cells))
    for k in cells:
        free[k][0] -= cpu
        free[k][1] -= memory


def _groups(rows: list[Row]) -> list[Group]:
    members: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in rows:
        for column, scope in (("group", "host"), ("rack_group", "rack")):
            for name in _names(row, column):
                members[scope, name].append(row["id"])
    return [Group(tuple(held), scope, id=name) for (scope, name), held in members.items()]


def _names(row: Row, column: str) -> list[str]:
    return [name.strip() for name in row[column].split(";") if name.strip()]


def write_table(cluster: Cluster, folder: str | Path) -> None:
    """Write the snapshot as such a folder.

    Raises:
        ClusterError: the tables cannot say it: cells that are no NUMA nodes with CPU and memory or are
            unequal within a machine, VMs that take no cell, a group that allows more than one.
    """
    _expect_expressible(cluster)
    write_atomically(Path(folder) / "pms.csv", _csv(_pm_table(cluster)))
    write_atomically(Path(folder) / "vms.csv", _csv(_vm_table(cluster)))


def _expect_expressible(cluster: Cluster) -> None:
    def refuse(field: str, found: object, expected: str) -> None:
        raise ClusterError(cluster.source, field, found, f"{expected}: the tables know no more")

    if cluster.cell_resources != ("cpu", "memory"):
        refuse("resources of NUMA nodes", cluster.cell_resources, "cpu and memory")
    for n, numa in enumerate(_numa(cluster)):
        if len(np.unique(_cells(cluster)[n, :numa], axis=0)) > 1:
            refuse(f"PM {cluster.pm_ids[n]}", "unequal NUMA nodes", "equal ones")
    if not cluster.shape_nodes.all():
        refuse("NUMA nodes of a VM", 0, "at least one")
    if (cluster.group_limit != 1).any():
        refuse("group limit", int(cluster.group_limit.max()), "1")
    for name in (*cluster.pm_ids, *cluster.vm_ids, *cluster.host_resources):
        if ";" in name or name != name.strip():
            refuse("name", name, "a name without `;` or blanks around it")
    for name in cluster.host_resources:
        if name in (*PM_COLUMNS, *VM_COLUMNS, *cluster.cell_resources):
            refuse("resource", name, "a name that is no column of its own")


def _cells(cluster: Cluster) -> Any:
    """What each cell offers: [N, K, 2]."""
    return cluster.capacity[: 2 * cluster.n_cells].reshape(cluster.n_cells, 2, -1).transpose(2, 0, 1)


def _numa(cluster: Cluster) -> list[int]:
    """How many cells each machine has; one that offers nothing is taken not to be there."""
    offers = _cells(cluster).any(axis=2)
    return [max(int(np.flatnonzero(row).max(initial=0)) + 1, 1) for row in offers]


def _pm_table(cluster: Cluster) -> list[list[Any]]:
    table: list[list[Any]] = [[*PM_COLUMNS, *cluster.host_resources]]
    cells = _cells(cluster)
    first = 2 * cluster.n_cells
    for n, numa in enumerate(_numa(cluster)):
        cpu, memory = cells[n].sum(axis=0)
        own = [
            _plain(cluster.capacity[first + p, n], UNITS.get(name, 1)) for p, name in enumerate(cluster.host_resources)
        ]
        status = "ACTIVE" if cluster.active[n] else "DISABLED"
        table.append(
            [
                cluster.pm_ids[n],
                _plain(cpu, 1000),
                _plain(memory, 1024),
                numa,
                cluster.rack_of[n],
                status,
                *own,
            ]
        )
    return table


def _vm_table(cluster: Cluster) -> list[list[Any]]:
    table: list[list[Any]] = [[*VM_COLUMNS, *cluster.host_resources]]
    for m, name in enumerate(cluster.vm_ids):
        shape = cluster.shape_of[m]
        cpu, memory, *own = cluster.shape_demand[shape].tolist()
        nodes = int(cluster.shape_nodes[shape])
        groups = [int(g) for g in cluster.group_of[m] if g >= 0]
        permitted = cluster.allowed[cluster.class_of[m]]
        table.append([
            name,
            cluster.pm_ids[cluster.bin_of[m]],
            _plain(cpu * nodes, 1000),
            _plain(memory * nodes, 1024),
            "+".join(map(str, cluster.cells_of(m, int(cluster.variant_of[m])))),
            "true" if cluster.movable[m] else "false",
            f"{cluster.cost[m]:.9g}",
            ";".join(str(g) for g in groups if cluster.group_scope[g] == 0),
            ";".join(str(g) for g in groups if cluster.group_scope[g] == 1),
            "" if permitted.all() else ";".join(np.array(cluster.pm_ids)[permitted].tolist()),
            cluster.vm_types[m] if cluster.vm_types else "",
            *(_plain(amount, UNITS.get(p, 1)) for p, amount in zip(cluster.host_resources, own, strict=True)),
        ])  # fmt: skip
    return table


def _plain(amount: Any, unit: int) -> str:
    """The amount as people write it, exactly."""
    return f"{(Decimal(int(amount)) / unit).normalize():f}"


def _csv(table: list[list[Any]]) -> str:
    out = StringIO()
    csv.writer(out, lineterminator="\n").writerows(table)
    return out.getvalue()
