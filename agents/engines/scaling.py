"""How far does an engine scale? Costs measured here, and what they come to on many machines.

    python -m allocenv.agents.engines.scaling --readme agents/engines/README.md      # needs Ray, about a minute

A section of the page is a function that measures and returns its lines: `SECTIONS`.
"""

import argparse
import math
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from allocenv.agents.engines.choice import Choice
from allocenv.agents.engines.cluster import connected
from allocenv.core.files import between_marks, write_atomically
from allocenv.core.kept import Kept
from allocenv.core.pool import AHEAD, CHUNK_SECONDS, CHUNKS_A_SECOND, CHUNKS_LEFT, Pool, Ticket, Work
from allocenv.core.provenance import machine

NODES = (1, 4, 16, 64, 100)
CORES = 16  # of each
MARKS = "scaling"


class Costs(NamedTuple):
    """What dividing work costs, in seconds."""

    chunk: float  # of the driver: hand out a chunk and take what came of it, CPU time, `in_flight` chunks under way
    kept: float  # of the driver: write a shard and have it on the disk
    trip: float  # of a worker: from one empty chunk to the next, both waiting
    in_flight: int
    shard_bytes: int
    start: float  # CPU time of a worker until it is ready: imports, kernels from the disk, networks


class Load(NamedTuple):
    """An evaluation."""

    what: str
    tasks: int
    seconds: float  # a task takes on a core


LOADS = (
    Load("10,000 snapshots, all contenders, 1 s each", 30_000, 3.0),
    Load("100,000 instances, rules only", 100_000, 0.02),
    Load("2,000 traces, 10 minutes each", 2_000, 600.0),
)


@dataclass(frozen=True)
class Nothing:
    """A job that takes no time: what is left is the cost of dividing it. Comes to rows like an evaluation's."""

    rows: int = 3

    def prepare(self) -> Work:
        row = {"contender": "annealing", "instance": "default-0", "objective": 0.123456789, "figures": {"x": 1.0}}
        return lambda task: [row] * self.rows


def measured(chunks: int = 5_000, in_flight: int = AHEAD * NODES[-1] * CORES) -> Costs:
    """Measure on a cluster on this machine. Raises ValueError where Ray is not installed."""
    with connected(cpus=2), Choice("ray").pool(Nothing()) as pool:
        _driven(pool, 50, 1)  # workers are ready now
        trip = statistics.median(_driven(pool, 1, 1) for _ in range(200))
        chunk = _driven(pool, chunks, in_flight, time.process_time) / chunks
        result = pool.result(pool.submit(["t"]))[1][0]
    with TemporaryDirectory() as folder:
        shards, walls = Kept(Path(folder), "key", print), []
        for i in range(50):
            began = time.perf_counter()
            shards.write({f"{i}": result})
            walls.append(time.perf_counter() - began)
        size = max(file.stat().st_size for file in shards.folder.iterdir())
    return Costs(chunk, statistics.median(walls), trip, in_flight, size, _start())


def _driven(pool: Pool, chunks: int, in_flight: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds that so many chunks of one task take, so many of them under way at once."""
    began, left, under_way = clock(), chunks, dict[Ticket, None]()
    while left or under_way:
        more = min(left, in_flight - len(under_way))
        under_way.update((pool.submit(["t"]), None) for _ in range(more))
        left -= more
        for ticket in pool.ended(list(under_way)):
            del under_way[ticket]
            pool.result(ticket)
    return clock() - began


def _start() -> float:
    """CPU seconds of the smallest evaluation."""
    command = ("evaluate", "vm", "--against", "annealing", "--seconds", "0.01", "--limit", "1")
    used = []
    for _ in range(2):  # the first one may have to compile
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "allocenv.agents.cli", *command], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return used[-1]


def predicted(load: Load, costs: Costs, workers: int) -> tuple[float, float]:
    """Seconds that an evaluation takes on so many cores, and its efficiency: what it would take were nothing lost.

    seconds = start + max(workers' time, driver's time) + the last task, for which others may have to wait, with
        workers' time = tasks x (seconds of a task + trip / tasks in a chunk) / workers
        driver's time = chunks x chunk: chunks that end while a shard is written go into the next one together
    """
    wanted = max(CHUNK_SECONDS, workers / CHUNKS_A_SECOND) / load.seconds
    size = max(1.0, min(wanted, load.tasks / (CHUNKS_LEFT * workers)))
    working = load.tasks * (load.seconds + costs.trip / size) / workers
    driving = load.tasks / size * costs.chunk
    seconds = costs.start + max(working, driving) + load.seconds
    return seconds, load.tasks * load.seconds / workers / seconds


def evaluation_section(costs: Costs | None = None) -> str:
    """Costs and predictions of evaluation, as Markdown."""
    c = costs or measured()
    head = "| nodes | " + " | ".join(load.what for load in LOADS) + " |"
    lines = [head, "| ---: |" + " ---: |" * len(LOADS)]
    for nodes in NODES:
        cells = [predicted(load, c, nodes * CORES) for load in LOADS]
        lines.append(f"| {nodes} | " + " | ".join(f"{_duration(s)}, {e:.0%}" for s, e in cells) + " |")
    return (
        f"Measured on {machine()}: a chunk costs the driver {1e3 * c.chunk:.2f} ms of CPU time with {c.in_flight:,} "
        f"under way, keeping it {1e3 * c.kept:.2f} ms ({c.shard_bytes:,} bytes, on the disk), a worker "
        f"{1e3 * c.trip:.1f} ms between two chunks; a worker is ready after {c.start:.0f} s of CPU time.\n\n"
        f"Predicted time and efficiency, {CORES} cores a node:\n\n" + "\n".join(lines) + "\n"
    )


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{math.floor(seconds / 360) / 10:g} h"


SECTIONS: tuple[Callable[[], str], ...] = (evaluation_section,)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--readme", type=Path, help=f"write between this file's <!-- {MARKS}:start/end --> marks")
    readme = parser.parse_args().readme
    text = "\n".join(section() for section in SECTIONS)
    print(text)
    if readme is not None:
        write_atomically(readme, between_marks(readme, text, MARKS))


if __name__ == "__main__":
    from allocenv.agents.engines import scaling  # jobs name their module, which on a worker is not __main__

    scaling.main()
