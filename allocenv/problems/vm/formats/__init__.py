"""Reading a cluster snapshot from what operators have: which reader takes which file?

A new format is a function `(path, text or None) -> Cluster` that raises InputError, a line in `FORMATS`, and
what tells it apart in `detect_format`.
"""

from collections.abc import Callable
from os.path import isdir
from pathlib import Path

from allocenv.core.files import InputError, read_text
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.formats.bytedance import read_bytedance, write_bytedance
from allocenv.problems.vm.formats.kubernetes import read_kubernetes
from allocenv.problems.vm.formats.openb import POD_COLUMNS, holds_openb, read_openb
from allocenv.problems.vm.formats.table import REQUIRED_COLUMNS, holds_table, read_table, write_table

__all__ = [
    "FORMATS",
    "detect_format",
    "read_bytedance",
    "read_cluster",
    "read_kubernetes",
    "read_openb",
    "read_table",
    "write_bytedance",
    "write_table",
]

FORMATS: dict[str, Callable[[Path], Cluster]] = {
    "bytedance": read_bytedance,
    "kubernetes": read_kubernetes,
    "openb": read_openb,
    "table": read_table,
}


def read_cluster(path: str | Path, format: str | None = None) -> Cluster:
    """Read a snapshot; the format is told by its content unless it is named.

    Raises:
        InputError: content that is none of `FORMATS`, or what the reader finds wrong.
    """
    path = Path(path)
    name = detect_format(path) if format is None else format
    if name not in FORMATS:
        raise InputError(str(path), "format", name, f"one of {', '.join(FORMATS)}")
    return FORMATS[name](path)


def detect_format(path: Path) -> str:
    """Which of `FORMATS` the file or folder holds, by its content."""
    if isdir(path):
        if holds_table(path):
            return "table"
        if holds_openb(path):
            return "openb"
        raise _unknown(path, "a folder of neither")
    text = read_text(path).lstrip()
    if text.startswith("{"):
        if '"cluster_list"' in text:
            return "bytedance"
        if '"items"' in text:
            return "kubernetes"
        raise _unknown(path, "JSON of neither")
    header = {name.strip() for name in text.partition("\n")[0].split(",")}
    if header >= set(POD_COLUMNS):
        return "openb"
    if header >= set(REQUIRED_COLUMNS):
        return "table"
    raise _unknown(path, text[:40])


def _unknown(path: Path, found: str) -> InputError:
    known = (
        "a ByteDance / VMR2L snapshot (JSON with `cluster_list`), `kubectl get nodes,pods -A -o json`, "
        "OpenB's node and pod lists (CSV), or a folder with pms.csv and vms.csv"
    )
    return InputError(str(path), "content", found, known)
