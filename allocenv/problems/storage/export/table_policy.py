"""What is left of a placement network when only whole numbers may be used? Table rows, a curve, weights.

Inputs are bins, so the first layer is a sum of one table row per feature. Swish is a straight line in each of
many cells from -12 to 12; below it is taken as 0, above as z (both wrong by less than 1e-4). Only differences
between devices matter, so the last layer gives what every device promises above device 0. All of it is exact
integer arithmetic: C, NumPy and PyTorch agree in every bit.
"""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, IntArray, LongArray
from allocenv.problems.storage.export.network import PlacementNetwork, check_network, layers_of

Z_BITS, SLOPE_BITS = 16, 14  # of fractions: of the first layer's sums, of the curve's slopes
H_BITS = Z_BITS + SLOPE_BITS  # of what leaves the units
END = 12  # the curve goes from -END to END
CELL_BITS = (11, 12)  # a cell's width in Z_BITS: 1/32 where the tables stay small enough, else 1/16
MAX_TABLE_BYTES = 16 << 10
LANES = 4  # rows are padded to whole vectors of 128 bits


class TablePolicy(NamedTuple):
    """Fixed-point tables. F features, R rows (all bins of all features), U units, W >= U padded, D devices."""

    levels: LongArray  # [F]
    rows: IntArray  # [R, W] int32  first layer, per feature and bin
    slope: IntArray  # [C] int16  of swish in a cell; the first cell is all below -END, the last all above END
    level: IntArray  # [C] int32  where the cell's line is at z = 0; H_BITS of fractions
    ahead: IntArray  # [D - 1, U] int32  last layer, of devices 1.. above device 0
    bias: LongArray  # [D - 1]

    @property
    def offset(self) -> LongArray:
        """[F] where a feature's rows begin."""
        offset: LongArray = np.cumsum(self.levels) - self.levels
        return offset

    @property
    def half(self) -> int:
        """Cells from 0 to END; a sum's cell is `half + 1 + (z >> cell_bits)`."""
        return len(self.slope) // 2 - 1

    @property
    def cell_bits(self) -> int:
        """Width of a cell, 2**cell_bits."""
        return Z_BITS - (self.half // END).bit_length() + 1

    @property
    def table_bytes(self) -> int:
        """What the tables take in memory; the last layer's few numbers stand in the code."""
        return int(self.rows.nbytes + self.slope.nbytes + self.level.nbytes)


def tabulate(network: PlacementNetwork) -> TablePolicy:
    """The tables of a network.

    Raises:
        ValueError: not a placement network; weights too large for fixed-point numbers; over 16 KiB of tables.
    """
    check_network(network)
    layers = layers_of(network)
    units = layers.first.shape[1]
    parts = [np.arange(n)[:, None] / (n - 1) * layers.first[f] for f, n in enumerate(network.levels)]
    parts[0] = parts[0] + layers.first_bias
    rows = np.pad(_fixed(np.concatenate(parts), Z_BITS), ((0, 0), (0, -units % LANES)))
    reach = np.sum([np.abs(part).max(axis=0) for part in parts], axis=0)
    _expect_below(reach.max(), 1 << 14, "sums of the first layer")
    ahead, bias = (layers.last[:, 1:] - layers.last[:, :1]).T, layers.last_bias[1:] - layers.last_bias[0]
    bits = _bits_of_last_layer(reach, ahead, bias)
    for cell_bits in CELL_BITS:
        policy = TablePolicy(
            network.levels,
            rows.astype(np.int32),
            *_curve(cell_bits),
            _fixed(ahead, bits).astype(np.int32),
            _fixed(bias, H_BITS + bits),
        )
        if policy.table_bytes <= MAX_TABLE_BYTES:
            return policy
    raise ValueError(f"Expected tables of up to {MAX_TABLE_BYTES} bytes, {units} units take {policy.table_bytes}.")


def choices(policy: TablePolicy, bins: Array) -> LongArray:
    """The devices [N] that the C header chooses for bins [N, F]."""
    z = policy.rows[bins + policy.offset].sum(axis=1, dtype=np.int64)[:, : policy.ahead.shape[1]]
    cell = np.clip((z >> policy.cell_bits) + policy.half + 1, 0, len(policy.slope) - 1)
    h = policy.slope.astype(np.int64)[cell] * z + policy.level[cell]
    above = h @ policy.ahead.T.astype(np.int64) + policy.bias
    chosen: LongArray = np.pad(above, ((0, 0), (1, 0))).argmax(axis=1)
    return chosen


def needs_end(policy: TablePolicy) -> list[bool]:
    """[U] whether a unit's sum can leave -END..END for any bins."""
    ends = policy.offset[1:]
    parts = np.split(policy.rows[:, : policy.ahead.shape[1]].astype(np.int64), ends)
    low, high = (np.sum([pick(part, axis=0) for part in parts], axis=0) for pick in (np.min, np.max))
    outside: list[bool] = ((low < -END << Z_BITS) | (high >= END << Z_BITS)).tolist()
    return outside


def _curve(cell_bits: int) -> tuple[IntArray, IntArray]:
    """Slopes and levels of the lines: chords of swish, shifted to halve the greatest error."""
    width = 2.0 ** (cell_bits - Z_BITS)
    ends = np.arange(-END, END + width / 2, width)
    z, right = ends[:-1], ends[1:]
    slope = _fixed((_swish(right) - _swish(z)) / width, SLOPE_BITS)
    middle = z + width / 2
    real = slope / 2.0**SLOPE_BITS
    at_ends = (_swish(z) - real * z + _swish(right) - real * right) / 2
    level = _fixed((at_ends + _swish(middle) - real * middle) / 2, H_BITS)
    slope = np.concatenate([[0], slope, [1 << SLOPE_BITS]])
    return slope.astype(np.int16), np.pad(level, 1).astype(np.int32)


def _swish(z: Array) -> Array:
    swish: Array = z / (1 + np.exp(-z))
    return swish


def _fixed(values: Array, bits: int) -> LongArray:
    return np.rint(values * 2.0**bits).astype(np.int64)


def _bits_of_last_layer(reach: Array, ahead: Array, bias: Array) -> int:
    """As many bits of fractions as leave weights below 2**31 and outputs below 2**62."""
    output = float((np.abs(ahead) @ (reach + 1) + np.abs(bias)).max())
    _expect_below(output, 1 << 20, "outputs")
    room = 61 - H_BITS - int(np.ceil(np.log2(max(output, 1.0))))
    return min(room, 30 - int(np.ceil(np.log2(max(float(np.abs(ahead).max()), 1.0)))))


def _expect_below(value: float, limit: int, what: str) -> None:
    if not value < limit:
        raise ValueError(f"Expected {what} below {limit}, these weights reach {value:.3g}.")
