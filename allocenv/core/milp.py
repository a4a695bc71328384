"""Mixed-integer programs by scipy's HiGHS, under the clock in force and without its remarks."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from allocenv.core.arrays import Array
from allocenv.core.clock import GLANCE, MODEL_SECONDS, is_counted, perf_counter

_C = ctypes.CDLL(None if os.name == "posix" else "msvcrt")
NODES_A_SECOND = 200.0  # of the counted clock


def run_milp(cost: Array, seconds: float, **arguments: Any) -> Any:
    """`scipy.optimize.milp` to proven optimality or until the time is up; counted, until its nodes are used up.

    Args:
        cost: [n], minimised.
        arguments: `constraints`, `integrality` and `bounds` as scipy has them.
    """
    from scipy.optimize import milp

    seconds = max(seconds, 0.01)
    limit = {"time_limit": MODEL_SECONDS if is_counted() else seconds}
    if is_counted():
        limit["node_limit"] = max(1, round(NODES_A_SECOND * seconds))
    with _silenced():
        found = milp(cost, options={**limit, "mip_rel_gap": 0.0}, **arguments)
    perf_counter((found.mip_node_count or 0) / NODES_A_SECOND + GLANCE)
    return found


@contextmanager
def _silenced() -> Iterator[None]:
    """What compiled code prints goes nowhere: HiGHS has lines that no option turns off."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        _C.fflush(None)  # what it holds back would come later
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
