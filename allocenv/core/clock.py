"""The clock that solvers look at: the machine's, or one that counts looks, by which results repeat.

A search that stops after a second of wall time finds something else on every run. In an evaluation it works by the
`counted` clock: each look moves it on by what the work since the last one takes on the reference machine (2 x AMD
EPYC), so that the limit is the same amount of work everywhere; what it really took is measured beside it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

GLANCE = 1e-4  # seconds that a look stands for where nothing else is said
MODEL_SECONDS = 3_600.0  # of wall time, after which even counted work ends

_counted: ContextVar[list[float] | None] = ContextVar("counted", default=None)


def perf_counter(step: float = GLANCE) -> float:
    """Seconds on the clock in force. `step`: what the work since the last look takes on the reference machine."""
    spent = _counted.get()
    if spent is None:
        return time.perf_counter()
    spent[0] += step
    return spent[0]


def is_counted() -> bool:
    """Whether looks are counted here."""
    return _counted.get() is not None


@contextmanager
def counted() -> Iterator[None]:
    """Count looks from here on, in this thread and where its context is copied to."""
    token = _counted.set([0.0])
    try:
        yield
    finally:
        _counted.reset(token)


def run_model(solver: Any, model: Any, seconds: float) -> Any:
    """Let a CP-SAT solver work for so many seconds; by the counted clock, of its own deterministic time. Its status."""
    seconds = max(seconds, 0.01)
    solver.parameters.max_time_in_seconds = MODEL_SECONDS if is_counted() else seconds
    if is_counted():
        solver.parameters.max_deterministic_time = seconds
        solver.parameters.num_workers = 1  # more find things in another order each time
    status = solver.solve(model)
    perf_counter(float(solver.response_proto.deterministic_time))
    return status
