"""Broken snapshots and plans: small valid documents of every format, mutated."""

import gzip
import json
import random
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

Files = dict[str, bytes]

DATA = Path(__file__).parents[1] / "data" / "vm"
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


def mutated(rng: random.Random) -> tuple[str, Files]:
    """A format (or `plan`) and the bytes of its files, one or two things wrong with them; sometimes nothing."""
    name = rng.choice(list(_SAMPLES))
    files = {Path(path).name: _read(path) for path in _SAMPLES[name]}
    victim = rng.choice(list(files))
    if rng.random() < 0.9:
        mutate = _mutated_json if victim.endswith(".json") else _mutated_csv
        files[victim] = mutate(files[victim], rng)
    if rng.random() < 0.2:
        files[victim] = _mutated_bytes(files[victim], rng)
    return name, files


@cache
def _read(path: str) -> bytes:
    return (DATA / path).read_bytes()


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
        return deepcopy(rng.choice(_JUNK))
    action = rng.random()
    if action < 0.2:
        del holder[key]
    elif action < 0.6:
        holder[key] = deepcopy(rng.choice(_JUNK))
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
    packed = gzip.compress(data, 1, mtime=0)
    if action < 0.7:
        return packed
    if action < 0.9:
        return packed[: rng.randrange(len(packed) + 1)]
    at = rng.randrange(len(packed))
    return packed[:at] + bytes([rng.randrange(256)]) + packed[at + 1 :]
