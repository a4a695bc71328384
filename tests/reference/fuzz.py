"""Whatever is broken, the answer is a plan or one clear line: 100,000 mutated snapshots, plans and configs.

    python tests/reference/fuzz.py 100000 0      number of documents, seed

Every snapshot that can be read (and odd clusters that no file shows) is planned for under some objective, and
each move is checked by the plan's own replay. Prints counts; exit status 1 with the first failures. Documents
are numbered: `examine(seed, number)` repeats one.
"""

import faulthandler
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_clusters import odd_cluster
from fuzz_configs import mutated_config
from fuzz_documents import DATA, Files, mutated

from allocenv.agents.config import RunConfig
from allocenv.core.batch import Batch
from allocenv.core.files import InputError
from allocenv.core.solver import Solution
from allocenv.planner import plan as run_portfolio
from allocenv.problems.vm.check_plan import check_plan, repaired
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.export import STYLES, export_commands
from allocenv.problems.vm.formats import FORMATS, read_cluster
from allocenv.problems.vm.objective import UNITS
from allocenv.problems.vm.plan_file import Plan, make_plan, plan_json, read_plan
from allocenv.problems.vm.planning import SOLVERS, moves_of
from allocenv.problems.vm.problem import VM

OBJECTIVES = [
    "cpu:16", "cpu:16", "cpu:8", "cpu:0.5", "cpu:64x2", "cpu:4x2 + cpu:4", "memory:64", "empty", "gpu:1", "pods:10",
    "0.7*cpu:16 + 0.3*memory:64", "0.5*cpu:2 + 0.5*gpu:0.5 + 0.25*empty", "0*cpu:16", "cpu:0.001", "cpu:2000000",
]  # fmt: skip
NONSENSE = [
    "", " ", "+", "cpu", "cpu:", "cpu:0", "cpu:-1", "cpu:1e3", "cpu:nan", "cpu:inf", "cpu:16x0", "cpu:16x3", "cpu:16 +",
    "-1*cpu:16", "*cpu:16", "disk:3", "16", "cpu:0.0001", "cpu:3000000", f"cpu:{'9' * 400}", f"{'9' * 400}*cpu:16",
    f"{'9' * 400}*empty", "cpu:16\ncpu:8", "a\x00b:1", "é:1", "x" * 400, "1" * 400,
]  # fmt: skip
PORTFOLIO_EVERY, BASELINES_EVERY, EXACT_EVERY, OBSERVE_EVERY = 50, 100, 500, 20  # documents
SHOWN = 10  # failures


class Failed(AssertionError):
    """What may not happen, with the document it happened to."""


@dataclass
class Tally:
    """What became of the documents."""

    counts: Counter[str]
    failures: list[str]


def run(n: int, seed: int, progress: bool = False) -> Tally:
    """Examine the documents 0 to n - 1 of the seed."""
    tally, began = Tally(Counter(), []), time.process_time()
    for i in range(n):
        try:
            tally.counts += examine(seed, i)
        except Failed as failure:
            tally.failures.append(str(failure))
        if progress and (i + 1) % max(n // 20, 1) == 0:
            rate = (i + 1) / (time.process_time() - began)
            print(f"{i + 1} of {n}, {len(tally.failures)} failures, {rate:.0f} a CPU-second", flush=True)
    return tally


def examine(seed: int, i: int) -> Counter[str]:
    """What became of document i; raises Failed."""
    rng = random.Random(f"{seed}-{i}")
    draw = rng.random()
    if draw < 0.15:
        return _examine_config(mutated_config(rng), f"config {i} of seed {seed}")
    label = f"document {i} of seed {seed}"
    if draw < 0.5:
        with _nothing_else(label):
            try:
                cluster = odd_cluster(rng)
            except InputError as error:
                _check_line(str(error), InputError)
                return Counter({"odd: refused": 1})
            return Counter({"odd: built": 1}) + _examine_cluster(cluster, rng, i)
    name, files = mutated(rng)
    with _nothing_else(f"{label} ({name})", files):
        return _examine_document(name, files, rng, i)


def _examine_document(name: str, files: Files, rng: random.Random, i: int) -> Counter[str]:
    try:
        found = read_document(_folder(), name, files, detect=i % 4 == 0)
    except InputError as error:
        _check_line(str(error), InputError, str(_folder()))
        return Counter({f"{name}: refused": 1})
    counts = Counter({f"{name}: read": 1})
    if name in FORMATS:
        return counts + _examine_cluster(found, rng, i)
    return counts + Counter({"plan: objective refused": int(not _plan_can_be_used(found))})


def read_document(folder: Path, name: str, files: Files, detect: bool = False) -> Any:
    """Write the files into the folder and read them: a Plan or a Cluster."""
    for file, data in files.items():
        (folder / file).write_bytes(data)
    path = folder if len(files) > 1 else folder / next(iter(files))
    if name == "plan":
        return read_plan(path)
    return read_cluster(path, None if detect else name)


def _examine_cluster(cluster: Cluster, rng: random.Random, i: int) -> Counter[str]:
    """Plan for it, and look at the plan."""
    assert (cluster.used <= cluster.capacity).all()
    assert (cluster.used >= 0).all()
    assert np.isfinite(cluster.cost).all()
    sound = rng.random() < 0.95
    objective = rng.choice(NONSENSE)
    if sound:
        objective = rng.choice(OBJECTIVES) if rng.random() < 0.3 else _objective_for(cluster, rng)
    max_moves = rng.choice([1, 2, 3, 5] if rng.random() < 0.98 else [0, -1, 10**7, 2**40])
    goal = rng.choice([None] * 9 + [-1.0, 0.0, 0.3, 0.6])
    price = rng.choice([0.0] * 9 + [1e-3, 0.5])
    try:
        problem = VM.on(cluster, objective=objective, max_moves=max_moves, goal=goal, move_price=price)
        solutions = list(_solutions(problem, cluster, i))
    except ValueError as error:
        _check_line(str(error), ValueError)
        return Counter({"plan: refused": 1})
    assert sound, f"objective {objective!r} was accepted"
    for name, solution in solutions:
        _check_solution(problem, cluster, name, solution, i)
    if i % OBSERVE_EVERY == 0:
        _check_observation(problem, cluster)
    moved = any(len(solution.actions) for _, solution in solutions)
    return Counter({"plan: with moves" if moved else "plan: nothing to gain": 1})


def _objective_for(cluster: Cluster, rng: random.Random) -> str:
    """One in resources the cluster has, with chunks of about the size of what is free."""
    terms = ["empty"] if rng.random() < 0.2 else []
    names = [*cluster.cell_resources, *cluster.host_resources]
    for name in rng.sample(names, min(rng.choice([1, 1, 2]), len(names))):
        row = names.index(name)
        row += (cluster.n_cells - 1) * len(cluster.cell_resources) * (row >= len(cluster.cell_resources))
        whole = int(cluster.capacity[row].max()) / UNITS.get(name, 1)
        chunk = round(whole / rng.choice([1, 2, 2, 3, 4, 4, 8]), rng.choice([0, 3])) or 1
        terms.append(f"{rng.choice(['', '0.5*', '2*'])}{name}:{chunk:f}{rng.choice(['', '', 'x1', 'x2'])}")
    return " + ".join(rng.sample(terms, len(terms)))


def _solutions(problem: VM, cluster: Cluster, i: int) -> Iterator[tuple[str, Solution]]:
    rng = np.random.default_rng(i)
    yield "greedy", SOLVERS["greedy"].solver(problem, cluster, 1.0, rng)
    if i % PORTFOLIO_EVERY == 0:
        yield "portfolio", run_portfolio(problem, cluster, 0.02 + 0.03 * rng.random(), workers=1).solution
    if i % BASELINES_EVERY == 0:
        for name, entry in SOLVERS.items():
            if entry.part == "none":
                yield name, entry.solver(problem, cluster, 0.2, rng)
    if i % EXACT_EVERY == 0:
        yield "exact", SOLVERS["exact"].solver(problem, cluster, 0.5, rng)


def _check_solution(problem: VM, cluster: Cluster, name: str, solution: Solution, i: int) -> None:
    """Legal, within the budget, no worse than staying, and worth what the environment says."""
    moves = moves_of(problem, solution.actions)
    assert len(moves) <= problem.max_moves, name
    found = make_plan(cluster, problem.rules, problem.objective, [tuple(map(int, move)) for move in moves])
    assert np.isclose(found.after, solution.objective, atol=1e-9), (name, found.after, solution.objective)
    assert found.after <= found.before + 1e-9, (name, found.before, found.after)
    for (vm, pm, variant), move in zip(moves, found.moves, strict=True):
        takes = cluster.demand[cluster.shape_of[vm], variant] > 0
        assert (cluster.capacity[takes, pm] > 0).all(), name
        assert all(_is_cell(cluster, int(pm), k) for k in move.to_cells), (name, move)
    if i % OBSERVE_EVERY == 0:
        path = _folder() / "plan.json"
        path.write_text(plan_json(found), encoding="utf-8")
        assert read_plan(path).moves == found.moves
        for style in STYLES:
            assert export_commands(found, style)


def _is_cell(cluster: Cluster, pm: int, k: int) -> bool:
    """Whether the machine offers anything on the cell: one that does not may not be there."""
    c = len(cluster.cell_resources)
    return cluster.n_cells == 1 or bool(cluster.capacity[k * c : (k + 1) * c, pm].any())


def _check_observation(problem: VM, cluster: Cluster) -> None:
    """What an agent would see is finite, agrees with a rebuild, and masks allow what is legal."""
    batch = Batch(problem, 1)
    batch.load([cluster])
    for slot in range(-1, min(cluster.n_vms, 3) + 2):
        slots = np.full(1, slot, np.int32)
        assert np.isfinite(batch.placement_features(slots)).all()
        placements = np.flatnonzero(batch.placement_mask(slots)[0])
        if len(placements):
            assert not batch.step(np.array([[slot, placements[-1]]], np.int32)).illegal[0]
        assert batch.step(np.array([[slot, problem.sizes.placements]], np.int32)).illegal[0]
    seen = batch.observe()
    assert all(np.isfinite(part).all() for part in seen)
    problem.check(batch.state, 0)


def _plan_can_be_used(plan: Plan) -> bool:
    """Check, repair and export a plan that was read. Whether its objective has a meaning."""
    try:
        verdicts = check_plan(plan, _sample())
    except InputError as error:
        return "objective of the plan" not in _check_line(str(error), InputError)
    assert len(verdicts) == len(plan.moves)
    assert len(repaired(plan, verdicts).curve) == sum(verdict.legal for verdict in verdicts) + 1
    for style in STYLES:
        assert export_commands(plan, style)
    return True


def _examine_config(config: dict[str, Any] | bytes, label: str) -> Counter[str]:
    """Read it and make its problem."""
    path = _folder() / "config.toml"
    with _nothing_else(f"{label}: {config!s:.1000}"):
        try:
            if isinstance(config, bytes):
                path.write_bytes(config)
                settings = RunConfig.load(path)
            else:
                settings = RunConfig.from_dict(config)
            problem = settings.make_problem()
        except InputError as error:
            _check_line(str(error), InputError)
            return Counter({"config: refused": 1})
        assert isinstance(problem, VM)
        if problem.n_pms <= 10:
            try:
                assert problem.sizes.bins > 0
            except ValueError as error:
                _check_line(str(error), ValueError)
                return Counter({"config: nowhere to begin": 1})
        path.write_text(settings.to_toml(), encoding="utf-8")
        assert repr(RunConfig.load(path)) == repr(settings)  # nan is not equal to itself
    return Counter({"config: read": 1})


def _check_line(text: str, kind: type[Exception], folder: str = "") -> str:
    """One printable line that says what was expected; of a file also which, and what was found."""
    assert text.isprintable(), text
    assert len(text) < 3000, text
    assert "xpected " in text, text
    if kind is InputError:
        assert text.startswith(folder), text
        assert ": found " in text, text
    return text


@contextmanager
def _nothing_else(label: str, files: Files | None = None) -> Iterator[None]:
    """Whatever is raised inside is the bug that is looked for; the files are kept."""
    try:
        yield
    except Exception as error:
        where = ""
        if files is not None:
            kept = Path(tempfile.mkdtemp(prefix="fuzz-"))
            for file, data in files.items():
                (kept / file).write_bytes(data)
            where = f", kept in {kept}"
        last = traceback.extract_tb(error.__traceback__)[-1]
        at = f"{Path(last.filename).name}:{last.lineno}"
        raise Failed(f"{label}{where}: {type(error).__name__} in {at}: {error!s:.1000}") from error


@cache
def _sample() -> Cluster:
    return read_cluster(DATA / "bytedance.json")


@cache
def _folder() -> Path:
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    _keep.append(tempfile.TemporaryDirectory(prefix="fuzz-", dir=memory))
    return Path(_keep[0].name)


_keep: list[tempfile.TemporaryDirectory[str]] = []


def main(n: int, seed: int) -> int:
    """Print what came of n documents; the exit status."""
    tally = run(n, seed, progress=True)
    for what, count in sorted(tally.counts.items()):
        print(f"{what}: {count}")
    for failure in tally.failures[:SHOWN]:
        print(f"FAILED {failure}")
    print(f"{n} documents, {len(tally.failures)} failures")
    return 1 if tally.failures else 0


if __name__ == "__main__":
    faulthandler.enable()  # kernels run without checks of their bounds
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
