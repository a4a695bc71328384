"""What is an assignment worth: the objective of `Rules` as a sum over machines, for whole assignments at once.

The same figures as `dynamics.objective`, without a state. A gain of 1 is the objective of the most valuable
chunk (or emptied machine), as in the rewards.
"""

from fractions import Fraction
from math import lcm
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, IntArray, LongArray
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.objective import ON_HOST, Rules

_COARSEST = 1_000  # a gain is a multiple of 1/q for a q up to this, or of nothing


class Worth(NamedTuple):
    """How chunks, emptied machines and moves enter the objective."""

    base: float  # objective without any chunk or emptied machine
    value: Array  # [T]  objective a chunk of each term is worth
    emptied_value: float  # objective an active machine without VMs is worth
    unit: float  # objective a gain of 1 is worth: the largest of these
    chunk: Array  # [T]  gain of a chunk of each term
    emptied: float  # gain of an active machine without VMs
    move: float  # gain lost per move and unit of the VM's cost


def worth_of(cluster: Cluster, rules: Rules) -> Worth:
    """The coefficients of the objective. Moves keep what is free, so they are constants of the snapshot."""
    free = (cluster.capacity.astype(np.int64) - cluster.used)[:, cluster.active]
    value = np.zeros(len(rules.term_resource))
    base = 0.0
    for t in range(len(value)):
        total = int(free[term_rows(rules, t)].sum())
        if total > 0:
            base += float(rules.term_weight[t])
            value[t] = rules.term_weight[t] * int(rules.term_chunk[t]) * max(int(rules.term_nodes[t]), 1) / total
    emptied = rules.empty_weight / max(int(cluster.active.sum()), 1)
    unit = max([emptied, *value.tolist()]) or 1.0
    return Worth(base, value, emptied, unit, value / unit, emptied / unit, rules.move_price)


def term_rows(rules: Rules, t: int) -> list[int]:
    """The rows of `capacity` that term t counts chunks in."""
    cells = 1 if rules.term_nodes[t] == ON_HOST else rules.n_cells
    return [int(rules.term_resource[t]) + k * rules.n_cell_resources for k in range(cells)]


def chunks_of(rules: Rules, free: LongArray) -> LongArray:
    """How many chunks of each term fit on each machine: [T, n], given what is free [K*C + P, n]."""
    out = np.zeros((len(rules.term_resource), free.shape[1]), np.int64)
    for t in range(len(out)):
        fit = np.maximum(free[term_rows(rules, t)], 0) // int(rules.term_chunk[t])
        total = fit.sum(0)
        if rules.term_nodes[t] == 2:  # pairs of chunks on distinct cells
            total = np.minimum(total // 2, total - fit.max(0))
        out[t] = total
    return out


def gain_of(rules: Rules, worth: Worth, free: LongArray, held: LongArray) -> Array:
    """The gain of each machine [n], given what is free [K*C + P, n] and how many VMs it holds [n]."""
    gain: Array = worth.chunk @ chunks_of(rules, free) + worth.emptied * (held == 0)
    return gain


def objective_of(cluster: Cluster, rules: Rules, bin_of: IntArray, variant_of: IntArray) -> float:
    """The objective, were the VMs placed like this: to the last bit what the environment computes."""
    used = np.zeros(cluster.capacity.shape, np.int64)
    np.add.at(used.T, bin_of, cluster.demand[cluster.shape_of, variant_of])
    held = np.bincount(bin_of, minlength=cluster.n_pms)[cluster.active]
    worth = worth_of(cluster, rules)
    total = worth.base - worth.emptied_value * int((held == 0).sum())
    for value, n in zip(
        worth.value, chunks_of(rules, (cluster.capacity - used)[:, cluster.active]).sum(1), strict=True
    ):
        total -= value * int(n)
    return float(total)


def grid_of(values: Array) -> float:
    """The largest step of which all the values are whole multiples, or 0 where none above 1/1000 is."""
    fractions = [Fraction(float(v)).limit_denominator(_COARSEST) for v in values if v != 0]
    if any(abs(float(f) - v) > 1e-12 for f, v in zip(fractions, (v for v in values if v != 0), strict=True)):
        return 0.0
    denominator = lcm(*(f.denominator for f in fractions))
    return 1.0 / denominator if denominator <= _COARSEST else 0.0
