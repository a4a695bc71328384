"""Random bits inside kernels: a generator in one array, so that the same seed gives the same search."""

import numpy as np

from allocenv.core.arrays import Array
from allocenv.core.kernel import kernel


def seeded(seed: int) -> Array:
    """A generator: [1] uint64."""
    return np.random.SeedSequence(seed).generate_state(1, np.uint64) | np.uint64(1)


@kernel
def next_bits(random):
    """63 random bits (xorshift64*, Vigna 2016)."""
    s = random[0]
    s ^= s >> np.uint64(12)
    s ^= s << np.uint64(25)
    s ^= s >> np.uint64(27)
    random[0] = s
    return np.int64((s * np.uint64(2685821657736338717)) >> np.uint64(1))
