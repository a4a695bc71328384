"""How is a plan carried out? As commands or manifests of the system that runs the VMs or pods.

| style | for | what comes out |
|---|---|---|
| `kubectl` | pods, with Koordinator | a `PodMigrationJob` a move: reserve on the target, then evict |
| `virtctl` | KubeVirt virtual machines | `virtctl migrate` with the target as added node selector |
| `openstack` | Nova servers | `openstack server migrate --live-migration --host` |

A plain eviction cannot name a target, so pods need Koordinator, which reserves the room before it evicts.
None of the three can choose a NUMA node: the moves within a machine are left as comments.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from itertools import groupby
from shlex import quote
from typing import Any

from allocenv.core.files import one_line
from allocenv.problems.vm.plan_file import Move, Plan, cells_text

# KubeVirt names the pod of a virtual machine after it: virt-launcher-<name>-<five characters>.
_LAUNCHER = re.compile(r"virt-launcher-(?P<name>.+)-[a-z0-9]{5}")


def export_commands(plan: Plan, style: str) -> str:
    """The plan as text in the given style, wave by wave.

    Raises:
        ValueError: a style that is none of `STYLES`.
    """
    if style not in STYLES:
        raise ValueError(f"Expected a style out of {', '.join(STYLES)}, got {style!r}.")
    title = f"# {plan.objective}: {plan.before:.4f} -> {plan.after:.4f} with {len(plan.moves)} moves"
    return "\n".join([title, *STYLES[style](plan)]) + "\n"


def _kubectl(plan: Plan) -> Iterator[str]:
    yield "# kubectl apply -f this file: wave 1 starts. When it is done, let the next one go:"
    yield "#   kubectl get podmigrationjobs -l allocenv/wave=2 -o name |"
    yield '#     xargs -I{} kubectl patch {} --type merge -p \'{"spec":{"paused":false}}\''
    run = hashlib.sha256(repr(plan.moves).encode()).hexdigest()[:8]
    for wave, moves in _waves(plan):
        for move in moves:
            if move.from_pm == move.to_pm:
                yield _stays(move)
                continue
            yield "---"
            yield f"# wave {wave}, move {move.order}: {_comment(move)}"
            yield from _yaml(_job(move, f"allocenv-{run}-{move.order}"))


def _job(move: Move, name: str) -> dict[str, Any]:
    """The migration job of one pod, as Koordinator's `PodMigrationJob` v1alpha1 has it."""
    namespace, _, pod = move.vm.rpartition("/")
    amounts = {key: _quantity(key, amount) for key, amount in move.takes.items() if key != "pods"}
    target = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [move.to_pm]}]}
    affinity = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [target]}}
    reserved = {
        "schedulerName": "koord-scheduler",
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": affinity},
        "containers": [{"name": "reserved", "image": "reserved", "resources": {"requests": amounts}}],
    }
    return {
        "apiVersion": "scheduling.koordinator.sh/v1alpha1",
        "kind": "PodMigrationJob",
        "metadata": {"name": name, "labels": {"allocenv/wave": str(move.wave)}},
        "spec": {
            "paused": move.wave > 1,
            "ttl": "5m",
            "mode": "ReservationFirst",
            "podRef": {"namespace": namespace or "default", "name": pod},
            "reservationOptions": {"template": {"spec": {"template": {"spec": reserved}}}},
        },
    }


def _quantity(resource: str, amount: int) -> str:
    if resource == "cpu":
        return f"{amount}m"
    in_mib = resource in ("memory", "ephemeral-storage") or resource.startswith("hugepages-")
    return f"{amount}Mi" if in_mib else str(amount)


def _virtctl(plan: Plan) -> Iterator[str]:
    for wave, moves in _waves(plan):
        yield f"# wave {wave}: start it when all of the one before have finished"
        for move in moves:
            namespace, _, pod = move.vm.rpartition("/")
            launcher = _LAUNCHER.fullmatch(pod)
            name = quote(launcher["name"] if launcher else pod)
            place = f" -n {quote(namespace)}" if namespace else ""
            target = quote(f"kubernetes.io/hostname={move.to_pm}")
            command = f"virtctl migrate {name}{place} --addedNodeSelector {target}"
            yield _stays(move) if move.from_pm == move.to_pm else f"{command}  # {_comment(move)}"


def _openstack(plan: Plan) -> Iterator[str]:
    for wave, moves in _waves(plan):
        yield f"# wave {wave}"
        for move in moves:
            command = (
                "openstack --os-compute-api-version 2.30 server migrate --live-migration "
                f"--host {quote(move.to_pm)} --wait {quote(move.vm)} &"
            )
            yield _stays(move) if move.from_pm == move.to_pm else f"{command}  # {_comment(move)}"
        yield "wait"


STYLES: dict[str, Callable[[Plan], Iterator[str]]] = {
    "kubectl": _kubectl,
    "virtctl": _virtctl,
    "openstack": _openstack,
}


def _waves(plan: Plan) -> Iterator[tuple[int, Iterator[Move]]]:
    return groupby(sorted(plan.moves, key=lambda move: (move.wave, move.order)), key=lambda move: move.wave)


def _stays(move: Move) -> str:
    cells = f"{cells_text(move.from_cells)} -> {cells_text(move.to_cells)}"
    return one_line(f"# move {move.order}: {move.vm} stays on {move.to_pm}, cell {cells}: no command for that", 1500)


def _comment(move: Move) -> str:
    return one_line(f"{move.vm} from {move.from_pm}: {move.reason}", 1500)


def _yaml(value: Any, indent: int = 0) -> Iterator[str]:
    """Nested objects and lists as YAML; texts as JSON strings, which are YAML as well."""
    pad = " " * indent
    items = value.items() if isinstance(value, dict) else ((None, item) for item in value)
    for key, item in items:
        head = f"{pad}-" if key is None else f"{pad}{key if key.isidentifier() else _quoted(key)}:"
        if isinstance(item, (dict, list)):
            lines = list(_yaml(item, indent + 2))
            if key is None:
                yield f"{head} {lines[0].lstrip()}"
                yield from lines[1:]
            else:
                yield head
                yield from lines
        else:
            yield f"{head} {_quoted(item)}"


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
