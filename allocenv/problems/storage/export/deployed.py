"""How does an exported network fare? The tables of the C header decide in the simulator, as they would in a driver."""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, IntArray, LongArray
from allocenv.core.kernel import inlined, kernel
from allocenv.problems.storage.dynamics import NEVER, STAY, serve
from allocenv.problems.storage.export.network import PlacementNetwork
from allocenv.problems.storage.export.table_policy import tabulate
from allocenv.problems.storage.online.features import observe_for_harmonia, size_bin
from allocenv.problems.storage.rules import System
from allocenv.problems.storage.simulation import Simulation


class Tables(NamedTuple):
    """`TablePolicy` as kernels take it, and what they write."""

    offset: LongArray  # [F]
    rows: Array  # [R, W] int16
    curve: Array  # [C] uint16
    cell_bits: int
    ahead: IntArray  # [D - 1, U]
    straight: IntArray  # [D - 1, F]
    bias: LongArray  # [D - 1]
    bins: Array  # [F] uint8
    z: Array  # [W] int16
    h: LongArray  # [U]
    decisions: LongArray  # [1]  so far


@inlined
def choose(p):
    """The device of the highest output for `p.bins`, the faster one of equal ones."""
    sums, first = p.z, p.rows[p.offset[0] + p.bins[0]]
    for k in range(sums.size):
        sums[k] = first[k]
    for f in range(1, p.bins.size):
        row = p.rows[p.offset[f] + p.bins[f]]
        for k in range(sums.size):
            sums[k] += row[k]
    for k in range(p.h.size):
        z = sums[k]
        p.h[k] = p.curve[(z ^ (z >> 15)) >> p.cell_bits]
    best, highest = 0, np.int64(0)
    for d in range(p.bias.size):
        above = p.bias[d]
        for f in range(p.bins.size):
            above += np.int64(p.straight[d, f]) * p.bins[f]
        for k in range(p.h.size):
            above += p.ahead[d, k] * p.h[k]
        if above > highest:
            best, highest = d + 1, above
    return best


@kernel
def replay_deployed(x, rules, s, b, p, latency, n):
    """Serve the next n requests; writes the latency of each [n]."""
    for i in range(n):
        t = s.at[b]
        first, target = x.first[t], STAY
        if x.write[t] or s.last_access[b, first] == NEVER:
            observe_for_harmonia(rules, s, b, first, x.write[t], size_bin(x.pages[t]), p.bins)
            target = choose(p)
            p.decisions[0] += 1
        latency[i] = serve(x, rules, s, b, target)


class Deployed:
    """An exported placement network, as a Replayer that learns no more.

    Raises:
        ValueError: a network for another number of devices.
    """

    def __init__(self, network: PlacementNetwork, system: System) -> None:
        devices = int(network.sizes[2])
        if devices != len(system.devices):
            raise ValueError(f"Expected a network for {len(system.devices)} devices, got one for {devices}.")
        policy = tabulate(network)
        self.tables = Tables(
            policy.offset,
            policy.rows,
            policy.curve,
            policy.cell_bits,
            policy.ahead,
            policy.straight,
            policy.bias,
            bins=np.zeros(len(policy.levels), np.uint8),
            z=np.zeros(policy.rows.shape[1], np.int16),
            h=np.zeros(policy.ahead.shape[1], np.int64),
            decisions=np.zeros(1, np.int64),
        )

    def __call__(self, run: Simulation, n: int) -> None:
        latency = run.next_latencies(n)
        replay_deployed(run.trace.requests, run.rules, run.state, 0, self.tables, latency, n)
