"""The changes of single machines from which plans are put together: the columns of the master problem."""

from typing import Any, NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray, LongArray
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.exact.kinds import Kinds
from allocenv.problems.vm.exact.lattice import Lattice
from allocenv.problems.vm.exact.worth import Worth, gain_of
from allocenv.problems.vm.objective import Rules


class Columns(NamedTuple):
    """Changes of machines, n of them."""

    type: LongArray  # [n]
    change: LongArray  # [n, Q, 3]  VMs in less VMs out, by kind and part of the machine
    gain: Array  # [n]  what the machine is worth after the change
    moves: LongArray  # [n]  VMs that leave
    price: Array  # [n]  price of these moves

    @property
    def balance(self) -> LongArray:
        """VMs in less VMs out, by kind: [n, Q]."""
        balance: LongArray = self.change.sum(2)
        return balance

    def only(self, keep: BoolArray) -> "Columns":
        return Columns(*(field[keep] for field in self))


class Pool:
    """All columns known of a cluster, each once. The first ones change nothing, one a type of machine."""

    def __init__(self, cluster: Cluster, rules: Rules, worth: Worth, kinds: Kinds, lattice: Lattice) -> None:
        self.cluster, self.rules, self.worth, self.kinds, self.lattice = cluster, rules, worth, kinds, lattice
        active = np.flatnonzero(lattice.types >= 0)
        _, first, n_of = np.unique(lattice.types[active], return_index=True, return_counts=True)
        self.n_of: LongArray = n_of  # [T]  machines of each type
        self.machine = active[first]  # [T]  one of them
        self.toll = worth.move * kinds.cost  # [Q]  price of a move
        self.live = np.flatnonzero((lattice.size > 0).any(1))  # kinds whose moves can matter
        self._free = (cluster.capacity.astype(np.int64) - cluster.used)[:, self.machine]
        self._n_held = np.bincount(cluster.bin_of, minlength=cluster.n_pms)[self.machine]
        self._demand = cluster.demand[kinds.shape].astype(np.int64)  # [Q, V, R]
        self._members = _members(cluster)
        self._known: set[bytes] = set()
        self._fields: list[list[Array]] = [[] for _ in Columns._fields]
        n_types = len(n_of)
        self.add(np.arange(n_types), np.zeros((n_types, len(kinds.shape), 3), np.int64))

    @property
    def columns(self) -> Columns:
        return Columns(*(np.concatenate(parts) for parts in self._fields))

    def add(self, types: LongArray, change: LongArray) -> int:
        """Keep the changes that are new and possible; return how many."""
        new = []
        for i, (t, c) in enumerate(zip(types, change, strict=True)):
            key = t.tobytes() + c.tobytes()
            if key not in self._known:
                self._known.add(key)
                new.append(i)
        types, change = types[new], change[new]
        free = self._free_after(types, change)
        possible = (free >= 0).all(0) & self._groups_agree(types, change)
        types, change, free = types[possible], change[possible], free[:, possible]
        held = self._n_held[types] + change.sum((1, 2))
        leave = np.maximum(-change, 0).sum(2)
        gain = gain_of(self.rules, self.worth, free, held)
        values: tuple[Array, ...] = (types, change, gain, leave.sum(1), leave @ self.toll)
        for known, more in zip(self._fields, values, strict=True):
            known.append(more)
        return len(types)

    def add_plan(self, after: LongArray) -> None:
        """Add the changes of a plan, given its counts [Q, N, V]."""
        change = np.zeros((self.cluster.n_pms, len(self.kinds.shape), 3), np.int64)
        moved = after - self.kinds.before
        for part in range(3):
            change[:, :, part] = (moved * (self.lattice.part_of == part)[:, None, :]).sum(2).T
        touched = np.flatnonzero(change.any((1, 2)))
        self.add(self.lattice.types[touched], change[touched])

    def counts(self, columns: Columns, times: LongArray) -> LongArray:
        """The plan that uses each column so many times, as counts [Q, N, V]."""
        after = self.kinds.before.copy()
        machines: dict[int, list[Any]] = {}
        for i in np.flatnonzero(times):
            t = int(columns.type[i])
            mine = machines.setdefault(t, np.flatnonzero(self.lattice.types == t).tolist())
            for machine in [mine.pop() for _ in range(int(times[i]))]:
                for kind, part in zip(*np.nonzero(columns.change[i]), strict=True):
                    variant = int(np.flatnonzero(self.lattice.part_of[kind] == part)[0])
                    after[kind, machine, variant] += columns.change[i, kind, part]
        return after

    def racks(self, columns: Columns) -> tuple[Array, LongArray]:
        """Members each column brings to each rack, by group with racks as scope [rows, n]; room for them [rows]."""
        rack = self.cluster.rack_of[self.machine[columns.type]]
        rows, room = [], []
        for g in np.flatnonzero(self.cluster.group_scope):
            net = columns.change[:, self.kinds.groups[:, g]].sum((1, 2))
            now = np.bincount(self.cluster.rack_of, self._members[g])
            for r in np.unique(rack[net != 0]):
                rows.append(np.where(rack == r, net, 0))
                room.append(max(int(self.cluster.group_limit[g] - now[r]), 0))
        return np.array(rows), np.array(room, np.int64)

    def _free_after(self, types: LongArray, change: LongArray) -> LongArray:
        """What is free of a machine of each type after the change: [K*C + P, n]."""
        free = self._free[:, types].copy()
        for variant in range(self._demand.shape[1]):
            for part in range(3):
                takes = self.lattice.part_of[:, variant] == part
                free -= self._demand[takes, variant].T @ change[:, takes, part].T
        return free

    def _groups_agree(self, types: LongArray, change: LongArray) -> BoolArray:
        """Whether no change brings a VM into a machine, or into a full rack, with too many of its group."""
        agree = np.ones(len(types), np.bool_)
        machine = self.machine[types]
        for g, limit in enumerate(self.cluster.group_limit):
            mine = change[:, self.kinds.groups[:, g]]
            comes = (mine > 0).any((1, 2))
            if self.cluster.group_scope[g] == 0:
                agree &= ~comes | (self._members[g, machine] + mine.sum((1, 2)) <= limit)
            else:  # members may change places within a rack that is not above its limit
                racks = np.bincount(self.cluster.rack_of, self._members[g])
                agree &= ~comes | (racks[self.cluster.rack_of[machine]] <= limit)
        return agree


def _members(cluster: Cluster) -> LongArray:
    """How many VMs of each group each machine holds: [G, N]."""
    out = np.zeros((len(cluster.group_limit), cluster.n_pms), np.int64)
    vm, i = np.nonzero(cluster.group_of >= 0)
    np.add.at(out, (cluster.group_of[vm, i], cluster.bin_of[vm]), 1)
    return out
