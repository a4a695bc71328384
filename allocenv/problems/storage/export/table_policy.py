"""What is left of a placement network when only whole numbers may be used? Table rows, a curve, weights.

Inputs are bins, so the first layer is a sum of one table row per feature. Numbers are fixed-point, 2**20 to one.
Swish is z * sigmoid(z) = max(z, 0) - dip(|z|) with dip(a) = a / (1 + e**a), interpolated between nodes 1/32
apart up to 14, beyond which it is below 2e-5. Only differences between devices matter, so the last layer gives
what every device promises above device 0. All of it is exact integer arithmetic: C, NumPy and PyTorch agree in
every bit.
"""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, IntArray, LongArray
from allocenv.problems.storage.export.network import PlacementNetwork, check_network, layers_of

ONE_BITS = 20  # of fractions
STEP_BITS = 15  # between two nodes of the curve: 1/32
CURVE_BITS = 16  # of fractions, of the curve's own values
NODES = 14 << (ONE_BITS - STEP_BITS)
MAX_TABLE_BYTES = 16 << 10
LANES = 4  # rows are padded to whole vectors of 128 bits


class TablePolicy(NamedTuple):
    """Fixed-point tables. F features, R rows (all bins of all features), U units, W >= U padded, D devices."""

    levels: LongArray  # [F]
    rows: IntArray  # [R, W] int32  first layer, per feature and bin
    curve: IntArray  # [NODES + 1, 2] int16  the dip at a node, and what the next node has more
    ahead: IntArray  # [D - 1, U] int32  last layer, of devices 1.. above device 0
    bias: LongArray  # [D - 1]  40 bits of fractions

    @property
    def offset(self) -> LongArray:
        """[F] where a feature's rows begin."""
        return np.cumsum(self.levels) - self.levels

    @property
    def table_bytes(self) -> int:
        """What the tables take in memory."""
        return self.rows.nbytes + self.curve.nbytes + self.ahead.nbytes + self.bias.nbytes


def tabulate(network: PlacementNetwork) -> TablePolicy:
    """The tables of a network.

    Raises:
        ValueError: not a placement network; weights too large for fixed-point numbers; over 16 KiB of tables.
    """
    check_network(network)
    layers = layers_of(network)
    ahead = (layers.last[:, 1:] - layers.last[:, :1]).T
    bias = layers.last_bias[1:] - layers.last_bias[0]
    rows = [np.arange(n)[:, None] / (n - 1) * layers.first[f] for f, n in enumerate(network.levels)]
    rows[0] = rows[0] + layers.first_bias
    _check_range(np.sum([np.abs(row).max(axis=0) for row in rows], axis=0), ahead, bias)
    padding = -layers.first.shape[1] % LANES
    policy = TablePolicy(
        network.levels,
        np.pad(_fixed(np.concatenate(rows), ONE_BITS), ((0, 0), (0, padding))).astype(np.int32),
        _curve(),
        _fixed(ahead, ONE_BITS).astype(np.int32),
        _fixed(bias, 2 * ONE_BITS),
    )
    if policy.table_bytes > MAX_TABLE_BYTES:
        units = layers.first.shape[1]
        raise ValueError(f"Expected tables of up to {MAX_TABLE_BYTES} bytes, {units} units take {policy.table_bytes}.")
    return policy


def choices(policy: TablePolicy, bins: Array) -> LongArray:
    """The devices [N] that the C header chooses for bins [N, F]."""
    units = policy.ahead.shape[1]
    z = policy.rows[bins + policy.offset].sum(axis=1, dtype=np.int64)[:, :units]
    size = np.abs(z)
    node = np.minimum(size >> STEP_BITS, NODES)
    curve = policy.curve.astype(np.int64)
    dip = (curve[node, 0] << STEP_BITS) + curve[node, 1] * (size & ((1 << STEP_BITS) - 1))
    h = np.maximum(z, 0) - (dip >> (STEP_BITS + CURVE_BITS - ONE_BITS))
    above = h @ policy.ahead.T.astype(np.int64) + policy.bias
    chosen: LongArray = np.pad(above, ((0, 0), (1, 0))).argmax(axis=1)
    return chosen


def _curve() -> IntArray:
    a = np.arange(NODES + 1) / (1 << (ONE_BITS - STEP_BITS))
    dip = _fixed(a / (1 + np.exp(a)), CURVE_BITS)
    dip[-1] = 0
    return np.stack([dip, np.diff(dip, append=0)], axis=1).astype(np.int16)


def _fixed(values: Array, bits: int) -> LongArray:
    return np.rint(values * 2.0**bits).astype(np.int64)


def _check_range(largest: Array, ahead: Array, bias: Array) -> None:
    """Sums of rows stay below 2**30, outputs below 2**62."""
    if largest.max() >= 1 << 10:
        raise ValueError(f"Expected sums of the first layer below 1024, these weights reach {largest.max():.3g}.")
    promised = (np.abs(ahead) @ (largest + 1) + np.abs(bias)).max()
    if np.abs(ahead).max() >= 1 << 10 or promised >= 1 << 21:
        raise ValueError(f"Expected outputs below 2**21 and weights below 1024, these reach {promised:.3g}.")
