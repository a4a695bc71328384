"""The GPU cluster trace OpenB (Alibaba cluster-trace-gpu-v2023) as a snapshot.

The trace says when pods came and went but not where they ran, so it is replayed: in order of creation each
pod goes to the machine that fits it best; what fits nowhere is left out. The cells of a machine are its GPUs
(`gpu`, 1000 each); CPU (millicores) and memory (MiB) are the machine's own.

The published pods are a sample: at most 56 of the 8,152 run at once, on 1,523 machines. So nobody leaves
unless a moment is asked for, as where the authors fill the cluster pod by pod (Weng et al., "Beware of
Fragmentation", USENIX ATC 2023).
"""

import heapq
from os.path import isdir
from pathlib import Path
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, LongArray
from allocenv.core.files import InputError, read_text
from allocenv.problems.vm.cluster import INT_MAX, PM, VM, Cluster, build_cluster
from allocenv.problems.vm.formats.fields import Row, read_rows

NODE_COLUMNS = ("sn", "cpu_milli", "memory_mib", "gpu", "model")
POD_COLUMNS = (
    "name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli", "gpu_spec", "creation_time", "deletion_time",
)  # fmt: skip
MAX_GPUS = 16
WHOLE_GPU = 1000


class _Pod(NamedTuple):
    name: str
    cpu: int
    memory: int
    gpus: int
    milli: int  # of each GPU
    models: frozenset[str]  # empty: any
    created: int  # seconds
    deleted: int


class _Place(NamedTuple):
    node: int
    gpus: tuple[int, ...]


def read_openb(path: str | Path, time: int | None = None) -> Cluster:
    """Read the trace as if no pod had left, or at `time` (seconds of the trace) with those gone that had.

    `path` is the pod list, with the node list beside it, or the folder of both. Of several pod lists in a
    folder it is the one with `default` in its name.

    Raises:
        InputError: a list that is missing or not the only one, a column that is missing, a cell that is not
            what its column holds.
    """
    node_list, pod_list = _lists(Path(path))
    nodes = _nodes(node_list)
    pods = _pods(pod_list)
    if time is not None:
        pods = [pod for pod in pods if pod.created <= time and pod.created < pod.deleted]
    models = np.array([model for _, _, model in nodes])
    places = _replay([pm for _, pm, _ in nodes], models, pods, time)
    permitted: dict[frozenset[str], frozenset[str] | None] = {frozenset(): None}
    vms = []
    for i, place in sorted(places.items()):
        pod = pods[i]
        if pod.models not in permitted:
            permitted[pod.models] = frozenset(name for name, _, model in nodes if model in pod.models)
        vms.append(
            VM(
                id=pod.name,
                pm=nodes[place.node][0],
                cells=place.gpus,
                per_cell={"gpu": pod.milli} if place.gpus else {},
                own={"cpu": pod.cpu, "memory": pod.memory},
                may_run_on=permitted[pod.models],
                type=f"{pod.gpus} GPU" if pod.gpus else "CPU",
            )
        )
    source = str(pod_list) if time is None else f"{pod_list} at {time} s"
    return build_cluster(source, [pm for _, pm, _ in nodes], vms)


def holds_openb(folder: Path) -> bool:
    """Whether one of the folder's CSV files has the header of a pod list."""
    return any(_is_list(path, POD_COLUMNS) for path in _csv_files(folder))


def _lists(path: Path) -> tuple[Path, Path]:
    """The node list and the pod list."""
    folder = path if isdir(path) else path.parent
    nodes = [found for found in _csv_files(folder) if _is_list(found, NODE_COLUMNS)]
    pods = [path]
    if isdir(path):
        pods = [found for found in _csv_files(folder) if _is_list(found, POD_COLUMNS)]
        if len(pods) > 1:
            pods = [found for found in pods if "default" in found.name]
    if len(nodes) != 1:
        expected = f"one CSV file with the columns {', '.join(NODE_COLUMNS)}"
        raise InputError(str(folder), "node list", [found.name for found in nodes], expected)
    if len(pods) != 1:
        expected = "one pod list, or one with `default` in its name"
        raise InputError(str(folder), "pod list", [found.name for found in pods], expected)
    return nodes[0], pods[0]


def _csv_files(folder: Path) -> list[Path]:
    try:
        return sorted(found for found in folder.iterdir() if found.name.endswith((".csv", ".csv.gz")))
    except OSError as error:
        raise InputError(str(folder), "folder", error.strerror, "a folder that can be read") from None


def _is_list(path: Path, columns: tuple[str, ...]) -> bool:
    header = read_text(path).partition("\n")[0]
    return set(columns) <= {name.strip() for name in header.split(",")}


def _rows(path: Path, columns: tuple[str, ...]) -> list[Row]:
    header, rows = read_rows(path)
    for name in columns:
        if name not in header:
            raise InputError(str(path), "header", ", ".join(header), f"a column {name}")
    return rows


def _nodes(path: Path) -> list[tuple[str, PM, str]]:
    """Name, machine and GPU model of each node."""
    nodes = []
    for row in _rows(path, NODE_COLUMNS):
        own = {"cpu": row.whole("cpu_milli", 0, INT_MAX), "memory": row.whole("memory_mib", 0, INT_MAX)}
        gpus = row.whole("gpu", 0, MAX_GPUS)
        nodes.append((row.id("sn"), PM(row.id("sn"), ({"gpu": WHOLE_GPU},) * gpus, own), row["model"]))
    if not nodes:
        raise InputError(str(path), "nodes", 0, "at least one")
    return nodes


def _pods(path: Path) -> list[_Pod]:
    """The pods in order of creation."""
    pods = []
    for row in _rows(path, POD_COLUMNS):
        gpus = row.whole("num_gpu", 0, MAX_GPUS)
        milli = row.whole("gpu_milli", 1, WHOLE_GPU) if gpus == 1 else WHOLE_GPU if gpus else 0
        pods.append(
            _Pod(
                name=row.id("name"),
                cpu=row.whole("cpu_milli", 0, INT_MAX),
                memory=row.whole("memory_mib", 0, INT_MAX),
                gpus=gpus,
                milli=milli,
                models=frozenset(row["gpu_spec"].split("|") if gpus and row["gpu_spec"] else ()),
                created=row.whole("creation_time", 0, 10**12),
                deleted=row.whole("deletion_time", 0, 10**12),
            )
        )
    return sorted(pods, key=lambda pod: pod.created)


def _replay(pms: list[PM], models: Array, pods: list[_Pod], until: int | None) -> dict[int, _Place]:
    """Where each pod sits that has not left by `until` (None: nobody leaves)."""
    own = np.array([[pm.own["cpu"], pm.own["memory"]] for pm in pms], np.int64)
    gpu = np.zeros((len(pms), max((len(pm.cells) for pm in pms), default=0)), np.int64)
    for n, pm in enumerate(pms):
        gpu[n, : len(pm.cells)] = WHOLE_GPU
    scale = np.maximum(own.max(axis=0), 1)
    has_gpu = gpu.sum(axis=1) > 0
    allowed: dict[frozenset[str], Array] = {frozenset(): np.ones(len(pms), np.bool_)}
    places: dict[int, _Place] = {}
    leaving: list[tuple[int, int]] = []
    for i, pod in enumerate(pods):
        while leaving and leaving[0][0] <= pod.created:
            _release(own, gpu, pods, places, heapq.heappop(leaving)[1])
        if pod.models not in allowed:
            allowed[pod.models] = np.isin(models, list(pod.models))
        node = _best_fit(own, gpu, scale, has_gpu, allowed[pod.models], pod)
        if node < 0:
            continue
        places[i] = place = _Place(node, _best_gpus(gpu[node], pod))
        own[node] -= pod.cpu, pod.memory
        gpu[node, list(place.gpus)] -= pod.milli
        if until is not None and pod.deleted <= until:
            heapq.heappush(leaving, (pod.deleted, i))
    while leaving:
        _release(own, gpu, pods, places, heapq.heappop(leaving)[1])
    return places


def _release(own: LongArray, gpu: LongArray, pods: list[_Pod], places: dict[int, _Place], i: int) -> None:
    place = places.pop(i)
    own[place.node] += pods[i].cpu, pods[i].memory
    gpu[place.node, list(place.gpus)] += pods[i].milli


def _best_fit(own: LongArray, gpu: LongArray, scale: LongArray, has_gpu: Array, allowed: Array, pod: _Pod) -> int:
    """The machine with room that is left with least: the sum of free shares of CPU, memory and GPUs, each
    scaled by the largest machine. A pod without GPU takes a machine with GPUs only where no other has room.
    -1: none has.
    """
    fits = allowed & (own[:, 0] >= pod.cpu) & (own[:, 1] >= pod.memory)
    if pod.gpus:
        fits &= (gpu >= pod.milli).sum(axis=1) >= pod.gpus
    elif (fits & ~has_gpu).any():
        fits &= ~has_gpu
    candidates = np.flatnonzero(fits)
    if len(candidates) == 0:
        return -1
    left = (own[candidates] / scale).sum(axis=1) + gpu[candidates].sum(axis=1) / (WHOLE_GPU * max(gpu.shape[1], 1))
    return int(candidates[left.argmin()])


def _best_gpus(free: LongArray, pod: _Pod) -> tuple[int, ...]:
    """The GPUs with least left that have room, in order."""
    fitting = np.flatnonzero(free >= pod.milli)
    best = fitting[np.argsort(free[fitting], kind="stable")][: pod.gpus]
    return tuple(sorted(best.tolist()))
