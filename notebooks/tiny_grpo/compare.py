"""How many rollouts does each allocator need for uniform's final pass rate? Reads the CSV files of `run.py`.

    python notebooks/tiny_grpo/compare.py out/tiny_grpo --steps 120 240 360 480 --readme README.md

An evaluation has a standard error of about half a point, so curves are means of three evaluations in a row. The
ratio is uniform's rollouts over those at which the other curve first reaches uniform's last value: above 1, the
allocator needs fewer. `of the mean curve` is that of the curve averaged over seeds.
"""

import argparse
import csv
import json
import shlex
import sys
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from allocenv.core.files import between_marks, write_atomically

WINDOW = 3
BASE = "uniform"
MARKS = "tiny_grpo"  # in README.md: <!-- tiny_grpo:start --> and <!-- tiny_grpo:end -->
Curve = dict[str, np.ndarray]


def curves(path: Path, steps: float = np.inf) -> Curve:
    """Rollouts, pool and unseen of the first steps of a run, each smoothed over WINDOW evaluations."""
    with open(path, newline="") as file:
        rows = [row for row in csv.DictReader(file) if float(row["step"]) <= steps]
    kernel = np.ones(WINDOW) / WINDOW
    if len(rows) < WINDOW:
        raise SystemExit(f"{path}: expected at least {WINDOW} evaluations, found {len(rows)}.")
    names = ("rollouts", "pool", "unseen")
    return {name: np.convolve([float(row[name]) for row in rows], kernel, "valid") for name in names}


def rollouts_to(curve: Curve, level: float) -> float:
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


def fewer(curve: Curve, base: Curve) -> float:
    """How many times fewer rollouts a curve needs for the base's last value; 0: it never gets there."""
    return float(base["rollouts"][-1]) / rollouts_to(curve, float(base["pool"][-1]))


def mean_curve(runs: list[Curve]) -> Curve:
    """Averaged over seeds, which have equal lengths."""
    return {name: np.mean([run[name] for run in runs], axis=0) for name in runs[0]}


def told(values: np.ndarray, digits: int) -> str:
    """Mean with a 95 % interval over seeds."""
    if len(values) < 2 or not np.isfinite(values).all():
        return f"{values.mean():.{digits}f}"
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.{digits}f} ± {half:.{digits}f}"


def read_runs(folder: Path, steps: float = np.inf) -> dict[str, dict[int, Curve]]:
    """Allocator -> seed -> its curve. Ends the program where uniform's are absent or runs differ in length."""
    found: dict[str, dict[int, Curve]] = {}
    for path in sorted(folder.glob("*-*.csv")):
        name, _, seed = path.stem.rpartition("-")
        found.setdefault(name, {})[int(seed)] = curves(path, steps)
    if BASE not in found:
        sys.exit(f"Expected {BASE}-SEED.csv in {folder}, found none.")
    lengths = {len(curve["pool"]) for runs in found.values() for curve in runs.values()}
    if len(lengths) > 1:
        sys.exit(f"Expected runs of one length in {folder}, found {sorted(lengths)} evaluations: are some not finished?")
    return found


def results(found: dict[str, dict[int, Curve]]) -> dict[str, dict]:
    """The figures of each allocator on the seeds that it shares with uniform."""
    rows = {}
    for name, runs in found.items():
        seeds = sorted(runs.keys() & found[BASE].keys())
        if not seeds:
            continue
        base, own = [found[BASE][s] for s in seeds], [runs[s] for s in seeds]
        rows[name] = {
            "seeds": seeds,
            "start": [float(run["pool"][0]) for run in own],
            "pool": [float(run["pool"][-1]) for run in own],
            "unseen": [float(run["unseen"][-1]) for run in own],
            "fewer": [fewer(run, other) for run, other in zip(own, base, strict=True)],
            "fewer_of_mean_curve": fewer(mean_curve(own), mean_curve(base)),
            "curve": {key: x.tolist() for key, x in mean_curve(own).items()},
        }
    return rows


def cells(row: dict) -> list[str]:
    """Of the table."""
    ends = [told(np.array(row[what]), 3) for what in ("pool", "unseen")]
    return [f"{len(row['seeds'])}", *ends, told(np.array(row["fewer"]), 2), f"{row['fewer_of_mean_curve']:.2f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=float, nargs="+", default=[np.inf], help="compare after so many; each a row")
    parser.add_argument("--results", type=Path, help="write all figures there, as JSON")
    parser.add_argument("--readme", type=Path, help=f"write the table between its {MARKS} marks")
    g = parser.parse_args()
    after = {steps: results(read_runs(g.folder, steps)) for steps in g.steps}
    titles = ("rollouts", "seeds", "pool", "unseen", "fewer rollouts, times", "of the mean curve")
    print("{:12}{:>10}{:>6}{:>18}{:>18}{:>24}{:>20}  by seed".format("allocator", *titles))
    lines = [f"| allocator | {' | '.join(titles)} |", "| --- |" + " ---: |" * len(titles)]
    for rows in after.values():
        for name, row in rows.items():
            by_seed = " ".join(f"{ratio:.2f}" if ratio else "never" for ratio in row["fewer"])
            told_of = [f"{row['curve']['rollouts'][-1]:,.0f}", *cells(row)]
            print("{:12}{:>10}{:>6}{:>18}{:>18}{:>24}{:>20}  {}".format(name, *told_of, by_seed))
            lines.append(f"| {name} | {' | '.join(told_of)} |")
    command = shlex.join(["python", *sys.argv])
    if g.results:
        content = {"command": command, "after_steps": {f"{steps:g}": rows for steps, rows in after.items()}}
        write_atomically(g.results, json.dumps(content, indent=1) + "\n")
    if g.readme:
        note = f"`{command}`; 95 % intervals over seeds."
        write_atomically(g.readme, between_marks(g.readme, "\n".join(lines) + f"\n\n{note}\n", MARKS))


if __name__ == "__main__":
    main()
