"""Where do traces come from? The data folder, the generator, or a file. Named as in configs."""

from functools import cache
from pathlib import Path

import numpy as np

from allocenv.core.data import data_folder
from allocenv.problems.storage.formats import read_trace
from allocenv.problems.storage.generator import PRESETS, generate
from allocenv.problems.storage.trace import Trace

_FILES = {
    "cloudphysics": ("cloudphysics_sample.csv.xz", "a VMware virtual disk, 2 h, reads and writes with times"),
    "w106": ("cloudphysics_w106.u32le.xz", "CloudPhysics w106, page ids only"),
    "financial1": ("umass_financial1_first10k.csv.xz", "OLTP at a financial institution, the first 10,000 requests"),
    "OLTP": ("arc_OLTP.csv.xz", "a CODASYL database, reads of pages without times"),
    "P2": ("arc_P2.csv.xz", "a Windows NT workstation, reads without times"),
    "P3": ("arc_P3.csv.xz", "a Windows NT workstation, reads without times"),
    "tpcc": ("mqsim_tpcc_small.csv.xz", "an excerpt of TPC-C, 0.14 s, no re-use"),
    "wsrch": ("mqsim_wsrch_small.csv.xz", "an excerpt of web search, 60 s, no re-use"),
}
REAL = tuple(_FILES)
TRACES = {
    **{name: what for name, (_, what) in _FILES.items()},
    **{
        name: f"made up like {name}: {w.write_share:.0%} writes, {w.mean_kib:g} KiB, {w.unique_pages} pages"
        for name, w in PRESETS.items()
    },
}


def find_trace(name: str, seed: int = 0) -> Trace:
    """The trace of a name of `TRACES`, or of a file; `seed` is the generator's.

    Raises:
        ValueError: neither a known name nor a file; the real data is not there; or an InputError of the file.
    """
    if name in _FILES:
        return _real(name)
    if name in PRESETS:
        return _made_up(name, seed)
    if Path(name).is_file():
        return read_trace(name)
    raise ValueError(f"Expected a trace among {', '.join(TRACES)} or a file, got {name!r}.")


@cache
def _real(name: str) -> Trace:
    folder = data_folder()
    if folder is None:
        raise ValueError(f"Expected the real data of {name!r} in $ALLOCENV_DATA or ../shared/data; there is none.")
    return read_trace(folder / "storage" / _FILES[name][0])


@cache
def _made_up(name: str, seed: int) -> Trace:
    return generate(name, np.random.default_rng(seed))
