"""What the engines promise: `allocenv bench engines` measures it, and says at what load."""

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

from allocenv.agents.config import RunConfig
from allocenv.core.bench import Bar, Measured, Session

CORES = 2
PAIRS = 2  # of runs, local and Ray by turns
EVALUATION = (
    "evaluate", "vm", "--against", "annealing", "--seconds", "1", "--seeds", "6", "--processes", str(CORES),
)  # fmt: skip
LEAST = 0.85  # of the local engine's throughput
CONFIGS = Path(__file__).resolve().parents[2] / "configs"
TRAINED = ("vm/two_stage.toml", "vm/ppo.toml")
LEAST_TRAINING = 0.6
MARK = "ALLOCENV_BENCH"  # in the environment of everything that a run starts


class Spent(NamedTuple):
    """What a command took, from its start to its end, set-up included."""

    wall: float  # seconds
    cpu: float  # seconds, all processes that it started, Ray's own among them
    load: float  # mean of the machine's running processes meanwhile


def spent(arguments: tuple[str, ...]) -> Spent:
    """Run a command of allocenv on this machine. Raises ValueError where it fails."""
    token = f"{os.getpid()}-{time.monotonic_ns()}"
    environment = {**os.environ, MARK: token, "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "allocenv.agents.cli", *arguments, "--out", out]
        began = time.perf_counter()
        watch = _Watch(f"{MARK}={token}".encode())
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        wall = time.perf_counter() - began
        watch.stop()
    if done.returncode != 0:
        raise ValueError(f"{' '.join(arguments)}: {done.stderr.strip()}")
    return Spent(wall, watch.cpu, statistics.mean(watch.loads))


class _Watch(threading.Thread):
    """Reads twice a second what processes with a mark in their environment have used; the dead count as last seen."""

    def __init__(self, mark: bytes) -> None:
        super().__init__(daemon=True)
        self._mark, self._seen, self._over = mark, dict[str, float](), threading.Event()
        self.loads: list[float] = []
        self.start()

    @property
    def cpu(self) -> float:
        return sum(self._seen.values())

    def run(self) -> None:
        while not self._over.wait(0.5):
            self.loads.append(float(Path("/proc/loadavg").read_text().split()[0]))
            for folder in Path("/proc").glob("[0-9]*"):
                try:
                    if folder.name in self._seen or self._mark in (folder / "environ").read_bytes().split(b"\0"):
                        fields = (folder / "stat").read_text().rpartition(")")[2].split()
                        self._seen[folder.name] = sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
                except (OSError, ValueError):
                    continue  # it has ended, or is another user's

    def stop(self) -> None:
        self._over.set()
        self.join()


def evaluation_throughput(session: Session) -> Measured:
    """The same evaluation by forks and by Ray on as many cores, by turns."""
    spent(("evaluate", "vm", "--against", "annealing", "--seconds", "0.01", "--limit", "1"))  # compiles
    runs = [(spent(EVALUATION), spent((*EVALUATION, "--engine", "ray"))) for _ in range(PAIRS)]
    wall, cpu = (statistics.median(getattr(a, what) / getattr(b, what) for a, b in runs) for what in ("wall", "cpu"))
    local, ray = (", ".join(f"{run[i].wall:.0f}" for run in runs) for i in (0, 1))
    load = statistics.mean(run.load for pair in runs for run in pair)
    figure = (
        f"Ray's throughput is {wall:.2f} of the local engine's by wall time ({local} s against {ray} s), {cpu:.2f} by "
        f"CPU time, on {CORES} cores at a load of {load:.1f}"
    )
    return Measured(wall >= LEAST, figure, {"wall": wall, "cpu": cpu, "runs": [[*a, *b] for a, b in runs]})


def training_speed(session: Session) -> Measured:
    """Rollouts and updates of the same config, by CPU seconds, the engines by turns."""
    from allocenv.agents.engines.throughput import training_throughput

    found = {name: training_throughput(RunConfig.load(CONFIGS / name)) for name in TRAINED}
    figure = "; ".join(
        f"{name}: {each.ray:,.0f} steps a CPU second against {each.local:,.0f}, {each.ratio:.2f}"
        for name, each in found.items()
    )
    told = {name: each._asdict() for name, each in found.items()}
    return Measured(min(each.ratio for each in found.values()) >= LEAST_TRAINING, figure, told)


BARS = (
    Bar(
        "1", f"evaluation on Ray: at least {LEAST} of the local engine's throughput, {CORES} cores, set-up included",
        evaluation_throughput, "6 minutes",
    ),
    Bar(
        "2", f"training on Ray: at least {LEAST_TRAINING} of the local engine's throughput at equal cores",
        training_speed, "3 minutes",
    ),
)  # fmt: skip
