"""The clock that solvers look at: the machine's, or one that counts looks, by which results repeat.

A search that stops after a second of wall time finds something else on every run. In an evaluation it works by the
`counted` clock: each look moves it on by what the work since the last one takes on the reference machine (2 x AMD
EPYC), so that the limit is the same amount of work everywhere; what it really took is measured beside it.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

GLANCE = 1e-4  # seconds that a look stands for where nothing else is said
CPU_GLANCE = 0.02  # seconds between two looks at the processor time
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


def run_model(solver: Any, model: Any, seconds: float, busy: bool = False) -> Any:
    """Let a CP-SAT solver work for so many seconds; by the counted clock, of its own deterministic time. Its status.

    `busy`: they are seconds of this process's processor time, so that others on the machine take nothing from it.
    """
    seconds = max(seconds, 0.01)
    solver.parameters.max_time_in_seconds = MODEL_SECONDS if is_counted() or busy else seconds
    if is_counted():
        solver.parameters.max_deterministic_time = seconds
        solver.parameters.num_workers = 1  # more find things in another order each time
    with _stopped_after(solver, seconds if busy and not is_counted() else MODEL_SECONDS):
        status = solver.solve(model)
    perf_counter(float(solver.response_proto.deterministic_time))
    return status


@contextmanager
def _stopped_after(solver: Any, seconds: float) -> Iterator[None]:
    """Stop the solver's search after so many seconds of processor time; CP-SAT itself knows no such limit."""
    over, until = threading.Event(), time.process_time() + seconds

    def watch() -> None:
        while not over.wait(CPU_GLANCE):
            if time.process_time() >= until:
                solver.stop_search()

    watcher = threading.Thread(target=watch, daemon=True)
    if seconds < MODEL_SECONDS:
        watcher.start()
    try:
        yield
    finally:
        over.set()
