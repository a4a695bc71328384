"""The JSON of ByteDance's two published clusters, which is also that of VMR2L's instance files.

`cluster_list` > `host_info` (PMs with their NUMA nodes) and `vm_instance` (VMs with the nodes they sit on).
All clusters of a file are pooled into one. Stored free amounts are never read: in the published files the
free memory of node 1 repeats node 0's. CPU is in cores; "MB" are MiB (16 GB of a VM are 16384).
Source: bytedance/DRL-based-VM-Rescheduling, `data/*.json`.
"""

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from allocenv.problems.vm.cluster import PM, VM, Cluster, ClusterError, Group, build_cluster
from allocenv.problems.vm.formats.fields import Field, read_json


def read_bytedance(path: str | Path, text: str | None = None) -> Cluster:
    """Read a snapshot.

    A PM whose `status` is not ACTIVE becomes inactive. Optional: `status`, `rack_id`, `allow_migration`
    (default true), `instance_type`, `other_requirement`. Groups are the deployment sets: `granularity` host
    or rack, `data` the ids of VMs of which no two may share one.

    Raises:
        InputError: a field that is missing or of the wrong type, or what `build_cluster` finds wrong.
    """
    document = read_json(path, text)
    pms: list[PM] = []
    vms: list[VM] = []
    groups: list[Group] = []
    for cluster in document.get("cluster_list").each():
        pms += [_pm(host) for host in cluster.get("host_info").each()]
        vms += [_vm(instance) for instance in cluster.get("vm_instance").each()]
        groups += [_group(found) for found in cluster.each_of("other_requirement", "deployment_set")]
    return build_cluster(str(path), pms, vms, groups)


def _pm(host: Field) -> PM:
    nodes = {node.get("node").whole(0, 1000): node for node in host.get("numa").each()}
    if sorted(nodes) != list(range(len(host.get("numa").value))):
        raise host.get("numa").wrong("nodes numbered 0, 1, ..., each once")
    total = host.get("node_cpu").scaled(1000, up=False)
    cells = [
        {
            "cpu": nodes[k].get("total_cpu").scaled(1000, up=False),
            "memory": nodes[k].get("memory_huge_total_mb").scaled(1, up=False),
        }
        for k in sorted(nodes)
    ]
    if total != sum(cell["cpu"] for cell in cells):
        raise host.get("node_cpu").wrong("the sum of `total_cpu` over the NUMA nodes")
    if host.get("node_mem_mb").scaled(1, up=True) < sum(cell["memory"] for cell in cells):
        raise host.get("node_mem_mb").wrong("at least the sum of `memory_huge_total_mb` over the NUMA nodes")
    status, rack = host.find("status"), host.find("rack_id")
    return PM(
        id=host.get("node_id").id(),
        cells=tuple(cells),
        active=status is None or status.text() == "ACTIVE",
        rack="" if rack is None else rack.label(),
    )


def _vm(instance: Field) -> VM:
    parts = instance.get("numa").each()
    takes = [
        {"cpu": part.get("cpu").scaled(1000, up=True), "memory": part.get("mem_mb").scaled(1, up=True)}
        for part in parts
    ]
    if not parts or any(take != takes[0] for take in takes):
        raise instance.get("numa").wrong("one or more NUMA nodes with equal amounts")
    if takes[0]["cpu"] == 0:
        raise parts[0].get("cpu").wrong("more than 0 cores")
    movable, kind = instance.find("allow_migration"), instance.find("instance_type")
    return VM(
        id=instance.get("instance_id").id(),
        pm=instance.get("host_id").id(),
        cells=tuple(part.get("node").whole(0, 1000) for part in parts),
        per_cell=takes[0],
        movable=movable is None or movable.flag(),
        type="" if kind is None else kind.text(),
    )


def _group(found: Field) -> Group:
    scope = found.get("granularity").text()
    if scope not in ("host", "rack"):
        raise found.get("granularity").wrong("'host' or 'rack'")
    name = found.find("id")
    return Group(
        members=tuple(member.id() for member in found.get("data").each()),
        scope=scope,
        id=found.name if name is None else name.label(),
    )


def write_bytedance(cluster: Cluster) -> str:
    """The snapshot as the text of such a file, with the free amounts recomputed.

    Raises:
        ClusterError: the schema cannot say it: resources other than CPU and memory of NUMA nodes, VMs that
            take no node, permitted hosts, a group that allows more than one.
    """
    _expect_expressible(cluster)
    members: list[list[str]] = [[] for _ in cluster.group_scope]
    for vm, mine in enumerate(cluster.group_of):
        for g in mine[mine >= 0]:
            members[g].append(cluster.vm_ids[vm])
    sets = [
        {"granularity": "rack" if scope else "host", "data": held}
        for scope, held in zip(cluster.group_scope, members, strict=True)
    ]
    document = {
        "cluster_list": [
            {
                "cluster_name": "cluster",
                "host_info": [_host(cluster, n) for n in range(cluster.n_pms)],
                "vm_type_info": [
                    {"vm_type": name, "flavor_limit": count} for name, count in Counter(cluster.vm_types).items()
                ],
                "vm_instance": [_instance(cluster, m) for m in range(cluster.n_vms)],
                "other_requirement": {"deployment_set": sets},
            }
        ],
        "vm_type_list": [],
        "general_requirement": {},
    }
    return json.dumps(document, separators=(",", ":"))


def _expect_expressible(cluster: Cluster) -> None:
    def refuse(field: str, found: object, expected: str) -> None:
        raise ClusterError(cluster.source, field, found, f"{expected}: the ByteDance schema knows no more")

    if cluster.host_resources or cluster.cell_resources != ("cpu", "memory"):
        refuse("resources", cluster.cell_resources + cluster.host_resources, "cpu and memory of NUMA nodes")
    if not cluster.shape_nodes.all():
        vm = int(np.flatnonzero(cluster.shape_nodes[cluster.shape_of] == 0)[0])
        refuse(f"VM {cluster.vm_ids[vm]}: NUMA nodes", 0, "at least one")
    if not cluster.allowed.all():
        refuse("permitted hosts", "a VM that may not run everywhere", "VMs that may run on any host")
    if (cluster.group_limit != 1).any():
        refuse("group limit", int(cluster.group_limit.max()), "1")


def _host(cluster: Cluster, n: int) -> dict[str, Any]:
    own = cluster.capacity[:, n].reshape(cluster.n_cells, 2)
    free = own - cluster.used[:, n].reshape(cluster.n_cells, 2)
    last = max((k for k in range(cluster.n_cells) if own[k].any()), default=0)
    return {
        "node_id": cluster.pm_ids[n],
        "status": "ACTIVE" if cluster.active[n] else "DISABLED",
        "node_cpu": _cores(own[: last + 1, 0].sum()),
        "node_mem_mb": int(own[: last + 1, 1].sum()),
        "numa": [
            {
                "node": k,
                "total_cpu": _cores(own[k, 0]),
                "free_cpu": _cores(free[k, 0]),
                "memory_huge_total_mb": int(own[k, 1]),
                "memory_huge_free_mb": int(free[k, 1]),
            }
            for k in range(last + 1)
        ],
        "rack_id": int(cluster.rack_of[n]),
    }


def _instance(cluster: Cluster, m: int) -> dict[str, Any]:
    cpu, memory = cluster.shape_demand[cluster.shape_of[m]]
    return {
        "instance_id": cluster.vm_ids[m],
        "instance_type": cluster.vm_types[m] if cluster.vm_types else "",
        "host_id": cluster.pm_ids[cluster.bin_of[m]],
        "numa": [
            {"node": k, "cpu": _cores(cpu), "mem_mb": int(memory)}
            for k in cluster.cells_of(m, int(cluster.variant_of[m]))
        ],
        "allow_migration": bool(cluster.movable[m]),
    }


def _cores(millicores: Any) -> int | float:
    """Whole where it can be, as in the published files."""
    cores = Decimal(int(millicores)) / 1000
    return int(cores) if cores % 1 == 0 else float(cores)
