"""Broken input: small valid documents of every format, mutated.

`fuzz_documents(seed)` yields (format, files) without end, the same for the same seed; `files` maps file names
to bytes. `read_document(folder, format, files)` writes them and reads them with the library: a Cluster (or
a Plan), or InputError. 100,000 cases: `python tests/reference/fuzz.py 100000`.
"""

import gzip
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from allocenv.core.files import InputError
from allocenv.problems.vm.check_plan import check_plan, repaired
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.export import STYLES, export_commands
from allocenv.problems.vm.formats import FORMATS, read_cluster
from allocenv.problems.vm.plan_file import Plan, read_plan

Files = dict[str, bytes]

_DATA = Path(__file__).parents[1] / "data" / "vm"
_SAMPLES = {
    "bytedance": ["bytedance.json"],
    "kubernetes": ["kubernetes.json"],
    "openb": ["openb/openb_node_list.csv", "openb/openb_pod_list_default.csv"],
    "table": ["table/pms.csv", "table/vms.csv"],
    "plan": ["plan.json"],
}
_DEEP = "@deep@"
_LONG = "@long@"
_JUNK: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3, 64, 1000, 1.5, -0.5, 0.1, 1e-300, 1e300,
    float("nan"), float("inf"), -float("inf"), 10**9, 2**31, 2**63, 10**30, 10**400, -(10**400),
    "", " ", "x", "0", "-1", "1e3", "1e99", "1e999999999", "NaN", "inf", "0x10", "1_000", "½", "٣",
    "500m", "1Gi", "-1Gi", "1E", "9" * 5000, "a\nb", "a\x00b", "\ud800", "é😀",
    "pm_0", "vm_0", "node-a", "host", "rack", "In", "Gt", "Exists",
    [], [[]], [None], [1, 2], ["x"], ["vm_0", "vm_0"],
    {}, {"a": 1}, {"": None}, [{"node": 0}], {"cpu": "1"}, {"cpu": -1}, _DEEP, _LONG,
]  # fmt: skip
_CELLS = [value if isinstance(value, str) else json.dumps(value) for value in _JUNK]


def fuzz_documents(seed: int) -> Iterator[tuple[str, Files]]:
    """Mutated documents without end."""
    rng = random.Random(seed)
    samples = {
        name: {Path(path).name: (_DATA / path).read_bytes() for path in paths} for name, paths in _SAMPLES.items()
    }
    names = list(samples)
    while True:
        name = rng.choice(names)
        files = dict(samples[name])
        victim = rng.choice(list(files))
        mutate = _mutated_json if victim.endswith(".json") else _mutated_csv
        if rng.random() < 0.9:
            files[victim] = mutate(files[victim], rng)
        if rng.random() < 0.2:
            files[victim] = _mutated_bytes(files[victim], rng)
        yield name, files


def read_document(folder: Path, name: str, files: Files, detect: bool = False) -> Any:
    """Write the files into the folder and read them."""
    for file, data in files.items():
        (folder / file).write_bytes(data)
    path = folder if len(files) > 1 else folder / next(iter(files))
    return read_plan(path) if name == "plan" else read_cluster(path, None if detect else name)


def run(n: int, seed: int) -> Counter[str]:
    """Read `n` documents: how many were taken and refused, by format.

    Raises whatever is no InputError, with the document in the message, and AssertionError where an error is
    no single line that names the file, or a cluster breaks its own rules.
    """
    counts: Counter[str] = Counter()
    cluster = read_cluster(_DATA / "bytedance.json")
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as top:
        folders = {name: Path(top) / name for name in _SAMPLES}
        for folder in folders.values():
            folder.mkdir()
        for i, (name, files) in enumerate(islice(fuzz_documents(seed), n)):
            try:
                found = read_document(folders[name], name, files, detect=i % 4 == 0)
            except InputError as error:
                _check_error(str(error), top)
                counts[f"{name}: refused"] += 1
            except Exception as error:  # whatever it is, it is the bug that is looked for
                kept = Path(tempfile.gettempdir()) / f"fuzz-{name}-{seed}-{i}"
                kept.mkdir(exist_ok=True)
                for file, data in files.items():
                    (kept / file).write_bytes(data)
                raise AssertionError(f"document {i} of seed {seed} ({name}, kept in {kept}): {error!r}") from error
            else:
                counts[f"{name}: read"] += 1
                if name in FORMATS:
                    _check_cluster(found)
                else:
                    counts["plan: objective refused"] += not _plan_can_be_used(found, cluster)
    return counts


def _check_cluster(found: Cluster) -> None:
    assert (found.used <= found.capacity).all()
    assert (found.used >= 0).all()
    assert np.isfinite(found.cost).all()


def _plan_can_be_used(plan: Plan, cluster: Cluster) -> bool:
    """Check, repair and export a plan that was read. Whether its objective has a meaning."""
    try:
        verdicts = check_plan(plan, cluster)
    except InputError as error:
        assert "objective of the plan" in str(error)
        return False
    assert len(verdicts) == len(plan.moves)
    assert len(repaired(plan, verdicts).curve) == sum(verdict.legal for verdict in verdicts) + 1
    for style in STYLES:
        assert export_commands(plan, style)
    return True


def _check_error(text: str, folder: str) -> None:
    assert text.isprintable(), text
    assert text.startswith(folder), text
    assert ": found " in text, text
    assert ", expected " in text, text
    assert len(text) < 3000, text


def _mutated_json(data: bytes, rng: random.Random) -> bytes:
    document = json.loads(data)
    for _ in range(1 + (rng.random() < 0.3)):
        document = _mutate(document, rng)
    text = json.dumps(document)
    return text.replace(f'"{_DEEP}"', "[" * 100_000).replace(_LONG, "9" * 6000).encode("utf-8", "surrogatepass")


def _mutate(document: Any, rng: random.Random) -> Any:
    """One change somewhere in the document."""
    holder: Any = None
    key: Any = None
    at = document
    while isinstance(at, (dict, list)) and at and (holder is None or rng.random() < 0.85):
        holder, key = at, rng.choice(list(at)) if isinstance(at, dict) else rng.randrange(len(at))
        at = at[key]
    if holder is None:
        return rng.choice(_JUNK)
    action = rng.random()
    if action < 0.2:
        del holder[key]
    elif action < 0.6:
        holder[key] = rng.choice(_JUNK)
    elif action < 0.7 and isinstance(holder, list):
        holder.insert(rng.randrange(len(holder) + 1), json.loads(json.dumps(holder[key])))
    elif action < 0.8 and isinstance(holder, dict):
        holder[rng.choice(["x", "", "a\nb", "cpu", "\ud800", key + "_"])] = holder.pop(key)
    elif action < 0.9 and isinstance(at, (int, float)) and not isinstance(at, bool) and abs(at) < 1e300:
        holder[key] = rng.choice([-at, at + 1, at * 1000, at + 0.5, float(at), str(at), at - 1])
    else:
        holder[key] = rng.choice([[at], {"value": at}, str(at), [at, at]])
    return document


def _mutated_csv(data: bytes, rng: random.Random) -> bytes:
    rows = [line.split(",") for line in data.decode().splitlines()]
    for _ in range(1 + (rng.random() < 0.3)):
        row = rng.randrange(len(rows))
        column = rng.randrange(max(len(rows[row]), 1))
        action = rng.random()
        if action < 0.6 and rows[row]:
            rows[row][column] = rng.choice(_CELLS)
        elif action < 0.7:
            del rows[row][column : column + 1]
        elif action < 0.8:
            rows.insert(rng.randrange(len(rows) + 1), list(rows[row]))
        elif action < 0.9 and len(rows) > 1:
            del rows[row]
        else:
            for cells in rows:
                if rng.random() < 0.95 and column < len(cells):
                    del cells[column]
        if not rows:
            return b""
    text = "\n".join(",".join(row) for row in rows)
    return text.replace(_LONG, "9" * 200_000).encode("utf-8", "surrogatepass")


def _mutated_bytes(data: bytes, rng: random.Random) -> bytes:
    action = rng.random()
    if action < 0.3:
        return data[: rng.randrange(len(data) + 1)]
    if action < 0.5:
        at = rng.randrange(len(data) + 1)
        return data[:at] + rng.choice([b"\x00", b"\xff", b'"', b"{", b"]", b",", b"\n", b"\xef\xbb\xbf"]) + data[at:]
    packed = gzip.compress(data, 1)
    if action < 0.7:
        return packed
    if action < 0.9:
        return packed[: rng.randrange(len(packed) + 1)]
    at = rng.randrange(len(packed))
    return packed[:at] + bytes([rng.randrange(256)]) + packed[at + 1 :]


if __name__ == "__main__":
    begun = time.process_time()
    total, first = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    for what, count in sorted(run(total, first).items()):
        print(f"{what}: {count}")
    print(f"{total / (time.process_time() - begun):.0f} documents a CPU-second")
