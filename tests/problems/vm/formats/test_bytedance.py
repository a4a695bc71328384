"""ByteDance / VMR2L snapshots are read as they are, and written so that they can be fed back."""

import json
from pathlib import Path

import numpy as np
import pytest
from real_data import real_data

from allocenv.core.files import InputError
from allocenv.problems.vm.cluster import PM, VM, Cluster, ClusterError, Group, build_cluster
from allocenv.problems.vm.formats import read_bytedance, read_cluster, write_bytedance

SAMPLE = Path(__file__).parents[3] / "data" / "vm" / "bytedance.json"


def same(left: Cluster, right: Cluster) -> None:
    for name in set(left.__dataclass_fields__) - {"source"}:
        a, b = getattr(left, name), getattr(right, name)
        assert np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b, name


def test_the_sample_means_what_it_says() -> None:
    cluster = read_cluster(SAMPLE)
    assert cluster.pm_ids == ("pm_0", "pm_1", "pm_2")  # both clusters of the file
    assert cluster.active.tolist() == [True, False, True]
    assert cluster.rack_of.tolist() == [0, 0, 1]
    assert cluster.cell_resources == ("cpu", "memory")
    assert cluster.capacity[:, 0].tolist() == [44000, 184388, 44000, 184388]
    assert cluster.capacity[:, 2].tolist() == [44000, 184388, 0, 0]  # one node only
    # pm_0: vm_0 takes 4 cores and vm_1 10 of node 0, vm_1 10 of node 1. The stored free CPU (28) is wrong.
    assert cluster.used[:, 0].tolist() == [14000, 28672, 10000, 20480]
    assert cluster.used[:, 2].tolist() == [500, 1388, 0, 0]  # 0.5 cores; 1387.5 MB rounded up
    assert cluster.movable.tolist() == [True, True, False, True]
    assert cluster.group_scope.tolist() == [0, 1]
    assert cluster.group_of[:, 0].tolist() == [0, 1, 0, 1]
    assert cluster.vm_types[0] == "g.xlarge"


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "pms", "vms", "free", "rate"),
    [("medium", 279, 2089, 1394, 0.9770), ("large", 1176, 4546, 18772, 0.6003)],
)
def test_the_published_clusters_have_their_known_figures(name: str, pms: int, vms: int, free: int, rate: float) -> None:
    cluster = read_cluster(real_data(f"vm/bytedance/{name}.json.gz"))
    cores = (cluster.capacity - cluster.used)[[0, 2]] // 1000
    assert (cluster.n_pms, cluster.n_vms, cores.sum()) == (pms, vms, free)
    assert 1 - 16 * (cores // 16).sum() / cores.sum() == pytest.approx(rate, abs=5e-5)
    same(read_bytedance(Path("again"), write_bytedance(cluster)), cluster)


def test_what_is_written_is_read_back() -> None:
    cluster = read_cluster(SAMPLE)
    text = write_bytedance(cluster)
    same(read_bytedance(Path("again"), text), cluster)
    node = json.loads(text)["cluster_list"][0]["host_info"][0]["numa"][0]
    assert node == {
        "node": 0, "total_cpu": 44, "free_cpu": 30,
        "memory_huge_total_mb": 184388, "memory_huge_free_mb": 155716,
    }  # fmt: skip


def test_vms_that_moved_are_written_where_they_are() -> None:
    cluster = read_cluster(SAMPLE)
    moved = cluster.moved(np.array([2, 0, 1, 2]), np.array([0, 0, 1, 0]))
    assert read_bytedance(Path("again"), write_bytedance(moved)).bin_of.tolist() == [2, 0, 1, 2]


@pytest.mark.parametrize(
    ("pm", "vm", "groups"),
    [
        ({"own": {"gpu": 1}}, {}, ()),
        ({}, {"cells": ()}, ()),
        ({}, {"may_run_on": frozenset("a")}, ()),
        ({}, {}, [Group(("v", "w"), limit=2)]),
    ],
)
def test_what_the_schema_cannot_say_is_not_written(pm: dict, vm: dict, groups: list[Group]) -> None:
    cell = {"cpu": 4000, "memory": 1024}
    pms = [PM("a", (cell,), **pm), PM("b", (cell,))]
    vms = [
        VM("v", "a", **{"cells": (0,), "per_cell": {"cpu": 1000}, **vm}),
        VM("w", "b", (0,), {"cpu": 1000}),
    ]
    with pytest.raises(ClusterError, match="the ByteDance schema knows no more"):
        write_bytedance(build_cluster("x", pms, vms, groups))


def broken(path: Path, change) -> None:
    document = json.loads(SAMPLE.read_text())
    change(document["cluster_list"][0])
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda c: c["host_info"][0].update(node_cpu=90),
            "host_info[0].node_cpu: found 90, expected the sum",
        ),
        (
            lambda c: c["host_info"][0].update(node_mem_mb=1),
            "host_info[0].node_mem_mb: found 1, expected at least",
        ),
        (lambda c: c["host_info"][0].pop("numa"), "host_info[0].numa: found 'nothing'"),
        (lambda c: c["host_info"][0].update(numa={}), "host_info[0].numa: found {}, expected a list"),
        (lambda c: c["host_info"][0]["numa"][1].update(node=2), "expected nodes numbered 0, 1"),
        (lambda c: c["host_info"][1].update(node_id="pm_0"), "PM id: found 'pm_0', expected unique ids"),
        (lambda c: c["vm_instance"][0].update(host_id="pm_9"), "VM vm_0: host: found 'pm_9'"),
        (
            lambda c: c["vm_instance"][0].update(allow_migration=1),
            "allow_migration: found 1, expected true or false",
        ),
        (
            lambda c: c["vm_instance"][0]["numa"][0].update(cpu=True),
            "numa[0].cpu: found True, expected a number",
        ),
        (
            lambda c: c["vm_instance"][0]["numa"][0].update(cpu=float("nan")),
            "JSON: found 'NaN is not a number",
        ),
        (
            lambda c: c["vm_instance"][0]["numa"][0].update(cpu=0),
            "numa[0].cpu: found 0, expected more than 0",
        ),
        (lambda c: c["vm_instance"][0]["numa"][0].update(cpu=10**400), "expected a number from 0 to"),
        (lambda c: c["vm_instance"][0]["numa"][0].update(cpu=45), "VM vm_0: cell 0: cpu: found 45000"),
        (lambda c: c["vm_instance"][0]["numa"][0].update(node=5), "VM vm_0: cells: found [5]"),
        (
            lambda c: c["vm_instance"][1]["numa"][0].update(cpu=11),
            "one or more NUMA nodes with equal amounts",
        ),
        (lambda c: c["vm_instance"][0]["numa"][0].update(cpu=40), "PM pm_0: cell 0: cpu: used by its 2 VMs"),
        (
            lambda c: c["other_requirement"]["deployment_set"][0].update(granularity="room"),
            "'host' or 'rack'",
        ),
        (lambda c: c["other_requirement"]["deployment_set"][0].update(data=["vm_9"]), "member: found 'vm_9'"),
        (lambda c: c["vm_instance"][0].update(instance_id="a\nb"), "expected printable text"),
    ],
)
def test_a_broken_field_is_named(tmp_path: Path, change, message: str) -> None:
    broken(tmp_path / "x.json", change)
    with pytest.raises(InputError) as caught:
        read_cluster(tmp_path / "x.json")
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "x.json"))
