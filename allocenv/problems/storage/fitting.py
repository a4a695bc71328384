"""Which device model reproduces what fio measured?

Means: service time = first page + further pages (+ seek and rotation of random I/O on a disk), the least of all
models in its largest relative error (a linear programme), over the jobs with one I/O in flight. With q in flight
and k served at once, latency = service time * max(1, q / k). The 99th percentile: a lognormal factor of mean 1
on each service time; waiting for m others averages it (Fenton-Wilkinson).
"""

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog
from scipy.special import ndtri

from allocenv.core.arrays import Array
from allocenv.core.files import InputError
from allocenv.problems.storage.devices import MEAN_SQRT_DISTANCE, Device
from allocenv.problems.storage.fio import Measurement, read_fio

DISK = 3.0  # random I/O so many times slower than sequential, and a millisecond: a moving head
TRACK_US = 1000.0  # seek to the next track, where fio tells nothing of it
Z99 = float(ndtri(0.99))
SIGMAS = np.linspace(0, Z99, 500)  # beyond Z99 a larger sigma lowers the percentile again
AT_ONCE = np.geomspace(1, 512, 500)


@dataclass(frozen=True)
class Row:
    """A measurement beside the model's figures."""

    measured: Measurement
    mean_us: float
    p99_us: float

    @property
    def mean_error(self) -> float:
        """Relative."""
        return self.mean_us / self.measured.mean_us - 1

    @property
    def p99_error(self) -> float:
        """Relative; NaN where none was measured."""
        return self.p99_us / self.measured.p99_us - 1


@dataclass(frozen=True)
class Fit:
    """A device, and how well it reproduces the measurements."""

    device: Device
    at_once: tuple[float, float]  # reads, writes that it serves in parallel; `Device` serves one after the other
    rows: tuple[Row, ...]
    left_out: int  # jobs that mix reads and writes

    @property
    def worst_mean(self) -> float:
        """The largest relative error of a mean."""
        return max(abs(row.mean_error) for row in self.rows)

    @property
    def worst_p99(self) -> float:
        """The largest relative error of a 99th percentile; 0 where none was measured."""
        errors = [abs(row.p99_error) for row in self.rows if not math.isnan(row.p99_error)]
        return max(errors, default=0.0)


def fit_device(
    paths: Iterable[str | os.PathLike[str]] | str | os.PathLike[str],
    name: str = "fitted",
    *,
    gigabytes: float = 1000.0,
    dwpd: float = math.inf,
    rpm: float = 7200.0,
) -> Fit:
    """Fit a device to fio's JSON files.

    Needed are reads and writes with one I/O in flight and at least two block sizes. Jobs of more in flight tell
    how many the device serves at once. A disk is told by random and sequential jobs of one block size.

    Args:
        paths: one file or several, all of the same device.
        name: of the device.
        gigabytes: its size; fio does not tell.
        dwpd: drive writes per day that the vendor warrants.
        rpm: of a disk: what of the time of random I/O is rotation, and what is seek.

    Raises:
        InputError: a file that is none of fio's, or too few measurements.
    """
    if not rpm > 0:
        raise ValueError(f"Expected rpm > 0, got {rpm}.")
    paths = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    rows: list[Measurement] = []
    left_out = 0
    for path in paths:
        found, mixed = read_fio(path)
        rows += found
        left_out += mixed
    source = ", ".join(os.fspath(path) for path in paths)
    for write, word in enumerate(("reads", "writes")):
        sizes = {m.pages for m in rows if m.write == bool(write) and m.depth == 1}
        if len(sizes) < 2:
            expected = f"{word} of at least two block sizes with iodepth=1"
            raise InputError(source, "jobs", f"{len(sizes)} block sizes", expected)
    first, further, moving = _service_times(rows, source)
    rotation = min(30e6 / rpm, moving)
    seek = moving - rotation
    track = min(TRACK_US, seek)
    device = Device(
        name, *first, *further, seek_us=seek, track_us=track, rotation_us=rotation, gigabytes=gigabytes, dwpd=dwpd
    )
    at_once = _at_once(rows, device, False), _at_once(rows, device, True)
    device = Device(
        name, *first, *further, seek_us=seek, track_us=track, rotation_us=rotation, gigabytes=gigabytes, dwpd=dwpd,
        read_sigma=_sigma(rows, device, at_once, False), write_sigma=_sigma(rows, device, at_once, True),
    )  # fmt: skip
    sigmas = device.read_sigma, device.write_sigma
    return Fit(
        device,
        at_once,
        tuple(
            Row(m, _mean(m, device, at_once), _p99(m, device, at_once, np.array([sigmas[m.write]]))[0]) for m in rows
        ),
        left_out,
    )


def _service_times(rows: list[Measurement], source: str) -> tuple[tuple[float, float], tuple[float, float], float]:
    """First page and further pages of reads and writes, and a disk's seek and rotation together, microseconds."""
    alone = [m for m in rows if m.depth == 1]
    mean = np.array([m.mean_us for m in alone])
    disk = _has_head(alone)
    design = np.zeros((len(alone), 5))
    for row, m in zip(design, alone, strict=True):
        row[0 + m.write], row[2 + m.write], row[4] = 1, m.pages - 1, m.random and disk
    design /= mean[:, None]
    ones = np.ones((len(alone), 1))
    # least e with -e <= model / measured - 1 <= e
    solved = linprog(
        [0, 0, 0, 0, 0, 1],
        A_ub=np.block([[design, -ones], [-design, -ones]]),
        b_ub=np.concatenate([np.ones(len(alone)), -np.ones(len(alone))]),
        bounds=[(1e-3, None)] * 2 + [(0, None)] * 4,
    )
    if solved.x is None:
        raise InputError(source, "mean latencies", f"{mean.min():g} to {mean.max():g} us", "those of one device")
    x = [float(value) for value in solved.x]
    return (x[0], x[1]), (x[2], x[3]), x[4]


def _has_head(alone: list[Measurement]) -> bool:
    """Whether random I/O is slower than sequential of the same size by more than noise."""
    for m in alone:
        for other in alone:
            same = (m.write, m.pages) == (other.write, other.pages) and m.random and not other.random
            if same and m.mean_us > DISK * other.mean_us and m.mean_us > other.mean_us + 1000:
                return True
    return False


def _alone(m: Measurement, d: Device) -> float:
    """The mean service time."""
    base = d.write_us + d.write_page_us * (m.pages - 1) if m.write else d.read_us + d.read_page_us * (m.pages - 1)
    return base + m.random * (d.seek_us + d.rotation_us)


def _waiting(m: Measurement, at_once: tuple[float, float]) -> float:
    return max(1.0, m.depth / at_once[m.write])


def _mean(m: Measurement, d: Device, at_once: tuple[float, float]) -> float:
    return _alone(m, d) * _waiting(m, at_once)


def _at_once(rows: list[Measurement], d: Device, write: bool) -> float:
    """How many I/Os are served in parallel: the least largest relative error of the means."""
    deep = [m for m in rows if m.write == write and m.depth > 1]
    if not deep:
        return 1.0
    worst = np.zeros(len(AT_ONCE))
    for m in deep:
        model = _alone(m, d) * np.maximum(1, m.depth / AT_ONCE)
        worst = np.maximum(worst, np.abs(model / m.mean_us - 1))
    return float(AT_ONCE[worst.argmin()])


def _sigma(rows: list[Measurement], d: Device, at_once: tuple[float, float], write: bool) -> float:
    """The lognormal's sigma with the least largest relative error of the 99th percentiles."""
    worst = np.zeros(len(SIGMAS))
    for m in rows:
        if m.write == write and not math.isnan(m.p99_us):
            worst = np.maximum(worst, np.abs(_p99(m, d, at_once, SIGMAS) / m.p99_us - 1))
    return float(SIGMAS[worst.argmin()])


def _p99(m: Measurement, d: Device, at_once: tuple[float, float], sigmas: Array) -> Array:
    """The 99th percentile of the latency for each sigma."""
    waiting = _waiting(m, at_once)
    spread = np.sqrt(np.log1p(np.expm1(sigmas**2) / waiting))
    if not (m.random and d.seek_us) or waiting > 1:
        result: Array = _mean(m, d, at_once) * np.exp(Z99 * spread - spread**2 / 2)
        return result
    service = _alone(m, d) - d.seek_us + _seeks(d)  # [Q]
    normal = ndtri((np.arange(100) + 0.5) / 100)  # [Z]
    factor = np.exp(normal * spread[:, None] - spread[:, None] ** 2 / 2)  # [S, Z]
    quantiles: Array = np.array([np.quantile(np.outer(service, f), 0.99) for f in factor])
    return quantiles


def _seeks(d: Device) -> Array:
    """Equally likely seek times between random places: distance x of a unit has density 2 (1 - x)."""
    distance = 1 - np.sqrt(1 - (np.arange(100) + 0.5) / 100)
    times: Array = d.track_us + (d.seek_us - d.track_us) / MEAN_SQRT_DISTANCE * np.sqrt(distance)
    return times
