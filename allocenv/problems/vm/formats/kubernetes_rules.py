"""Where may a pod run? Node selectors, node affinity, taints, volumes, pod anti-affinity.

Kubernetes knows rules between pods that a cluster of groups does not. What cannot be said is made stricter,
never looser:

- All pods that carry one required anti-affinity term (same namespaces, selector and topology key) and all
  that its selector matches form one group, no two of which may share a host or rack. Kubernetes forbids only
  a carrier beside a match.
- A `namespaceSelector` counts as every namespace, since namespaces are not in the snapshot.
- One topology key beside `kubernetes.io/hostname` can be the rack: the one that most pods name. Pods under a
  term with another key, required pod affinity or a `DoNotSchedule` spread constraint do not move.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from allocenv.problems.vm.cluster import Group
from allocenv.problems.vm.formats.fields import Field

HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")


class Taint(NamedTuple):
    """What keeps pods off a node unless they tolerate it."""

    key: str
    value: str
    effect: str


class Node(NamedTuple):
    """What rules look at in a node."""

    name: str
    labels: Mapping[str, str]
    taints: Sequence[Taint]


class Requirement(NamedTuple):
    """One condition on labels."""

    key: str
    operator: str
    values: tuple[str, ...]

    def holds(self, labels: Mapping[str, str]) -> bool:
        found = labels.get(self.key)
        if self.operator == "In":
            return found in self.values
        if self.operator == "NotIn":
            return found not in self.values
        if self.operator == "Exists":
            return found is not None
        if self.operator == "DoesNotExist":
            return found is None
        number, limit = _integer(found), _integer(self.values[0])
        if number is None or limit is None:
            return False
        return number > limit if self.operator == "Gt" else number < limit


class Term(NamedTuple):
    """One required anti-affinity term of a pod."""

    namespaces: frozenset[str] | None  # None: all
    selector: tuple[Requirement, ...] | None  # None: matches nothing
    key: str


def labels_of(item: Field) -> dict[str, str]:
    """The labels of a node or pod."""
    return text_members(item.get("metadata"), "labels")


def text_members(item: Field, key: str) -> dict[str, str]:
    """The texts of an object that maps names to texts, empty where it is absent."""
    found = item.find(key)
    return {} if found is None else {name: value.text() for name, value in found.members().items()}


def taints_of(node: Field) -> list[Taint]:
    """The taints of a node that keep pods away."""
    taints = [
        Taint(taint.get("key").text(), _text(taint, "value"), taint.get("effect").text())
        for taint in node.each_of("spec", "taints")
    ]
    return [taint for taint in taints if taint.effect in ("NoSchedule", "NoExecute")]


def rule_key(spec: Field, volumes: Iterable[Field]) -> str:
    """Equal for pods of which the same nodes are permitted."""
    found = [spec.value.get(key) for key in ("nodeSelector", "affinity", "tolerations")]
    if type(found[1]) is dict:
        found[1] = found[1].get("nodeAffinity")
    return json.dumps([*found, *(volume.value for volume in volumes)], sort_keys=True)


def permitted(spec: Field, volumes: Iterable[Field], nodes: Sequence[Node]) -> frozenset[str] | None:
    """The nodes the pod may run on by its own rules and those of its volumes; None: all."""
    wanted = text_members(spec, "nodeSelector")
    affinity = spec.find("affinity")
    choices = [_choices(affinity.find("nodeAffinity"), _REQUIRED)] if affinity is not None else []
    choices += [_choices(volume.find("nodeAffinity"), "required") for volume in volumes]
    tolerations = [_toleration(found) for found in spec.each_of("tolerations")]
    names = frozenset(
        node.name
        for node in nodes
        if all(node.labels.get(key) == value for key, value in wanted.items())
        and all(choice is None or any(_matches(term, node) for term in choice) for choice in choices)
        and all(any(_tolerates(t, taint) for t in tolerations) for taint in node.taints)
    )
    return None if len(names) == len(nodes) else names


def has_rules_between_pods(spec: Field) -> bool:
    """Whether the pod carries rules that groups cannot say: pod affinity, a spread that must hold."""
    affinity = spec.find("affinity")
    if affinity is not None and affinity.each_of("podAffinity", _REQUIRED):
        return True
    return any(
        spread.get("whenUnsatisfiable").text() == "DoNotSchedule"
        for spread in spec.each_of("topologySpreadConstraints")
    )


def anti_affinity_terms(spec: Field, namespace: str) -> list[Term]:
    """The required anti-affinity terms of a pod."""
    affinity = spec.find("affinity")
    found = [] if affinity is None else affinity.each_of("podAntiAffinity", _REQUIRED)
    return [_term(term, namespace) for term in found]


def groups_of(
    terms: Mapping[str, Sequence[Term]], labels: Mapping[str, Mapping[str, str]]
) -> tuple[list[Group], str, set[str]]:
    """The groups that the pods' terms make, the label that names a node's rack, and the pods to leave alone.

    `terms` and `labels` are by pod id, which is namespace/name.
    """
    carriers: dict[Term, list[str]] = defaultdict(list)
    for pod, mine in terms.items():
        for term in dict.fromkeys(mine):
            carriers[term].append(pod)
    by_namespace: dict[str, list[str]] = defaultdict(list)
    for pod in labels:
        by_namespace[pod.partition("/")[0]].append(pod)
    uses = Counter({term.key: len(pods) for term, pods in carriers.items() if term.key != HOSTNAME})
    rack = max(sorted(uses), key=lambda key: uses[key], default=ZONE)
    groups: list[Group] = []
    fixed: set[str] = set()
    for term, pods in carriers.items():
        near = by_namespace if term.namespaces is None else sorted(term.namespaces)
        matched = [pod for namespace in near for pod in by_namespace.get(namespace, []) if _selects(term, labels[pod])]
        members = tuple(dict.fromkeys([*pods, *matched]))
        if term.key not in (HOSTNAME, rack):
            fixed.update(members)
        elif len(members) > 1:
            groups.append(Group(members, "host" if term.key == HOSTNAME else "rack", id=f"group {len(groups)}"))
    return groups, rack, fixed


def _term(term: Field, namespace: str) -> Term:
    selector = term.find("labelSelector")
    namespaces = frozenset(name.text() for name in term.each_of("namespaces"))
    return Term(
        namespaces=None if term.find("namespaceSelector") else namespaces or frozenset([namespace]),
        selector=None if selector is None else _label_selector(selector),
        key=term.get("topologyKey").text(),
    )


def _label_selector(selector: Field) -> tuple[Requirement, ...]:
    equal = [Requirement(key, "In", (value,)) for key, value in text_members(selector, "matchLabels").items()]
    return (*equal, *(_requirement(found) for found in selector.each_of("matchExpressions")))


def _selects(term: Term, labels: Mapping[str, str]) -> bool:
    return term.selector is not None and all(found.holds(labels) for found in term.selector)


def _choices(affinity: Field | None, key: str) -> list[tuple[list[Requirement], list[Requirement]]] | None:
    """The terms under the key, of which one must hold: (on labels, on fields). None: no rule."""
    required = None if affinity is None else affinity.find(key)
    if required is None:
        return None
    return [
        (
            [_requirement(found) for found in term.each_of("matchExpressions")],
            [_requirement(found) for found in term.each_of("matchFields")],
        )
        for term in required.get("nodeSelectorTerms").each()
    ]


def _matches(term: tuple[list[Requirement], list[Requirement]], node: Node) -> bool:
    on_labels, on_fields = term
    if not on_labels and not on_fields:
        return False  # the API reference: an empty term matches no node
    return all(found.holds(node.labels) for found in on_labels) and all(
        found.holds({"metadata.name": node.name}) for found in on_fields
    )


def _requirement(found: Field) -> Requirement:
    operator = found.get("operator")
    if operator.text() not in _OPERATORS:
        raise operator.wrong(f"one of {', '.join(_OPERATORS)}")
    values = tuple(value.text() for value in found.each_of("values"))
    if operator.value in ("Gt", "Lt") and (len(values) != 1 or _integer(values[0]) is None):
        raise found.wrong(f"one whole number in `values` for {operator.value}")
    return Requirement(found.get("key").text(), operator.value, values)


class _Toleration(NamedTuple):
    key: str
    operator: str
    value: str
    effect: str


def _toleration(found: Field) -> _Toleration:
    operator = _text(found, "operator") or "Equal"
    if operator not in ("Equal", "Exists", "Lt", "Gt"):
        raise found.get("operator").wrong("Equal or Exists")
    return _Toleration(_text(found, "key"), operator, _text(found, "value"), _text(found, "effect"))


def _tolerates(found: _Toleration, taint: Taint) -> bool:
    if found.effect not in ("", taint.effect):
        return False
    if found.key != taint.key and (found.key or found.operator != "Exists"):
        return False
    return found.operator == "Exists" or (found.operator == "Equal" and found.value == taint.value)


def _text(item: Field, key: str) -> str:
    found = item.find(key)
    return "" if found is None else found.text()


def _integer(text: str | None) -> int | None:
    if text is None or len(text) > 20 or not text.removeprefix("-").isdecimal() or not text.isascii():
        return None
    return int(text)
