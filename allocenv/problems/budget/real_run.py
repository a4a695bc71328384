"""How often was each prompt of a real GRPO run solved, and how likely was it?

806 of the 1,209 prompts of Qwen2.5-Math-1.5B on DSR-sub, 44 to 57 visits of 8 rollouts each (One-Shot-RLVR,
Apache-2.0).
"""

import csv
import lzma
import os
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray, IntArray, LongArray
from allocenv.core.data import data_folder
from allocenv.core.files import InputError
from allocenv.problems.budget.data_sources import REAL_RUN

GROUP = 8  # rollouts of a visit
ABSENT = -1

# Smoothing. Between visits a rate drifts far less than 8 rollouts scatter (E[diff^2] .0259, of which .0258 is
# binomial), so a mean over 10 to 20 visits is right: a normal kernel of 5 visits has the weight of 17. The
# Beta is that of the pool (.30 to .35 and .34 to .71 over the run) and keeps the rates of prompts never
# solved above 0.
KERNEL_VISITS = 5.0
POOL = (0.31, 0.45)


class RealRun(NamedTuple):
    """P prompts over V visits."""

    problem_id: LongArray  # [P]
    correct: IntArray  # [P, V]  of 8, ABSENT after the last visit


def read_real_run(path: str | os.PathLike[str] | None = None) -> RealRun:
    """Read the run, from the data folder unless a file is named.

    Raises:
        FileNotFoundError: there is no data folder.
        InputError: the file is not of this format.
    """
    if path is None:
        folder = data_folder()
        if folder is None:
            raise FileNotFoundError("Expected the real data in $ALLOCENV_DATA or ../shared/data, found neither.")
        path = folder / REAL_RUN.path
    source = os.fspath(path)
    try:
        packed = Path(path).read_bytes()
        text = (lzma.decompress(packed) if source.endswith(".xz") else packed).decode()
    except (OSError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise InputError(source, "file", str(error), "a CSV file, packed with xz where its name says so") from None
    records = list(csv.reader(StringIO(text)))
    header = records[0] if records else []
    visits = [c for c, name in enumerate(header) if name.startswith("k") and name[1:].isdigit()]
    if "problem_id" not in header or not visits:
        raise InputError(source, "header", ",".join(header), "columns problem_id and k0, k1, ...")
    who = header.index("problem_id")
    ids = [_whole(source, i, "problem_id", row[who], 10**9) for i, row in enumerate(records[1:], 2)]
    correct = [
        [ABSENT if row[c] == "" else _whole(source, i, header[c], row[c], GROUP) for c in visits]
        for i, row in enumerate(records[1:], 2)
    ]
    return RealRun(np.array(ids, np.int64), np.array(correct, np.int32).reshape(len(ids), len(visits)))


def true_rates(correct: IntArray) -> Array:
    """Smooth success rates [P, V] behind the successes [P, V] of 8; each prompt by itself."""
    visits = np.arange(correct.shape[1])
    kernel = np.exp(-0.5 * ((visits[:, None] - visits) / KERNEL_VISITS) ** 2)
    seen = correct != ABSENT
    solved = np.where(seen, correct, 0) @ kernel
    tried = GROUP * (seen @ kernel)
    rates: Array = (solved + POOL[0]) / (tried + POOL[0] + POOL[1])
    return rates


def tuning_half(run: RealRun) -> BoolArray:
    """Which prompts [P] may be used to choose parameters: even ids. Figures are reported on the others."""
    even: BoolArray = run.problem_id % 2 == 0
    return even


def _whole(source: str, line: int, column: str, cell: str, most: int) -> int:
    if not cell.isdigit() or int(cell) > most:
        raise InputError(source, f"line {line}, column {column}", cell, f"a whole number from 0 to {most}")
    return int(cell)
