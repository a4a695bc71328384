"""What `kubectl get nodes,pods,pvc,pv -A -o json` shows (`nodes,pods` is enough where no volume is local).

A node is a machine with one cell (kubectl shows no NUMA nodes): allocatable cpu and memory. Extended
resources (GPUs, huge pages, ephemeral storage, the number of pods) belong to the machine. A pod takes what
its containers request, as the scheduler counts it. Finished pods and pods on no node take nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from allocenv.core.files import InputError
from allocenv.problems.vm.cluster import PM, VM, Cluster, build_cluster
from allocenv.problems.vm.formats.fields import Field, read_json
from allocenv.problems.vm.formats.kubernetes_rules import (
    Node,
    anti_affinity_terms,
    groups_of,
    has_rules_between_pods,
    labels_of,
    permitted,
    rule_key,
    taints_of,
    text_members,
)
from allocenv.problems.vm.formats.quantity import added, billionths, in_units, larger

_SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"
_CELL = ("cpu", "memory")


@dataclass(frozen=True)
class _Pod:
    id: str
    node: str
    item: Field
    takes: Mapping[str, int]
    volumes: tuple[Field, ...]  # the persistent volumes it is bound to, as far as the file shows them


def read_kubernetes(path: str | Path, text: str | None = None) -> Cluster:
    """Read a snapshot. VM ids are namespace/name.

    A node is inactive where it is cordoned, not ready, or its pods request more than it offers (its
    allocatable was lowered, a GPU is ill): they may leave, nothing may come. Not movable are pods of a
    DaemonSet, static pods, pods that nobody would start again (no owner), that are being deleted, or that
    hold local data (`hostPath`, `emptyDir`, a local volume; but not virtual machines, which take theirs
    along), those annotated `safe-to-evict: "false"`, and those under rules that groups cannot say (see
    `kubernetes_rules`). `safe-to-evict: "true"` frees pods with local data or without an owner.

    Raises:
        InputError: no list of nodes and pods, a field of the wrong type, a quantity that is none, a pod on a
            node that is not in the file, or what `build_cluster` finds wrong.
    """
    source = str(path)
    items = _items(read_json(path, text))
    nodes = [_node(item) for item in items["Node"]]
    if not nodes:
        raise InputError(source, "document.items", "no Node", "at least one item of kind Node")
    offers = [_offer(item) for item in items["Node"]]
    each = {"pods": 1} if all("pods" in offer for offer in offers) else {}
    bound = _bound_volumes(items)
    pods = [pod for item in items["Pod"] if (pod := _pod(item, each, bound)) is not None]
    terms = {pod.id: anti_affinity_terms(pod.item.get("spec"), pod.id.partition("/")[0]) for pod in pods}
    groups, rack, fixed = groups_of(terms, {pod.id: labels_of(pod.item) for pod in pods})
    rules: dict[str, frozenset[str] | None] = {}
    vms = []
    for pod in pods:
        spec = pod.item.get("spec")
        key = rule_key(spec, pod.volumes)
        if key not in rules:
            rules[key] = permitted(spec, pod.volumes, nodes)
        vms.append(
            VM(
                id=pod.id,
                pm=pod.node,
                cells=(0,),
                per_cell={name: pod.takes.get(name, 0) for name in _CELL},
                own={name: amount for name, amount in pod.takes.items() if amount and name not in _CELL},
                movable=_is_movable(pod) and pod.id not in fixed,
                may_run_on=rules[key],
            )
        )
    ready = [_is_ready(item) for item in items["Node"]]
    return build_cluster(source, _machines(nodes, offers, ready, pods, rack), vms, groups)


def _items(document: Field) -> dict[str, list[Field]]:
    """The items of a list by kind."""
    kind = document.find("kind")
    listed = "" if kind is None else kind.text().removesuffix("List")
    items: dict[str, list[Field]] = defaultdict(list)
    for item in document.get("items").each():
        own = item.find("kind")
        items[listed if own is None else own.text()].append(item)
    return items


def _node(item: Field) -> Node:
    return Node(item.get("metadata").get("name").id(), labels_of(item), taints_of(item))


def _pod(item: Field, each: dict[str, int], bound: Mapping[tuple[str, str], Field]) -> _Pod | None:
    """The pod, None where it takes nothing of any node."""
    spec, status = item.get("spec"), item.find("status")
    phase = None if status is None else status.find("phase")
    node = spec.find("nodeName")
    if node is None or node.value == "" or (phase is not None and phase.text() in ("Succeeded", "Failed")):
        return None
    namespace, name = _namespace(item), item.get("metadata").get("name").id()
    return _Pod(
        id=f"{namespace}/{name}",
        node=node.id(),
        item=item,
        takes={key: in_units(key, amount, up=True) for key, amount in _requests(spec).items()} | each,
        volumes=tuple(_volumes(spec, namespace, name, bound)),
    )


def _requests(spec: Field) -> dict[str, int]:
    """What the scheduler counts, in billionths: Kubernetes documentation, "Sidecar containers", resources.

    Init containers run one after the other beside the sidecars started before them, then all containers and
    sidecars run together. Requests of the pod as a whole, where stated, replace their sum.
    """
    sidecars: dict[str, int] = {}
    start: dict[str, int] = {}
    for container in spec.each_of("initContainers"):
        mine = _amounts(container, "resources", "requests")
        policy = container.find("restartPolicy")
        if policy is not None and policy.text() == "Always":
            sidecars = added(sidecars, mine)
            start = larger(start, sidecars)
        else:
            start = larger(start, added(sidecars, mine))
    running = sidecars
    for container in spec.get("containers").each():
        running = added(running, _amounts(container, "resources", "requests"))
    return added(larger(running, start) | _amounts(spec, "resources", "requests"), _amounts(spec, "overhead"))


def _amounts(item: Field, *keys: str) -> dict[str, int]:
    at: Field | None = item
    for key in keys:
        at = at.find(key) if at is not None else None
    return {} if at is None else {name: billionths(amount) for name, amount in at.members().items()}


def _bound_volumes(items: Mapping[str, list[Field]]) -> dict[tuple[str, str], Field]:
    """The spec of the persistent volume behind each claim (namespace, name) that the file shows."""
    volumes = {item.get("metadata").get("name").id(): item.get("spec") for item in items["PersistentVolume"]}
    bound = {}
    for claim in items["PersistentVolumeClaim"]:
        name = claim.get("spec").find("volumeName")
        if name is not None and name.text() in volumes:
            bound[_namespace(claim), claim.get("metadata").get("name").id()] = volumes[name.text()]
    return bound


def _volumes(spec: Field, namespace: str, pod: str, bound: Mapping[tuple[str, str], Field]) -> Iterable[Field]:
    for volume in spec.each_of("volumes"):
        claim = volume.find("persistentVolumeClaim")
        name = "" if claim is None else claim.get("claimName").id()
        if volume.find("ephemeral"):  # its claim is named after both
            name = f"{pod}-{volume.get('name').id()}"
        if (namespace, name) in bound:
            yield bound[namespace, name]


def _is_movable(pod: _Pod) -> bool:
    metadata = pod.item.get("metadata")
    annotations = text_members(metadata, "annotations")
    safe = annotations.get(_SAFE_TO_EVICT)
    owners = {owner.get("kind").text() for owner in metadata.each_of("ownerReferences")}
    if metadata.find("deletionTimestamp") or "kubernetes.io/config.mirror" in annotations:
        return False
    if owners & {"DaemonSet", "Node"} or safe == "false" or has_rules_between_pods(pod.item.get("spec")):
        return False
    if any(volume.find("local") or volume.find("hostPath") for volume in pod.volumes):
        return False
    if "VirtualMachineInstance" in owners or safe == "true":
        return True
    volumes = pod.item.get("spec").each_of("volumes")
    return bool(owners) and not any(volume.find("hostPath") or volume.find("emptyDir") for volume in volumes)


def _machines(
    nodes: list[Node], offers: list[dict[str, int]], ready: list[bool], pods: list[_Pod], rack: str
) -> list[PM]:
    taken: dict[str, dict[str, int]] = defaultdict(dict)
    for pod in pods:
        taken[pod.node] = added(taken[pod.node], pod.takes)
    named = {name for amounts in (*offers, *taken.values()) for name, amount in amounts.items() if amount}
    machines = []
    for node, offer, is_ready in zip(nodes, offers, ready, strict=True):
        takes = taken[node.name]
        has_room = all(amount <= offer.get(name, 0) for name, amount in takes.items())
        full = larger(offer, takes)
        machines.append(
            PM(
                id=node.name,
                cells=({name: full.get(name, 0) for name in _CELL},),
                own={name: full.get(name, 0) for name in named.difference(_CELL)},
                active=has_room and is_ready,
                rack=node.labels.get(rack, ""),
            )
        )
    return machines


def _offer(node: Field) -> dict[str, int]:
    allocatable = node.get("status").get("allocatable")
    for name in _CELL:
        allocatable.get(name)
    return {name: in_units(name, billionths(found), up=False) for name, found in allocatable.members().items()}


def _is_ready(node: Field) -> bool:
    cordoned = node.find("spec") and node.get("spec").find("unschedulable")
    ready = [
        condition.get("status").text() == "True"
        for condition in node.each_of("status", "conditions")
        if condition.get("type").text() == "Ready"
    ]
    return not (cordoned and cordoned.flag()) and all(ready)


def _namespace(item: Field) -> str:
    found = item.get("metadata").find("namespace")
    return "default" if found is None else found.id()
