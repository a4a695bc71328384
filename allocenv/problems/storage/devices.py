"""How fast is a device, how much may be written to it? Presets of the papers' systems.

Service time of one I/O of n consecutive pages: the time of its first page, plus that of each further page;
a disk adds seek and rotation where the I/O does not begin where the last one ended.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array

MEAN_SQRT_DISTANCE = 8 / 15  # of two uniformly random points of a unit interval: E[sqrt|x - y|]


@dataclass(frozen=True)
class Device:
    """One device. Times in microseconds for 4-KiB pages at queue depth 1."""

    name: str
    read_us: float  # one page
    write_us: float
    read_page_us: float  # each further page of the same I/O
    write_page_us: float
    seek_us: float = 0.0  # mean time of a random seek; 0: no moving head
    track_us: float = 0.0  # seek to the next track
    rotation_us: float = 0.0  # mean rotational delay of an I/O that is not sequential
    gigabytes: float = 1000.0  # 10**9 bytes
    dwpd: float = math.inf  # drive writes per day that the vendor warrants
    read_sigma: float = 0.0  # of the lognormal factor, of mean 1, on the time of a read; 0: none
    write_sigma: float = 0.0

    def __post_init__(self) -> None:
        for name in ("read_us", "write_us", "gigabytes", "dwpd"):
            if not getattr(self, name) > 0:
                raise ValueError(f"Device {self.name}: expected {name} > 0, got {getattr(self, name)}.")
        for name in (
            "read_page_us",
            "write_page_us",
            "seek_us",
            "track_us",
            "rotation_us",
            "read_sigma",
            "write_sigma",
        ):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"Device {self.name}: expected {name} >= 0, got {getattr(self, name)}.")
        if self.track_us > self.seek_us:
            raise ValueError(f"Device {self.name}: expected track_us <= seek_us, got {self.track_us}.")


# Vendor figures as gathered in facts/hybrid_storage.md section 1 (Sibyl, ISCA 2022, section 7; to be replaced
# by a fit of your own devices: `allocenv data fit-device`).
DEVICES = {
    "H": Device("H", 10, 10, 1.7, 2.05, gigabytes=375, dwpd=30),  # Intel Optane P4800X
    "M": Device("M", 37, 37, 7.3, 8.0, gigabytes=1920, dwpd=2),  # Intel D3-S4510, SATA TLC
    "L_SSD": Device("L_SSD", 150, 200, 7.9, 9.1, gigabytes=960, dwpd=0.3),  # ADATA SU630, no DRAM
    "L": Device("L", 100, 100, 19.5, 19.5, seek_us=8500, track_us=1000, rotation_us=4200),  # ST1000DM010
}
SYSTEMS = {
    "H&M": ("H", "M"),
    "H&L": ("H", "L"),
    "H&L_SSD": ("H", "L_SSD"),
    "H&M&L": ("H", "M", "L"),
    "H&M&L_SSD": ("H", "M", "L_SSD"),
    "H&M&L_SSD&L": ("H", "M", "L_SSD", "L"),
}


class Timing(NamedTuple):
    """Devices as kernels take them, fastest first; microseconds."""

    first: Array  # [2, D]  read, write: one page
    further: Array  # [2, D]  each further page
    track: Array  # [D]
    full_seek: Array  # [D]  over the whole address space; 0: no moving head
    rotation: Array  # [D]
    sigma: Array  # [2, D]  of the lognormal factor, of mean 1; 0: every I/O takes its expected time


def timing_of(devices: tuple[Device, ...]) -> Timing:
    """The arrays of some devices."""

    def column(*values: float) -> Array:
        return np.array(values, np.float64)

    full = [d.track_us + (d.seek_us - d.track_us) / MEAN_SQRT_DISTANCE for d in devices]
    return Timing(
        first=np.array([[d.read_us for d in devices], [d.write_us for d in devices]]),
        further=np.array([[d.read_page_us for d in devices], [d.write_page_us for d in devices]]),
        track=column(*(d.track_us for d in devices)),
        full_seek=column(*full),
        rotation=column(*(d.rotation_us for d in devices)),
        sigma=np.array([[d.read_sigma for d in devices], [d.write_sigma for d in devices]], np.float64),
    )


def find_devices(text: str) -> tuple[Device, ...]:
    """Devices, fastest first, joined by `&` or `,`: names of `DEVICES`, or files of `allocenv data fit-device`.

    Raises:
        ValueError: an unknown name, or fewer than 2 or more than 8 devices; or an InputError of a file.
    """
    from allocenv.problems.storage.device_file import read_device  # which needs this file

    names = [name.strip() for name in text.replace(",", "&").split("&")]
    unknown = [name for name in names if name not in DEVICES and not name.endswith(".json")]
    if unknown:
        raise ValueError(f"Expected devices among {', '.join(DEVICES)}, or .json files; got {unknown[0]!r}.")
    if not 2 <= len(names) <= 8:
        raise ValueError(f"Expected 2 to 8 devices, got {len(names)}.")
    return tuple(DEVICES[name] if name in DEVICES else read_device(name) for name in names)
