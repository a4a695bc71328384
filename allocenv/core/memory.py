"""How much memory did something need? The peak of the process, which Linux can be told to forget."""

from pathlib import Path
from types import TracebackType

import numpy as np

_FORGET_PEAK = "5"  # proc(5), clear_refs: reset the peak resident set size


class PeakMemory:
    """`with PeakMemory() as memory: ...`; then `memory.mb` is what it needed beyond what was in use before.

    In 10**6 bytes; NaN where the system does not say.
    """

    mb = float("nan")

    def __enter__(self) -> "PeakMemory":
        try:
            Path("/proc/self/clear_refs").write_text(_FORGET_PEAK)
            self._before = _kilobytes("VmRSS")
        except OSError:
            self._before = np.nan
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if np.isfinite(self._before):
            self.mb = max(_kilobytes("VmHWM") - self._before, 0.0) * 1024 / 1e6


def _kilobytes(what: str) -> float:
    """A line of the process's status. Raises OSError where there is none."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what):
            return float(line.split()[1])
    raise OSError(f"Expected {what} in /proc/self/status.")
