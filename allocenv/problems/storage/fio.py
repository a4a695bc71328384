"""What did fio measure? The latencies in its JSON output (`fio --output-format=json`)."""

import json
import math
import os
from typing import Any, NamedTuple

from allocenv.core.files import InputError, read_text

PAGE = 4096
SYNCHRONOUS = {"sync", "psync", "vsync", "pvsync", "pvsync2", "mmap"}  # engines that take no iodepth
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


class Measurement(NamedTuple):
    """One direction of one job."""

    job: str
    write: bool
    random: bool
    pages: int  # of 4 KiB per I/O
    depth: int  # I/Os in flight
    mean_us: float
    p99_us: float  # NaN: fio was told other percentiles


def read_fio(path: str | os.PathLike[str]) -> tuple[list[Measurement], int]:
    """The measurements of a file, and how many jobs were left out: those that mix reads and writes.

    Raises:
        InputError: not fio's JSON, or a field that does not hold what it should.
    """
    source = os.fspath(path)
    text = read_text(source)
    try:  # warnings may stand before
        data = json.loads(text[max(text.find("{"), 0) :])
    except (ValueError, RecursionError) as error:
        raise InputError(source, "content", str(error), "the JSON of fio --output-format=json") from None
    jobs = _field(source, "", data, "jobs", list)
    shared = data.get("global options", {})
    found, left_out = [], 0
    for i, job in enumerate(jobs):
        where = f"jobs[{i}]"
        options = {**_mapping(source, "global options", shared)}
        options.update(_mapping(source, f"{where}.job options", _mapping(source, where, job).get("job options", {})))
        mode = str(options.get("rw", options.get("readwrite", "read")))
        if "rw" in mode or mode == "readwrite" or "bssplit" in options:
            left_out += 1
            continue
        for write, side in enumerate(("read", "write")):
            measured = _mapping(source, f"{where}.{side}", job.get(side, {}))
            if measured.get("total_ios", 0) or measured.get("io_bytes", 0):
                name = str(job.get("jobname", i))
                found.append(_measurement(source, f"{where}.{side}", name, bool(write), mode, options, measured))
    return found, left_out


def _measurement(
    source: str, where: str, name: str, write: bool, mode: str, options: dict[str, Any], measured: dict[str, Any]
) -> Measurement:
    scale, latency = 1e-3, measured.get("clat_ns")
    for key, unit in (("lat_ns", 1e-3), ("clat", 1.0)):  # lat_percentiles=1; fio 2
        other = measured.get(key)
        if isinstance(other, dict) and (latency is None or "percentile" not in latency) and "percentile" in other:
            scale, latency = unit, other
    where = f"{where}.clat_ns"
    latency = _mapping(source, where, latency)
    mean = _positive(source, f"{where}.mean", latency.get("mean")) * scale
    p99 = math.nan
    for key, value in _mapping(source, f"{where}.percentile", latency.get("percentile", {})).items():
        if key.rstrip("0") == "99.":
            p99 = _positive(source, f"{where}.percentile.{key}", value) * scale
    sizes = str(options.get("bs", options.get("blocksize", "4k"))).split(",")
    size = _size(source, sizes[min(int(write), len(sizes) - 1)])
    engine = str(options.get("ioengine", ""))
    depth = 1 if engine in SYNCHRONOUS else _count(source, "iodepth", options.get("iodepth", 1))
    depth *= _count(source, "numjobs", options.get("numjobs", 1))
    return Measurement(name, write, "rand" in mode, -(-size // PAGE), depth, mean, p99)


def _size(source: str, text: str) -> int:
    """fio's sizes: `4096`, `4k`, `1M`, `4KiB`."""
    bare = text.strip().lower().removesuffix("ib").removesuffix("b")
    unit = bare[-1:] if bare[-1:] in ("k", "m", "g") else ""
    number = bare.removesuffix(unit)
    if not (number.isascii() and number.isdigit() and int(number[:12]) > 0 and len(number) < 12):
        raise InputError(source, "bs", text, "a size as 4k")
    return int(number) * _UNITS[unit]


def _count(source: str, field: str, value: Any) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 7 and int(text) > 0):
        raise InputError(source, field, value, "a number of at least 1")
    return int(text)


def _positive(source: str, field: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e18:
        raise InputError(source, field, value, "a number above 0")
    return float(value)


def _mapping(source: str, field: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(source, field, value, "an object")
    return value


def _field(source: str, where: str, value: Any, name: str, kind: type) -> Any:
    inner = _mapping(source, where or "content", value).get(name)
    if not isinstance(inner, kind):
        raise InputError(source, f"{where}{name}", inner, f"a {kind.__name__}")
    return inner
