"""What is left of a placement network when only whole numbers may be used? Table rows, a curve, weights.

Inputs are bins, so the first layer is a sum of one table row per feature, in 16 bits. Swish is half its argument
and an even curve: z / 2 + (z / 2) tanh(z / 2). The halves of all units together are again a weighted sum of the
bins, which is exact; the curve is a table of |z|. Only differences between devices matter, so the last layer gives
what every device promises above device 0. All of it is exact integer arithmetic: C, NumPy and PyTorch agree in
every bit.
"""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, IntArray, LongArray
from allocenv.problems.storage.export.network import PlacementNetwork, check_network, layers_of

Z_MOST, CURVE_MOST = (1 << 15) - 1, (1 << 16) - 1  # sums of the first layer and the curve are scaled to these
CELL_BITS = (3, 4, 5)  # a cell of the curve is so wide: the narrowest where the tables stay small enough
WEIGHT_BITS, BIAS_BITS = 30, 60  # what numbers of the last layer may take
MAX_TABLE_BYTES = 16 << 10
LARGEST = 1e15  # weight: products of two and their sums stay far below what floats hold
LEAST_REACH = 1e-30  # where no sum of the first layer differs from 0
LANES = 8  # rows are padded to whole vectors of 128 bits


class TablePolicy(NamedTuple):
    """Fixed-point tables. F features, R rows (all bins of all features), U units, W >= U padded, D devices."""

    levels: LongArray  # [F]
    rows: Array  # [R, W] int16  first layer, per feature and bin
    curve: Array  # [C] uint16  (z / 2) tanh(z / 2) in cells of |z|
    cell_bits: int  # a cell is 2**cell_bits wide
    ahead: IntArray  # [D - 1, U] int32  weights of the curve, of devices 1.. above device 0
    straight: IntArray  # [D - 1, F] int32  weights of the bins: half of what all units make of them
    bias: LongArray  # [D - 1]

    @property
    def offset(self) -> LongArray:
        """[F] where a feature's rows begin."""
        offset: LongArray = np.cumsum(self.levels) - self.levels
        return offset

    @property
    def table_bytes(self) -> int:
        """What the tables take in memory; the last layer's few numbers stand in the code."""
        return int(self.rows.nbytes + self.curve.nbytes)


def tabulate(network: PlacementNetwork) -> TablePolicy:
    """The tables of a network.

    Raises:
        ValueError: not a placement network; weights too large; over 16 KiB of tables.
    """
    check_network(network)
    largest = np.abs(network.weights).max()
    if largest > LARGEST:
        raise ValueError(f"Expected weights of up to {LARGEST:g}, the largest is {largest:.3g}.")
    rows, scale = _first_layer(network)
    for cell_bits in CELL_BITS:
        curve = _curve(cell_bits, scale)
        unit = CURVE_MOST / curve.max()
        last = _last_layer(network, unit)
        policy = TablePolicy(network.levels, rows, _rounded(curve, unit).astype(np.uint16), cell_bits, *last)
        if policy.table_bytes <= MAX_TABLE_BYTES:
            return policy
    raise ValueError(
        f"Expected tables of up to {MAX_TABLE_BYTES} bytes, {policy.ahead.shape[1]} units take {policy.table_bytes}."
    )


def choices(policy: TablePolicy, bins: Array) -> LongArray:
    """The devices [N] that the C header chooses for bins [N, F]."""
    bins = bins.astype(np.int64)
    z = policy.rows[bins + policy.offset].sum(axis=1, dtype=np.int64)[:, : policy.ahead.shape[1]]
    curve = policy.curve[(z ^ (z >> 63)) >> policy.cell_bits].astype(np.int64)
    above = curve @ policy.ahead.T.astype(np.int64) + bins @ policy.straight.T.astype(np.int64) + policy.bias
    chosen: LongArray = np.pad(above, ((0, 0), (1, 0))).argmax(axis=1)
    return chosen


def _first_layer(network: PlacementNetwork) -> tuple[Array, float]:
    """The rows, and what stands for 1 in them: as much as the greatest sum allows."""
    layers = layers_of(network)
    parts = [np.linspace(0, 1, n)[:, None] * layers.first[f] for f, n in enumerate(network.levels)]
    parts[0] = parts[0] + layers.first_bias
    lowest, highest = (np.sum([pick(part, axis=0) for part in parts], axis=0) for pick in (np.min, np.max))
    reach = max(-lowest.min(), highest.max(), LEAST_REACH)
    scale = (Z_MOST - len(parts)) / reach  # rounded rows may add up to a little more
    rows = np.pad(_rounded(np.concatenate(parts), scale), ((0, 0), (0, -len(lowest) % LANES)))
    return rows.astype(np.int16), scale


def _last_layer(network: PlacementNetwork, unit: float) -> tuple[IntArray, IntArray, LongArray]:
    """Weights of the curve, where `unit` stands for 1, weights of the bins, and biases."""
    layers, steps = layers_of(network), network.levels - 1
    ahead, bias = (layers.last[:, 1:] - layers.last[:, :1]).T, layers.last_bias[1:] - layers.last_bias[0]
    straight, bias = ahead @ (layers.first / steps[:, None]).T / 2, ahead @ layers.first_bias / 2 + bias
    weight = max(np.abs(ahead).max() / unit, np.abs(straight).max())
    one = 2.0 ** min(WEIGHT_BITS - _bits(weight), BIAS_BITS - _bits(np.abs(bias).max()))
    return _rounded(ahead, one / unit).astype(np.int32), _rounded(straight, one).astype(np.int32), _rounded(bias, one)


def _curve(cell_bits: int, scale: float) -> Array:
    """[C] what swish is above half its argument in the middle of every cell."""
    half = (np.arange((Z_MOST + 1) >> cell_bits) + 0.5) * (1 << cell_bits) / scale / 2
    curve: Array = half * np.tanh(half)
    return curve


def _rounded(values: Array, one: float) -> LongArray:
    return np.rint(values * one).astype(np.int64)


def _bits(value: float) -> int:
    """Of the least power of two that is not below the value."""
    return int(np.ceil(np.log2(max(value, 2.0**-BIAS_BITS))))
