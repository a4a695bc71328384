"""How well do fitted devices reproduce what fio measured? `python tests/reference/storage_fit_errors.py`

Prints the largest relative errors of means and 99th percentiles over the presets of `devices.py`, each made noisy
and run through `fio_output.py` with queue depths of 1 to 32 and 1, 4 or 16 I/Os served at once.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

from fio_output import fio_json

from allocenv.problems.storage.devices import DEVICES
from allocenv.problems.storage.fitting import fit_device

MODES = ("read", "write", "randread", "randwrite")


def errors(folder):
    """Of each fit: device, reads and writes served at once, worst errors of mean and 99th percentile."""
    for name, device in DEVICES.items():
        for at_once in (1, 4, 16):
            noisy = replace(device, read_sigma=0.3, write_sigma=0.5)
            path = Path(folder) / f"{name}-{at_once}.json"
            path.write_text(fio_json(noisy, depths=(1, 8, 32), modes=MODES, channels=at_once, n=10_000))
            fit = fit_device(path, name)
            yield f"{name}-{at_once}", fit.worst_mean, fit.worst_p99


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        found = list(errors(folder))
    for name, mean, p99 in found:
        print(f"{name}: mean {mean:.4f} p99 {p99:.4f}")
    print(f"worst_mean {max(mean for _, mean, _ in found):.5f}")
    print(f"worst_p99 {max(p99 for _, _, p99 in found):.5f}")
