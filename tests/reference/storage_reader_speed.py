"""How many lines or records a second does each reader take? `python tests/reference/storage_reader_speed.py`

One line per format: its name and lines (records) per second of processor time, the whole of `read_trace` on a
file of a million requests: reading, checking, and numbering pages. The first reading of each kind, which
compiles, is not counted.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
from storage_files import file_name

from allocenv.problems.storage.formats import read_trace, write_trace
from allocenv.problems.storage.formats.write import WRITERS
from allocenv.problems.storage.trace import Trace


def big_trace(requests=1_000_000):
    """A write-heavy trace of so many requests."""

    rng = np.random.default_rng(0)
    size = rng.integers(1, 9, requests) * 4096
    offset = rng.zipf(1.3, requests) % 1_000_000 * 4096
    return Trace.of("big", np.cumsum(rng.integers(0, 10**6, requests)), offset, size, rng.random(requests) < 0.6)


def reader_speeds(requests=1_000_000, rounds=2):
    """Lines a second by format, the best of some rounds."""
    trace, speeds = big_trace(requests), {}
    with tempfile.TemporaryDirectory() as folder:
        for format in WRITERS:
            path = Path(folder) / file_name(format)
            write_trace(trace, path, format)
            read_trace(path, format, max_requests=10)
            seconds = []
            for _ in range(rounds):
                begin = time.process_time()
                read_trace(path, format)
                seconds.append(time.process_time() - begin)
            path.unlink()
            speeds[format] = requests / min(seconds)
    return speeds


if __name__ == "__main__":
    for name, speed in reader_speeds().items():
        print(f"{name} {speed:.0f}")
