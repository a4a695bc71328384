"""A cluster whose VMs are taken out and put elsewhere one at a time, with what each of that is worth.

Plain array arithmetic over all VMs or all machines: for baselines that make tens of moves, not millions.
"""

import numpy as np

from allocenv.core.arrays import Array, BoolArray, IntArray, LongArray
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.exact.worth import Worth, gain_of, term_rows, worth_of
from allocenv.problems.vm.objective import Rules

NOWHERE = -1


class Placement:
    """Where every VM is now (or NOWHERE), and what that leaves free."""

    def __init__(self, cluster: Cluster, rules: Rules) -> None:
        self.cluster, self.rules = cluster, rules
        self.worth: Worth = worth_of(cluster, rules)
        self.bin_of: IntArray = cluster.bin_of.copy()
        self.variant_of: IntArray = cluster.variant_of.copy()
        self.movable: BoolArray = cluster.movable & cluster.active[cluster.bin_of]
        self.free: LongArray = cluster.capacity.astype(np.int64) - cluster.used  # [K*C + P, N]
        self._held = np.bincount(cluster.bin_of, minlength=cluster.n_pms)
        self._gains = self._gain(self.free, self._held)  # [N]
        self._domains = np.stack([np.arange(cluster.n_pms), cluster.rack_of])
        self._members = np.zeros((len(cluster.group_scope), cluster.n_pms), np.int64)  # by host, or by rack
        for vm in np.flatnonzero((cluster.group_of >= 0).any(1)):
            self._count(int(vm), int(cluster.bin_of[vm]), 1)

    def leave_gains(self) -> Array:
        """What each VM's leaving is worth [M], less the price of moving it; -inf where it may not move."""
        cluster = self.cluster
        vms = np.flatnonzero(self.movable & (self.bin_of != NOWHERE))
        pms = self.bin_of[vms]
        back = cluster.demand[cluster.shape_of[vms], self.variant_of[vms]].T
        gains = np.full(cluster.n_vms, -np.inf)
        gains[vms] = self._gain(self.free[:, pms] + back, self._held[pms] - 1)
        gains[vms] -= self._gains[pms] + self.worth.move * cluster.cost[vms]
        return gains

    def fragment_gains(self) -> Array:
        """How many chunks' worth of fragments each VM's leaving removes [M]: what it is worth less what the same
        amount is worth where nothing is left over. -inf: it may not move."""
        demand = self.cluster.demand[self.cluster.shape_of, np.maximum(self.variant_of, 0)]
        at_best = np.zeros(self.cluster.n_vms)
        for t, chunk in enumerate(self.worth.chunk):
            size = int(self.rules.term_chunk[t]) * max(int(self.rules.term_nodes[t]), 1)
            at_best += chunk * demand[:, term_rows(self.rules, t)].sum(1) / size
        return self.leave_gains() - at_best

    def entry_gains(self, vm: int) -> Array:
        """What coming to each machine as each variant is worth for a VM that is nowhere [N, V]; -inf: illegal."""
        cluster = self.cluster
        shape = cluster.shape_of[vm]
        gains = np.full((cluster.n_pms, cluster.demand.shape[1]), -np.inf)
        open_pms = self._open(vm)
        for variant in range(int(cluster.n_variants[shape])):
            need = cluster.demand[shape, variant][:, None]
            fits = open_pms & ((self.free >= need) | (need == 0)).all(0)
            gains[fits, variant] = self._gain(self.free[:, fits] - need, self._held[fits] + 1) - self._gains[fits]
        return gains

    def total(self) -> float:
        """The gain of all active machines, without any price of moves."""
        return float(self._gains[self.cluster.active].sum())

    def take(self, vm: int) -> None:
        """Take the VM out of its machine."""
        self._change(vm, int(self.bin_of[vm]), int(self.variant_of[vm]), -1)
        self.bin_of[vm] = self.variant_of[vm] = NOWHERE

    def put(self, vm: int, pm: int, variant: int) -> None:
        """Put a VM that is nowhere on a machine."""
        self._change(vm, pm, variant, 1)
        self.bin_of[vm], self.variant_of[vm] = pm, variant

    def spare(self, vm: int) -> Array:
        """Share of the first term's resource left free on each machine as each variant, were the VM to come [N, V]."""
        cluster, demand = self.cluster, self.cluster.demand[self.cluster.shape_of[vm]]
        left = np.zeros((cluster.n_pms, len(demand)))
        for row in term_rows(self.rules, 0):
            left += np.where(demand[:, row] > 0, self.free[row][:, None] - demand[:, row], 0)
        return left / max(int(cluster.capacity.max()), 1)

    def _gain(self, free: LongArray, held: LongArray) -> Array:
        return gain_of(self.rules, self.worth, free, held)

    def _open(self, vm: int) -> BoolArray:
        """Machines that are active, permitted and without too many of the VM's groups."""
        cluster = self.cluster
        out: BoolArray = cluster.active & cluster.allowed[cluster.class_of[vm]]
        for g in cluster.group_of[vm]:
            if g >= 0:
                domain = self._domains[cluster.group_scope[g]]
                out = out & (self._members[g, domain] < cluster.group_limit[g])
        return out

    def _change(self, vm: int, pm: int, variant: int, sign: int) -> None:
        self.free[:, pm] -= sign * self.cluster.demand[self.cluster.shape_of[vm], variant]
        self._held[pm] += sign
        self._gains[pm] = self._gain(self.free[:, [pm]], self._held[[pm]])[0]
        self._count(vm, pm, sign)

    def _count(self, vm: int, pm: int, sign: int) -> None:
        for g in self.cluster.group_of[vm]:
            if g >= 0:
                self._members[g, self._domains[self.cluster.group_scope[g], pm]] += sign
