"""What `allocenv bench` does: measure every bar of a problem, print figure and verdict, write them down."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from allocenv.agents.constructive.files import load_scorer
from allocenv.agents.games import Play, shipped_player
from allocenv.agents.pretrained import FOLDER
from allocenv.agents.regression import lost, moved, read_bench, regression_table
from allocenv.agents.solvers import shipped_solvers
from allocenv.agents.trained import learnt_solver
from allocenv.core.bench import Bar, Measured
from allocenv.core.console import report_console
from allocenv.core.construction import Scorer
from allocenv.core.files import write_atomically
from allocenv.core.problem import Problem
from allocenv.core.provenance import machine
from allocenv.core.solver import Entry
from allocenv.problems import PROBLEMS, REGISTRY
from allocenv.wrappers.vector import AllocVectorEnv

ENGINES = "engines"
ROOT = Path(__file__).resolve().parents[1]


class BenchSession:
    """What the bars may ask for."""

    def __init__(self, problem_name: str) -> None:
        self.problem_name = problem_name
        self._shipped: dict[str, Entry] | None = None

    def learnt(self, problem: Problem) -> Mapping[str, Entry]:
        if self._shipped is None:
            self._shipped = shipped_solvers(self.problem_name, problem)
        return self._shipped

    def scorer(self, name: str) -> Scorer:
        return load_scorer(FOLDER / f"{name}.safetensors")

    def player(self, name: str) -> Play:
        return shipped_player(name)

    def vector_env(self, problem: Problem, n: int) -> AllocVectorEnv:
        return AllocVectorEnv(problem, n)

    def trained(self, config: str, minutes: float, seed: int) -> tuple[Path, Any]:
        """Train for so many minutes of wall time, from nothing, in a process of its own."""
        out = Path(tempfile.mkdtemp(prefix="allocenv-bench-"))
        allocenv = [sys.executable, "-m", "allocenv.agents.cli"]
        command = [*allocenv, "train", str(ROOT / config), "--seed", str(seed), "--out", str(out), "--no-progress"]
        with suppress(subprocess.TimeoutExpired):  # the best checkpoint until then is what counts
            subprocess.run(command, timeout=minutes * 60, check=False)
        run = next(out.glob(f"{self.problem_name}/*/*"))
        return run, learnt_solver(str(run), self.problem_name, PROBLEMS[self.problem_name]())[1]

    def run(self, command: list[str], seconds: float) -> tuple[int, float, str]:
        """Run a command in a fresh clone."""
        folder = Path(tempfile.mkdtemp(prefix="allocenv-clone-"))
        subprocess.run(["git", "clone", "-q", str(ROOT), str(folder / "allocenv")], check=True)
        elsewhere = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # not this checkout
        began = time.perf_counter()
        try:
            done = subprocess.run(
                command,
                cwd=folder / "allocenv",
                env=elsewhere,
                timeout=seconds,
                capture_output=True,
                text=True,
                check=False,
            )
            status, output = done.returncode, done.stdout + done.stderr
        except subprocess.TimeoutExpired:
            status, output = 124, f"stopped after {seconds} s"
        wall = time.perf_counter() - began
        shutil.rmtree(folder, ignore_errors=True)
        return status, wall, output

    def script(self, arguments: list[str]) -> tuple[int, str]:
        """Run a Python script of this checkout."""
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return done.returncode, done.stdout


def run_bench(problem_name: str, chosen: Sequence[str], out: Path, against: Path | None = None) -> bool:
    """Measure the bars (all, or those chosen by number); whether every one was met.

    `against`: what an earlier run wrote; tells what moved since then.
    """
    bars = _bars_of(problem_name)
    before = read_bench(against) if against is not None else None
    unknown = [number for number in chosen if number not in {bar.number for bar in bars}]
    if unknown:
        raise ValueError(f"--bar: expected one of {', '.join(bar.number for bar in bars)}, got {unknown[0]!r}.")
    console, session = report_console(), BenchSession(problem_name)
    results: list[dict[str, Any]] = []
    document: dict[str, Any] = {"problem": problem_name, "machine": machine(), "bars": results}
    console.print(f"{problem_name} on {machine()}", soft_wrap=True)
    for bar in bars:
        if chosen and bar.number not in chosen:
            continue
        console.print(
            f"\n[bold]{bar.number}[/bold] {bar.promise}{f' ({bar.needs})' if bar.needs else ''}", soft_wrap=True
        )
        began = time.perf_counter()
        measured = _measure(bar, session)
        verdict = "[green]met[/green]" if measured.passed else "[red]MISSED[/red]"
        console.print(f"  {verdict}: {measured.figure}", soft_wrap=True)
        results.append(
            {
                "bar": bar.number,
                "promise": bar.promise,
                "passed": measured.passed,
                "figure": measured.figure,
                "values": measured.values,
                "seconds": time.perf_counter() - began,
            }
        )
        write_atomically(out / f"{problem_name}.json", json.dumps(document, indent=1, default=float) + "\n")
    if before is not None:
        console.print(regression_table(moved(before, document)))
        for number in lost(before, document):
            console.print(f"[red]Bar {number} was met in {against} and is missed now.[/red]", soft_wrap=True)
    console.print(f"\nWritten: {out / f'{problem_name}.json'}")
    return all(result["passed"] for result in results)


def _bars_of(name: str) -> Sequence[Bar]:
    """Of a problem, or of the engines."""
    if name == ENGINES:
        module = f"{__package__}.engines.bars"
    else:
        PROBLEMS.find(name)
        module = f"{REGISTRY[name].package}.bars"
    bars: Sequence[Bar] = import_module(module).BARS
    return bars


def _measure(bar: Bar, session: BenchSession) -> Measured:
    """A bar that cannot be measured is missed, and says why."""
    try:
        return bar.measure(session)
    except (ValueError, KeyError, OSError) as error:
        return Measured(False, f"could not be measured: {error}")
