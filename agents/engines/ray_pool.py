"""Workers of a Ray cluster. The job is sent once and prepared once in each worker's process; tasks are short texts.

A task whose worker or machine dies is done again elsewhere: what comes of it depends on nothing but its name.
"""

import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any, cast

from allocenv.agents.engines.cluster import connected
from allocenv.core.files import one_line
from allocenv.core.pool import Done, Job, Pool, Task, Ticket, Work, do_chunk
from allocenv.core.provenance import code_fingerprint

RETRIES = 5  # of a chunk whose worker died; what kills so many workers would kill them all


@contextmanager
def ray_pool(job: Job, address: str | None = None, cpus: int | None = None) -> Iterator[Pool]:
    """Workers of a cluster, one a core; see `connected` for the arguments.

    Raises:
        ValueError: Ray is not there, a chunk's worker died too often, other sources on the cluster; or the work's own.
    """
    with connected(address, cpus) as ray:
        try:
            yield _Cluster(ray, job)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except ray.exceptions.RayError as error:
            raise ValueError(f"--engine ray: {one_line(str(error).strip().splitlines()[0])}") from None


class _Cluster:
    def __init__(self, ray: Any, job: Job) -> None:
        packed = pickle.dumps(job)
        self._ray, self._key = ray, blake2b(packed, digest_size=16).hexdigest()
        self._job = [ray.put(packed)]  # in a list it is fetched when a worker asks for it, not with every chunk
        self._do = ray.remote(num_cpus=1, max_retries=RETRIES)(_do)
        for _ in range(self.workers):
            self.submit(())  # prepares, while the caller does so too

    @property
    def workers(self) -> int:
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def submit(self, tasks: Sequence[Task]) -> Ticket:
        return self._do.remote(self._job, self._key, code_fingerprint(), list(tasks))

    def ended(self, tickets: Sequence[Ticket]) -> Sequence[Ticket]:
        self._ray.wait(tickets, num_returns=1)
        return cast("list[Ticket]", self._ray.wait(tickets, num_returns=len(tickets), timeout=0)[0])

    def result(self, ticket: Ticket) -> Done:
        return cast("Done", self._ray.get(ticket))


_prepared: tuple[str, Work] | None = None  # in a worker: the key of its job, and the work


def _do(job: Sequence[Any], key: str, code: str, tasks: Sequence[Task]) -> Done:
    """In a worker: the tasks, after preparing the job where it is new."""
    global _prepared
    if _prepared is None or _prepared[0] != key:
        import ray

        if code_fingerprint() != code:
            where = ray.util.get_node_ip_address()
            raise ValueError(f"--engine ray: expected the same allocenv on all machines; {where} has another version.")
        described: Job = pickle.loads(ray.get(job[0]))
        _prepared = None  # frees the last job first
        _prepared = key, described.prepare()
    return do_chunk(_prepared[1], tasks)
