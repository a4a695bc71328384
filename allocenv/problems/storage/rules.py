"""By which rules does a simulation run: devices, capacities, clock, and who pays for moves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, LongArray
from allocenv.problems.storage.devices import Device, Timing, find_devices, timing_of
from allocenv.problems.storage.trace import PAGE_BYTES, Trace

ACCOUNTING = ("charged", "background", "free")
CHARGED, BACKGROUND, FREE = range(3)
ACCOUNTING_MEANS = {
    "charged": "a request that causes moves waits for them",
    "background": "moves keep devices busy, so that later requests may wait",
    "free": "moves take no time",
}
SHARES = {2: (0.1,), 3: (0.05, 0.1), 4: (0.025, 0.05, 0.1)}  # of the working set; Sibyl (ISCA 2022) for 2 and 3
DAY_US = 86_400e6
WEAR_CREDIT_US = 3_600e6  # writes of one hour may be drawn in advance


class Rules(NamedTuple):
    """The rules as kernels take them. Times in microseconds."""

    timing: Timing
    capacity: LongArray  # [D]  pages
    accounting: int
    open_loop: bool  # requests arrive by the trace's clock, else each when the last one is done
    us_per_tick: float  # simulated time of one nanosecond of the trace
    span: float  # addresses from the first page to the last
    budget: float  # pages that migration may move per microsecond
    wear: Array  # [D]  pages that may be written per microsecond


@dataclass(frozen=True)
class System:
    """Devices, and how they are run.

    Args:
        devices: fastest first; a text is looked up: `H&M`.
        shares: capacity of all devices but the last as shares of the working set; the last one holds all.
        accounting: who pays for moves; see `ACCOUNTING_MEANS`.
        loop: `closed`: one request at a time; `open`: requests arrive by the trace's clock.
        speed: of the trace's clock in the open loop; 2: twice as fast.
        budget_mb_s: bandwidth of background migration, 10**6 bytes a second; None: no limit.
        endurance: share of the warranted drive writes per day that may be used; None: no limit.
    """

    devices: tuple[Device, ...]
    shares: tuple[float, ...]
    accounting: str = "charged"
    loop: str = "closed"
    speed: float = 1.0
    budget_mb_s: float | None = None
    endurance: float | None = None

    def __post_init__(self) -> None:
        if not 2 <= len(self.devices) <= 8:
            raise ValueError(f"Expected 2 to 8 devices, got {len(self.devices)}.")
        if len(self.shares) != len(self.devices) - 1:
            raise ValueError(f"Expected a share for each of {len(self.devices) - 1} devices, got {self.shares}.")
        if not all(0 < share <= 1 for share in self.shares):
            raise ValueError(f"Expected shares above 0 and up to 1, got {self.shares}.")
        if self.accounting not in ACCOUNTING:
            raise ValueError(f"Expected accounting among {', '.join(ACCOUNTING)}, got {self.accounting!r}.")
        if self.loop not in ("open", "closed"):
            raise ValueError(f"Expected loop `open` or `closed`, got {self.loop!r}.")
        for name in ("speed", "budget_mb_s", "endurance"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"Expected {name} > 0, got {value}.")

    @classmethod
    def named(cls, devices: str = "H&M", shares: Sequence[float] | None = None, **options: object) -> "System":
        """The system of a text such as `H&M`, with the usual shares. Raises ValueError."""
        found = find_devices(devices)
        usual = SHARES.get(len(found), tuple(0.1 / 2**i for i in reversed(range(len(found) - 1))))
        return cls(found, tuple(shares) if shares is not None else usual, **options)  # type: ignore[arg-type]

    @property
    def label(self) -> str:
        """Devices and accounting, to stand beside every result."""
        return f"{'&'.join(d.name for d in self.devices)}, moves {self.accounting}"

    def rules(self, trace: Trace) -> Rules:
        """The rules of this system for a trace. Raises ValueError where an open loop has no clock."""
        if self.loop == "open" and not trace.timed:
            raise ValueError(f"Expected loop `closed` for {trace.name}: it has no clock.")
        capacity = [max(1, int(share * trace.n_pages)) for share in self.shares] + [trace.n_pages]
        pages_per_day = np.array([d.dwpd * d.gigabytes * 1e9 / trace.page_bytes for d in self.devices])
        limited = self.endurance is not None
        address = trace.requests.address
        budget = math.inf if self.budget_mb_s is None else self.budget_mb_s / trace.page_bytes  # 10**6 B/s = 1 B/us
        return Rules(
            timing=_per_page(timing_of(self.devices), trace.page_bytes / PAGE_BYTES),
            capacity=np.array(capacity, np.int64),
            accounting=ACCOUNTING.index(self.accounting),
            open_loop=self.loop == "open",
            us_per_tick=1e-3 / self.speed,
            span=float(max(int(address[-1]) - int(address[0]), 1)),
            budget=budget,
            wear=pages_per_day / DAY_US * (self.endurance or 1.0) if limited else np.full(len(self.devices), np.inf),
        )


def _per_page(timing: Timing, scale: float) -> Timing:
    """The same devices with pages `scale` times as large: the rest of a page goes by as further pages would."""
    return timing._replace(first=timing.first + (scale - 1) * timing.further, further=scale * timing.further)
