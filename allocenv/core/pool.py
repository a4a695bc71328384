"""Work that many processes share: tasks go out in chunks, what comes of them comes back as it ends.

A task is named by a text and comes to a JSON value, so that it can be kept in a file (`core/kept.py`). Who does the
work is a `Pool`: this process, its forks, or a cluster (`allocenv/agents/engines`). Neither the pool nor how tasks are
cut into chunks decides what comes of them.
"""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, TypeAlias

Task: TypeAlias = str
Work: TypeAlias = Callable[[Task], Any]  # Any: a JSON value
Ticket: TypeAlias = Any  # for a chunk that was handed in: hashable
Done: TypeAlias = tuple[float, list[Any]]  # seconds that a chunk took, and what came of each of its tasks

CHUNK_SECONDS = 1.0  # of work: far more than sending and keeping it takes, little to lose
CHUNKS_A_SECOND = 200  # at most, from all workers: what one process hands out and keeps with ease
CHUNKS_LEFT = 4  # for each worker at least, of what is left: at the end nobody waits long for another
AHEAD = 2  # chunks under way for each worker: the next is there when one ends


class Job(Protocol):
    """Work, described so that it can be sent: it pickles, and holds all that another machine lacks."""

    def prepare(self) -> Work:
        """Load and compile what the tasks need; once in each process."""


class Pool(Protocol):
    """Those who do the work of one job."""

    @property
    def workers(self) -> int:
        """How many chunks they do side by side; it may change."""

    def submit(self, tasks: Sequence[Task]) -> Ticket:
        """Have these tasks done, one after the other."""

    def ended(self, tickets: Sequence[Ticket]) -> Sequence[Ticket]:
        """Those whose tasks are done; waits until there is one."""

    def result(self, ticket: Ticket) -> Done:
        """What came of the tasks, or what they raised."""


class Engine(Protocol):
    """Where jobs are done."""

    def pool(self, job: Job, here: Callable[[], Work] | None = None) -> AbstractContextManager[Pool]:
        """Workers for a job, until the context ends. `here`: prepares the same for forks of this process."""


def do_chunk(work: Work, tasks: Sequence[Task]) -> Done:
    """The tasks, one after the other."""
    began = time.perf_counter()
    found = [work(task) for task in tasks]
    return time.perf_counter() - began, found


def finished(pool: Pool, tasks: Sequence[Task]) -> Iterator[dict[Task, Any]]:
    """What comes of all tasks as they end, in no order; chunks that have ended meanwhile come together.

    Raises:
        ValueError: a worker died and was not replaced; or what the work raises.
    """
    left, done, spent = list(reversed(tasks)), 0, 0.0
    under_way: dict[Ticket, list[Task]] = {}
    while left or under_way:
        workers = pool.workers
        while left and len(under_way) < AHEAD * workers:
            size = _chunk_size(len(left), workers, spent / done if done else CHUNK_SECONDS)
            chunk = [left.pop() for _ in range(size)]
            under_way[pool.submit(chunk)] = chunk
        results: dict[Task, Any] = {}
        for ticket in pool.ended(list(under_way)):
            chunk = under_way.pop(ticket)
            seconds, found = pool.result(ticket)
            done, spent = done + len(chunk), spent + seconds
            results.update(zip(chunk, found, strict=True))
        yield results


def _chunk_size(left: int, workers: int, seconds: float) -> int:
    """Of the next chunk, where a task takes so many seconds."""
    most = max(1, left // (CHUNKS_LEFT * workers))
    wanted = max(CHUNK_SECONDS, workers / CHUNKS_A_SECOND)
    return min(most, max(1, int(wanted / max(seconds, 1e-9))))


@contextmanager
def local_pool(work: Work, processes: int = 1) -> Iterator[Pool]:
    """This process, or forks of it: what is ready here is ready in them, and nothing has to be sent.

    Raises:
        ValueError: more than one process where processes cannot be forked.
    """
    if processes == 1:
        yield _Here(work)
        return
    if "fork" not in multiprocessing.get_all_start_methods():
        raise ValueError(f"--processes: expected 1 on this system, which cannot fork; got {processes}.")
    global _work
    _work = work
    executor = ProcessPoolExecutor(processes, multiprocessing.get_context("fork"))
    try:
        yield _Forks(executor, processes)
    except BrokenProcessPool:
        raise ValueError("A process of this evaluation died (out of memory?). Start it again.") from None
    finally:
        executor.shutdown(cancel_futures=True)


class _Here:
    """This process: a chunk is done when its result is asked for."""

    workers = 1

    def __init__(self, work: Work) -> None:
        self._work = work

    def submit(self, tasks: Sequence[Task]) -> tuple[Task, ...]:
        return tuple(tasks)

    def ended(self, tickets: Sequence[tuple[Task, ...]]) -> Sequence[tuple[Task, ...]]:
        return tickets[:1]

    def result(self, ticket: tuple[Task, ...]) -> Done:
        return do_chunk(self._work, ticket)


class _Forks:
    def __init__(self, executor: ProcessPoolExecutor, processes: int) -> None:
        self._executor, self.workers = executor, processes

    def submit(self, tasks: Sequence[Task]) -> Future[Done]:
        return self._executor.submit(_forked, list(tasks))

    def ended(self, tickets: Sequence[Future[Done]]) -> Sequence[Future[Done]]:
        return list(wait(tickets, return_when=FIRST_COMPLETED).done)

    def result(self, ticket: Future[Done]) -> Done:
        return ticket.result()


_work: Work


def _forked(tasks: Sequence[Task]) -> Done:
    return do_chunk(_work, tasks)
