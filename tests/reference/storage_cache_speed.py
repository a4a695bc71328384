"""How fast is each cache policy, and what does it miss, on CloudPhysics w106 with 10 % of its pages?

    python tests/reference/storage_cache_speed.py [NAME ...]

Prints `NAME accesses_per_s miss_ratio`; CPU time of one core, best of 3, after a run that compiles.
"""

import lzma
import sys
import time
from pathlib import Path

import numpy as np

from allocenv.core.arrays import IntArray
from allocenv.problems.storage.caches import CACHES, count_misses, new_cache

ROUNDS = 3


def w106_accesses(file: Path) -> IntArray:
    """[P] pages of w106, numbered without gaps."""
    blocks = np.frombuffer(lzma.decompress(file.read_bytes()), "<u4")
    return np.unique(blocks, return_inverse=True)[1].astype(np.int32)


def speed_and_ratio(name: str, accesses: IntArray) -> tuple[float, float]:
    """Accesses per second and the share that misses. Belady's time holds the search for next uses."""
    n_pages = int(accesses.max()) + 1
    count_misses(new_cache(name, n_pages, 1), accesses[:1])
    seconds, misses = [], 0
    for _ in range(ROUNDS):
        cache = new_cache(name, n_pages, int(n_pages * 0.1))
        begin = time.process_time()
        misses = count_misses(cache, accesses)
        seconds.append(time.process_time() - begin)
    return len(accesses) / min(seconds), misses / len(accesses)


def main() -> None:
    """Print one line a policy."""
    from real_data import real_data

    accesses = w106_accesses(real_data("storage/cloudphysics_w106.u32le.xz"))
    for name in sys.argv[1:] or CACHES:
        speed, ratio = speed_and_ratio(name, accesses)
        print(f"{name:9} {speed:12.0f} {ratio:.5f}", flush=True)


if __name__ == "__main__":
    main()
