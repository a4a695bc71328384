"""Which workers does a command get? Forks of this process, or those of a Ray cluster."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from allocenv.agents.engines import expect_engine
from allocenv.core.pool import Job, Pool, Work, local_pool


@dataclass(frozen=True)
class Choice:
    """An engine as the options of a command name it. Raises ValueError where it cannot be had."""

    engine: str = "local"
    address: str | None = None  # of a Ray cluster; without one, Ray is started on this machine
    processes: int | None = None  # on this machine; None: one, and with Ray all cores

    def __post_init__(self) -> None:
        expect_engine(self.engine, self.address)
        if self.address is not None and self.processes is not None:
            raise ValueError("--processes: expected none with --address: the cluster says how many.")

    @contextmanager
    def pool(self, job: Job, here: Callable[[], Work] | None = None) -> Iterator[Pool]:
        """Workers for a job. `here`: prepares the same for forks of this process."""
        if self.engine == "local":
            with local_pool((here or job.prepare)(), self.processes or 1) as forks:
                yield forks
        else:
            from allocenv.agents.engines.ray_pool import ray_pool

            with ray_pool(job, self.address, self.processes) as cluster:
                yield cluster
