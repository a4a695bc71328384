"""The largest gains of a table: an allocation for any concave value that is given as numbers."""

import numpy as np

from allocenv.core.arrays import Array, LongArray


def take_largest(gains: Array, room: int) -> LongArray:
    """How many of its gains [M, L], which must fall along each row, each row takes so that `room` are taken in all.

    Exact for concave values (see `greedy`). Equal gains: the lower level, then the lower row first. O(M L
    log(M L)).

    Raises:
        ValueError: `room` is below 0 or above M L, or a row rises.
    """
    m, levels = gains.shape
    if not 0 <= room <= m * levels:
        raise ValueError(f"Expected room from 0 to {m * levels}, got {room}.")
    if (np.diff(gains, axis=1) > 1e-12).any():
        raise ValueError("Expected gains that fall along each row.")
    falling = np.minimum.accumulate(gains, axis=1)
    order = np.argsort(-falling.T, axis=None, kind="stable")[:room]
    return np.bincount(order % m, minlength=m).astype(np.int64) if m else np.zeros(0, np.int64)
