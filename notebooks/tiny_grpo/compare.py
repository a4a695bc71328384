"""How many rollouts does each allocator need for uniform's final pass rate? Reads the CSV files of `run.py`.

    python notebooks/tiny_grpo/compare.py out/tiny_grpo

An evaluation has a standard error of about one point, so curves are means of three evaluations in a row. The ratio
is uniform's rollouts over those at which the other curve first reaches uniform's last value: above 1, the
allocator needs fewer.
"""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
from scipy.stats import t as student

WINDOW = 3
BASE = "uniform"


def curves(path: Path) -> dict[str, np.ndarray]:
    """Rollouts, pool and unseen of a run, each smoothed over WINDOW evaluations."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    kernel = np.ones(WINDOW) / WINDOW
    if len(rows) < WINDOW:
        raise SystemExit(f"{path}: expected at least {WINDOW} evaluations, found {len(rows)}.")
    names = ("rollouts", "pool", "unseen")
    return {name: np.convolve([float(row[name]) for row in rows], kernel, "valid") for name in names}


def rollouts_to(curve: dict[str, np.ndarray], level: float) -> float:
    """Rollouts at which the pool's curve first reaches a level, between two points on a line; infinite: never."""
    above = np.flatnonzero(curve["pool"] >= level)
    if not len(above):
        return np.inf
    i = int(above[0])
    if i == 0:
        return float(curve["rollouts"][0])
    low, high = curve["pool"][i - 1 : i + 1]
    before, after = curve["rollouts"][i - 1 : i + 1]
    return float(before + (level - low) / (high - low) * (after - before))


def told(values: np.ndarray, digits: int) -> str:
    """Mean with a 95 % interval over seeds."""
    if len(values) < 2 or not np.isfinite(values).all():
        return f"{values.mean():.{digits}f}"
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.{digits}f} ± {half:.{digits}f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    found: dict[str, dict[int, dict[str, np.ndarray]]] = {}
    for path in sorted(folder.glob("*-*.csv")):
        name, _, seed = path.stem.rpartition("-")
        found.setdefault(name, {})[int(seed)] = curves(path)
    if BASE not in found:
        sys.exit(f"Expected {BASE}-SEED.csv in {folder}, found none.")
    titles = ("pool at the end", "unseen at the end", "fewer rollouts, times")
    print("{:12}{:>6}{:>20}{:>20}{:>28}  by seed".format("allocator", "seeds", *titles))
    for name, runs in found.items():
        seeds = sorted(runs.keys() & found[BASE].keys())
        if not seeds:
            continue
        ends = {what: np.array([runs[s][what][-1] for s in seeds]) for what in ("pool", "unseen")}
        ratios = np.array(
            [found[BASE][s]["rollouts"][-1] / rollouts_to(runs[s], float(found[BASE][s]["pool"][-1])) for s in seeds]
        )
        print(
            f"{name:12}{len(seeds):>6}{told(ends['pool'], 3):>20}{told(ends['unseen'], 3):>20}{told(ratios, 2):>28}"
            f"  {' '.join(f'{ratio:.2f}' if ratio else 'never' for ratio in ratios)}"
        )


if __name__ == "__main__":
    main()
