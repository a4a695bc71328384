"""What does a sequence of moves do to a cluster, and is the next one legal?

Plain NumPy on one cluster, move by move: for plans, their checks and their waves. Search and training use
the kernels of the environment.
"""

from collections import Counter
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import LongArray
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.objective import ON_HOST, Rules

HOST = 0  # group scope; the other one is the rack

LEGAL = "legal"
ALREADY_THERE = "already there"
NOT_MOVABLE = "not movable"
HOST_DISABLED = "host disabled"
NOT_PERMITTED = "not permitted"
NO_ROOM = "no room"
ANTI_AFFINITY = "anti-affinity"


class Obstacle(NamedTuple):
    """Why a move is illegal."""

    status: str  # one of the constants above
    detail: str  # a sentence for people


class Replay:
    """A cluster whose VMs move one after the other. The cluster it began with stays as it is."""

    def __init__(self, cluster: Cluster, rules: Rules) -> None:
        self.cluster = cluster
        self.rules = rules
        self.bin_of = cluster.bin_of.copy()
        self.variant_of = cluster.variant_of.copy()
        self.free: LongArray = cluster.capacity - cluster.used  # [K*C + P, N]
        self.n_held = np.bincount(cluster.bin_of, minlength=cluster.n_pms)  # [N]
        self._in_domain: Counter[tuple[int, int]] = Counter()  # (group, host or rack) -> members there
        for vm in np.flatnonzero((cluster.group_of >= 0).any(axis=1)) if cluster.group_of.size else ():
            self._count_in_groups(int(vm), +1)
        self._chunks = chunks(self.free, rules)  # [T, N]
        self._fragments = free_of_terms(self.free, rules)  # [T, N]

    def objective(self) -> float:
        """What is minimised: weighted fragment rates less the share of empty machines, over active ones."""
        rules, active = self.rules, self.cluster.active
        total = 0.0
        for t, weight in enumerate(rules.term_weight):
            free = int(self._fragments[t, active].sum())
            size = int(rules.term_chunk[t]) * max(int(rules.term_nodes[t]), 1)
            if free:
                total += float(weight) * (1 - size * int(self._chunks[t, active].sum()) / free)
        if rules.empty_weight and active.any():
            total -= rules.empty_weight * float((self.n_held[active] == 0).mean())
        return total

    def obstacle(self, vm: int, pm: int, variant: int) -> Obstacle | None:
        """Why the VM may not move there now; None: it may."""
        cluster = self.cluster
        name, host = cluster.vm_ids[vm], cluster.pm_ids[pm]
        if not cluster.movable[vm]:
            return Obstacle(NOT_MOVABLE, f"{name} may not be moved")
        if (self.bin_of[vm], self.variant_of[vm]) == (pm, variant):
            return Obstacle(ALREADY_THERE, f"{name} is on {place_text(cluster, pm, self.cells(vm))} already")
        if not cluster.active[pm]:
            return Obstacle(HOST_DISABLED, f"{host} is not active")
        if not cluster.allowed[cluster.class_of[vm], pm]:
            return Obstacle(NOT_PERMITTED, f"{name} may not run on {host}")
        missing = self.demand(vm, variant) - self.free[:, pm]
        if self.bin_of[vm] == pm:
            missing -= self.demand(vm, int(self.variant_of[vm]))
        short = np.flatnonzero((missing > 0) & (self.demand(vm, variant) > 0))
        if len(short):
            lacks = ", ".join(row_text(cluster, int(r), int(missing[r])) for r in short)
            return Obstacle(NO_ROOM, f"{host} lacks {lacks}")
        return self._rival(vm, pm)

    def move(self, vm: int, pm: int, variant: int) -> None:
        """Move the VM. The caller has asked `obstacle`."""
        source = int(self.bin_of[vm])
        self._count_in_groups(vm, -1)
        self.free[:, source] += self.demand(vm, int(self.variant_of[vm]))
        self.free[:, pm] -= self.demand(vm, variant)
        self.n_held[source] -= 1
        self.n_held[pm] += 1
        self.bin_of[vm], self.variant_of[vm] = pm, variant
        self._count_in_groups(vm, +1)
        both = [source, pm]
        self._chunks[:, both] = chunks(self.free[:, both], self.rules)
        self._fragments[:, both] = free_of_terms(self.free[:, both], self.rules)

    def demand(self, vm: int, variant: int) -> LongArray:
        """What the VM takes of a machine as the variant: [K*C + P]."""
        found: LongArray = self.cluster.demand[self.cluster.shape_of[vm], variant].astype(np.int64)
        return found

    def cells(self, vm: int) -> tuple[int, ...]:
        """The cells the VM has now."""
        return self.cluster.cells_of(vm, int(self.variant_of[vm]))

    def groups(self, vm: int) -> list[int]:
        """The groups the VM is a member of."""
        return [int(g) for g in self.cluster.group_of[vm] if g >= 0]

    def domain(self, group: int, pm: int) -> int:
        """The host or rack that counts for the group."""
        return pm if self.cluster.group_scope[group] == HOST else int(self.cluster.rack_of[pm])

    def members(self, group: int, pm: int, without: int) -> int:
        """How many of the group are in the domain of the machine, not counting one VM."""
        counted = self._in_domain[group, self.domain(group, pm)]
        at_home = self.domain(group, int(self.bin_of[without])) == self.domain(group, pm)
        return counted - (1 if at_home and group in self.groups(without) else 0)

    def _rival(self, vm: int, pm: int) -> Obstacle | None:
        for group in self.groups(vm):
            limit = int(self.cluster.group_limit[group])
            there = self.members(group, pm, without=vm)
            if there >= limit:
                scope = "host" if self.cluster.group_scope[group] == HOST else "rack"
                where = f"the {scope} of {self.cluster.pm_ids[pm]}" if scope == "rack" else self.cluster.pm_ids[pm]
                return Obstacle(ANTI_AFFINITY, f"{where} holds {there} of its anti-affinity group, at most {limit}")
        return None

    def _count_in_groups(self, vm: int, change: int) -> None:
        for group in self.groups(vm):
            self._in_domain[group, self.domain(group, int(self.bin_of[vm]))] += change


def objective_of(cluster: Cluster, rules: Rules) -> float:
    """The objective of a cluster as it is."""
    return Replay(cluster, rules).objective()


def rows_of_term(rules: Rules, t: int) -> LongArray:
    """The rows of the capacity that a term looks at: its resource in each cell, or that of the machine."""
    first = int(rules.term_resource[t])
    if rules.term_nodes[t] == ON_HOST:
        return np.array([first])
    return first + rules.n_cell_resources * np.arange(rules.n_cells)


def chunks(free: LongArray, rules: Rules) -> LongArray:
    """How many chunks of each term fit into what is free [K*C + P, N] of each machine: [T, N].

    A chunk of two nodes takes half of itself from each of two cells. With q halves in each cell, the most
    pairs of different cells are min(sum q // 2, sum q - max q).
    """
    out = np.zeros((len(rules.term_chunk), free.shape[1]), np.int64)
    for t, chunk in enumerate(rules.term_chunk):
        parts = free[rows_of_term(rules, t)] // int(chunk)
        total = parts.sum(axis=0)
        out[t] = np.minimum(total // 2, total - parts.max(axis=0)) if rules.term_nodes[t] == 2 else total
    return out


def free_of_terms(free: LongArray, rules: Rules) -> LongArray:
    """What is free of each term's resource on each machine: [T, N]."""
    return np.array([free[rows_of_term(rules, t)].sum(axis=0) for t in range(len(rules.term_chunk))])


def amount_text(resource: str, amount: int) -> str:
    """An amount as people say it: `14 cores`, `3.5 GiB memory`, `2 nvidia.com/gpu`."""
    if resource == "cpu":
        return f"{amount / 1000:g} core{'' if amount == 1000 else 's'}"
    if resource == "memory":
        return f"{amount / 1024:g} GiB memory"
    return f"{amount / 1000 if resource == 'gpu' else amount:g} {resource}"


def row_text(cluster: Cluster, row: int, amount: int) -> str:
    """An amount of one row of the capacity, with its cell where the machine has several."""
    c = len(cluster.cell_resources)
    if row >= cluster.n_cells * c:
        return amount_text(cluster.host_resources[row - cluster.n_cells * c], amount)
    text = amount_text(cluster.cell_resources[row % c], amount)
    return text if cluster.n_cells == 1 else f"{text} on {cell_word(cluster)} {row // c}"


def place_text(cluster: Cluster, pm: int, cells: tuple[int, ...]) -> str:
    """`pm_12 node 0`, `pm_3 node 0+1`; only the machine where it has no or one cell."""
    if cluster.n_cells == 1 or not cells:
        return cluster.pm_ids[pm]
    return f"{cluster.pm_ids[pm]} {cell_word(cluster)} {'+'.join(map(str, cells))}"


def cell_word(cluster: Cluster) -> str:
    """What a cell of the cluster is called."""
    return "GPU" if cluster.cell_resources == ("gpu",) else "node"
