"""What kubectl shows becomes machines, pods, and where each may run."""

import json
from pathlib import Path
from typing import Any

import pytest

from allocenv.core.files import InputError
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.formats import read_cluster, read_kubernetes
from allocenv.problems.vm.formats.fields import Field
from allocenv.problems.vm.formats.quantity import BILLION, billionths

SAMPLE = Path(__file__).parents[3] / "data" / "vm" / "kubernetes.json"


def node(name: str, labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
        "spec": spec,
        "status": {"allocatable": {"cpu": "8", "memory": "16Gi", "pods": "10"}},
    }


def pod(name: str, on: str, labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": "d",
        "labels": labels or {},
        "ownerReferences": [{"kind": "ReplicaSet"}],
    }
    container = {"resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}
    return {"kind": "Pod", "metadata": metadata, "spec": {"nodeName": on, "containers": [container], **spec}}


def read(*items: dict[str, Any]) -> Cluster:
    return read_kubernetes(Path("x.json"), json.dumps({"kind": "List", "items": items}))


def may_run_on(*items: dict[str, Any]) -> str:
    """The nodes the first pod may run on, joined."""
    cluster = read(*items)
    return "".join(cluster.pm_ids[n] for n in range(cluster.n_pms) if cluster.allowed[cluster.class_of[0], n])


def required(kind: str, terms: Any) -> dict[str, Any]:
    key = "nodeSelectorTerms"
    found = {key: terms} if kind == "nodeAffinity" else terms
    return {"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": found}}}


GREATER = [{"matchExpressions": [{"key": "g", "operator": "Gt"}]}]  # than nothing


def test_the_sample_means_what_it_says() -> None:
    cluster = read_cluster(SAMPLE)
    assert cluster.cell_resources == ("cpu", "memory")
    assert cluster.host_resources == (
        "ephemeral-storage",
        "nvidia.com/gpu",
        "pods",
    )  # huge pages: nobody has any
    assert cluster.n_cells == 1
    assert cluster.active.tolist() == [True, True, False]  # node-c is cordoned
    # 65,970,697k bytes are 62,914.5 MiB.
    assert cluster.capacity[:, 1].tolist() == [16000, 62914, 102400, 2, 3]
    assert cluster.vm_ids == (
        "shop/web-1", "shop/web-2", "ml/train-0", "ml/train-1", "kube-system/logs-x", "kube-system/apiserver",
        "shop/cache",
    )  # fmt: skip
    demand = {name: cluster.shape_demand[cluster.shape_of[m]].tolist() for m, name in enumerate(cluster.vm_ids)}
    # CPU: the init container (1000) beside the sidecar started before it (100) is more than both containers
    # and the sidecar (500 + 250 + 100), plus 10 overhead. Memory: 1 GiB + 1e8 bytes (95.4 MiB) + 64 MiB.
    assert demand["shop/web-1"] == [1110, 1184, 0, 0, 1]
    assert demand["shop/web-2"] == [2000, 123, 0, 0, 1]
    assert demand["ml/train-0"] == [4000, 16384, 0, 1, 1]
    assert demand["shop/cache"] == [0, 0, 0, 0, 1]
    assert cluster.movable.tolist() == [True, True, True, True, False, False, False]
    allowed = cluster.allowed[cluster.class_of].astype(int).tolist()
    assert allowed[:4] == [
        [1, 0, 0],  # ssd, and no toleration for the cordoned node-c
        [1, 0, 0],
        [1, 1, 0],  # generation over 4, or node-a by name
        [1, 0, 0],  # its volume is not in z2
    ]
    assert cluster.group_scope.tolist() == [0, 1]
    # train-1 carries no rule, but train-0's selects it.
    assert cluster.group_of[:4, 0].tolist() == [0, 0, 1, 1]
    assert cluster.rack_of.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500m", BILLION // 2), ("1Gi", BILLION << 30), ("128974848", 128974848 * BILLION),
        ("1e3", 1000 * BILLION), ("2k", 2000 * BILLION), ("1E", 10**18 * BILLION), ("1E2", 100 * BILLION),
        ("0.1", BILLION // 10),
        (".5", BILLION // 2), ("5.", 5 * BILLION), ("+1", BILLION), ("1n", 1), ("0.1n", 1), ("100u", 100_000),
        (3, 3 * BILLION), (0.5, BILLION // 2), ("1.5Ki", 1536 * BILLION),
    ],
)  # fmt: skip
def test_quantities_are_exact(text: Any, value: int) -> None:
    assert billionths(Field("x", "q", text)) == value


@pytest.mark.parametrize(
    "text", ["", "-1", "1K", "1ki", "1 Gi", "Gi", "1e", "1e999", "0x10", "1Gi2", "١", True, None, [], "."]
)
def test_what_is_no_quantity_is_refused(text: Any) -> None:
    with pytest.raises(InputError, match="q: found"):
        billionths(Field("x", "q", text))


@pytest.mark.parametrize(
    ("expression", "nodes"),
    [
        ({"key": "g", "operator": "In", "values": ["1", "3"]}, "ac"),
        ({"key": "g", "operator": "NotIn", "values": ["1"]}, "bcd"),
        ({"key": "g", "operator": "Exists"}, "abc"),
        ({"key": "g", "operator": "DoesNotExist"}, "d"),
        ({"key": "g", "operator": "Gt", "values": ["1"]}, "bc"),
        ({"key": "g", "operator": "Lt", "values": ["3"]}, "ab"),
    ],
)
def test_node_affinity_operators(expression: dict[str, Any], nodes: str) -> None:
    items = [node("a", {"g": "1"}), node("b", {"g": "2"}), node("c", {"g": "3"}), node("d")]
    one = pod("p", "a", **required("nodeAffinity", [{"matchExpressions": [expression]}]))
    assert may_run_on(*items, one) == nodes


def test_one_of_the_node_selector_terms_must_hold_and_all_of_its_parts() -> None:
    items = [node("a", {"g": "1"}), node("b", {"g": "1"}), node("c", {"g": "2"})]
    by_name = {"key": "metadata.name", "operator": "NotIn", "values": ["a"]}
    terms = [
        {"matchExpressions": [{"key": "g", "operator": "In", "values": ["1"]}], "matchFields": [by_name]},
        {},
    ]
    assert may_run_on(*items, pod("p", "b", **required("nodeAffinity", terms))) == "b"
    assert may_run_on(*items, pod("p", "b", **required("nodeAffinity", []))) == ""
    both = {**required("nodeAffinity", terms), "nodeSelector": {"g": "2"}}
    assert may_run_on(*items, pod("p", "b", **both)) == ""


@pytest.mark.parametrize(
    ("tolerations", "nodes"),
    [
        ([], "ad"),
        ([{"operator": "Exists"}], "abcd"),
        ([{"key": "k", "value": "v", "effect": "NoSchedule"}], "abd"),
        ([{"key": "k", "operator": "Exists"}], "abcd"),
        ([{"key": "k", "value": "other"}], "ad"),
        ([{"key": "k", "operator": "Exists", "effect": "NoExecute"}], "acd"),
        ([{"key": "k", "operator": "Gt", "value": "0"}], "ad"),
    ],
)
def test_taints_keep_pods_away_unless_tolerated(tolerations: list[dict[str, str]], nodes: str) -> None:
    def tainted(name: str, effect: str) -> dict[str, Any]:
        return node(name, taints=[{"key": "k", "value": "v", "effect": effect}])

    items = [
        node("a"),
        tainted("b", "NoSchedule"),
        tainted("c", "NoExecute"),
        tainted("d", "PreferNoSchedule"),
    ]
    assert may_run_on(*items, pod("p", "a", tolerations=tolerations)) == nodes


@pytest.mark.parametrize(
    ("change", "movable"),
    [
        ({}, True),
        ({"ownerReferences": [{"kind": "StatefulSet"}]}, True),
        ({"ownerReferences": [{"kind": "DaemonSet"}]}, False),
        ({"ownerReferences": [{"kind": "Node"}]}, False),
        ({"ownerReferences": []}, False),
        ({"deletionTimestamp": "2026-01-01T00:00:00Z"}, False),
        ({"annotations": {"kubernetes.io/config.mirror": "x"}}, False),
        ({"annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}}, False),
        (
            {
                "ownerReferences": [],
                "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "true"},
            },
            True,
        ),
        ({"namespace": "kube-system"}, True),
        ({"namespace": "kube-system", "ownerReferences": []}, False),
    ],
)
def test_metadata_decides_whether_a_pod_moves(change: dict[str, Any], movable: bool) -> None:
    one = pod("p", "a")
    one["metadata"].update(change)
    assert read(node("a"), one).movable.tolist() == [movable]


@pytest.mark.parametrize(
    ("spec", "movable"),
    [
        ({"volumes": [{"name": "v", "configMap": {}}]}, True),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/x"}}]}, False),
        ({"volumes": [{"name": "v", "emptyDir": {}}]}, False),
        ({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "far"}}]}, True),
        ({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "near"}}]}, False),
        (
            {"volumes": [{"name": "v", "ephemeral": {}}]},
            False,
        ),  # its claim is p-v, bound to the local volume too
        ({"topologySpreadConstraints": [{"whenUnsatisfiable": "DoNotSchedule"}]}, False),
        ({"topologySpreadConstraints": [{"whenUnsatisfiable": "ScheduleAnyway"}]}, True),
        (required("podAffinity", [{"topologyKey": "kubernetes.io/hostname"}]), False),
    ],
)
def test_the_spec_decides_whether_a_pod_moves(spec: dict[str, Any], movable: bool) -> None:
    def claim(name: str, volume: str) -> dict[str, Any]:
        metadata = {"name": name, "namespace": "d"}
        return {"kind": "PersistentVolumeClaim", "metadata": metadata, "spec": {"volumeName": volume}}

    volumes = [
        {"kind": "PersistentVolume", "metadata": {"name": "disk"}, "spec": {"local": {"path": "/disk"}}},
        {"kind": "PersistentVolume", "metadata": {"name": "net"}, "spec": {"nfs": {}}},
    ]
    items = [*volumes, claim("near", "disk"), claim("far", "net"), claim("p-v", "disk")]
    assert read(node("a"), pod("p", "a", **spec), *items).movable.tolist() == [movable]


def test_a_virtual_machine_takes_its_local_data_along() -> None:
    one = pod("virt-launcher-x-abcde", "a", volumes=[{"name": "v", "emptyDir": {}}])
    one["metadata"]["ownerReferences"] = [{"kind": "VirtualMachineInstance"}]
    assert read(node("a"), one).movable.tolist() == [True]


def anti(key: str, **selector: Any) -> dict[str, Any]:
    return required("podAntiAffinity", [{"labelSelector": selector, "topologyKey": key}])


def test_anti_affinity_groups_carriers_and_what_they_select() -> None:
    host = anti("kubernetes.io/hostname", matchLabels={"app": "x"})
    cluster = read(
        node("a"),
        pod("carrier", "a", {"app": "x"}, **host),
        pod("other", "a", {"app": "y"}, **host),  # the same term: one group
        pod("matched", "a", {"app": "x"}),
        pod("free", "a", {"app": "z"}),
    )
    assert cluster.group_of.tolist() == [[0], [0], [0], [-1]]
    elsewhere = pod("far", "a", {"app": "x"})
    elsewhere["metadata"]["namespace"] = "e"
    items = [node("a"), pod("carrier", "a", {"app": "x"}, **host), elsewhere]
    assert len(read(*items).group_scope) == 0  # nobody else in its namespace
    term = items[1]["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0]
    term["namespaces"] = ["e"]
    assert read(*items).group_of.tolist() == [[0], [0]]
    del term["namespaces"]
    term["namespaceSelector"] = {}
    assert read(*items).group_of.tolist() == [[0], [0]]
    del term["labelSelector"]
    assert len(read(*items).group_scope) == 0  # no selector selects nothing


def test_the_topology_key_most_in_use_is_the_rack_and_pods_under_others_stay() -> None:
    items = [
        node("a", {"rack": "1", "zone": "x"}),
        node("b", {"rack": "2", "zone": "x"}),
        pod("p", "a", {"app": "p"}, **anti("rack", matchLabels={"app": "p"})),
        pod("q", "b", {"app": "p"}, **anti("rack", matchLabels={"app": "p"})),
        pod("r", "a", {"app": "r"}, **anti("zone", matchLabels={"app": "s"})),
        pod("s", "b", {"app": "s"}),
    ]
    cluster = read(*items)
    assert cluster.rack_of.tolist() == [0, 1]
    assert cluster.group_of.tolist() == [[0], [0], [-1], [-1]]
    assert cluster.movable.tolist() == [True, True, False, False]


def test_a_node_that_is_not_ready_or_too_full_takes_nobody() -> None:
    sick = node("a")
    sick["status"]["conditions"] = [{"type": "Ready", "status": "Unknown"}]
    full = node("b")
    full["status"]["allocatable"]["cpu"] = "1500m"
    cluster = read(sick, full, node("c"), pod("p", "b"), pod("q", "b"))
    assert cluster.active.tolist() == [False, False, True]
    assert cluster.capacity[0].tolist() == [8000, 2000, 8000]  # b counts as exactly full


def test_pods_that_hold_nothing_are_left_out() -> None:
    done, waiting = pod("done", "a"), pod("waiting", "")
    done["status"] = {"phase": "Failed"}
    assert read(node("a"), done, waiting, pod("p", "a")).vm_ids == ("d/p",)


def test_requests_of_the_pod_as_a_whole_replace_their_sum() -> None:
    cluster = read(node("a"), pod("p", "a", resources={"requests": {"cpu": "300m"}}))
    assert cluster.shape_demand.tolist() == [[300, 1024, 1]]


def test_a_node_and_a_pod_list_name_the_kind_of_their_items() -> None:
    item = node("a")
    del item["kind"]
    assert read_kubernetes(Path("x"), json.dumps({"kind": "NodeList", "items": [item]})).pm_ids == ("a",)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "document.items: found 'no Node'"),
        ([node("a"), pod("p", "b")], "VM d/p: host: found 'b'"),
        ([node("a"), node("a")], "PM id: found 'a'"),
        ([node("a"), {"kind": "Pod"}], "document.items[1].spec: found 'nothing'"),
        ([{**node("a"), "status": {}}], "document.items[0].status.allocatable: found 'nothing'"),
        ([{**node("a"), "status": {"allocatable": {"cpu": "8"}}}], "allocatable.memory: found 'nothing'"),
        ([node("a", unschedulable="yes")], "spec.unschedulable: found 'yes', expected true or false"),
        ([node("a"), pod("p", "a", containers={})], "spec.containers: found {}, expected a list"),
        ([node("a"), pod("p", "a", tolerations=[{"operator": "Maybe"}])], "operator: found 'Maybe'"),
        ([node("a"), pod("p", "a", **required("nodeAffinity", GREATER))], "one whole number in `values`"),
    ],
)  # fmt: skip
def test_a_broken_field_is_named(items: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InputError) as caught:
        read(*items)
    assert message in str(caught.value)
