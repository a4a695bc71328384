"""Does a killed trainer go on bit by bit? One that saves every step is killed again and again, and one runs through.

Prints `kills N` and `same 1` where the final states agree in every bit. Run: python budget_killed_trainer.py
"""

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from allocenv.problems.budget.allocator import Allocator

STEPS, POOL, BATCH = 60, 600, 64
MOST_KILLS = 4


def latest(folder):
    """The number of the newest checkpoint, 0: none."""
    return max((int(path.stem) for path in folder.glob("[0-9]*.npz")), default=0)


def train(folder, save):
    begin = latest(folder)
    allocator = Allocator.load(folder / f"{begin}.npz") if begin else Allocator()
    for step in range(begin, STEPS):
        rng = np.random.default_rng([step])
        rows = rng.permutation(POOL)[:BATCH]
        ids = [f"prompt {row}" for row in rows]
        counts = allocator.allocate(ids, 8 * BATCH)
        allocator.observe(ids, rng.binomial(counts, (rows / POOL) ** 3), counts, counts * 100)
        if save:
            allocator.save(folder / f"{step + 1}.npz")
    return allocator.state_dict()


def same(one, other):
    return one.keys() == other.keys() and all(
        x == other[name] if isinstance(x, str) else x.tobytes() == other[name].tobytes() for name, x in one.items()
    )


def main():
    folder, kills, rng = Path(tempfile.mkdtemp(prefix="allocenv-killed-")), 0, np.random.default_rng(0)
    while latest(folder) < STEPS:
        before, trainer = latest(folder), subprocess.Popen([sys.executable, __file__, str(folder)])
        while trainer.poll() is None and kills < MOST_KILLS:
            if latest(folder) > before:
                time.sleep(float(rng.uniform(0, 0.05)))
                trainer.send_signal(signal.SIGKILL)
                kills += 1
                break
            time.sleep(0.005)
        if trainer.wait() not in (0, -signal.SIGKILL):
            sys.exit("the trainer failed")
    (empty := folder / "empty").mkdir()
    print("kills", kills)
    print("same", int(same(Allocator.load(folder / f"{STEPS}.npz").state_dict(), train(empty, save=False))))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        train(Path(sys.argv[1]), save=True)
    else:
        main()
