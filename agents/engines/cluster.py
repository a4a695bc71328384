"""A connection to a Ray cluster: one that runs, by its address, or one of this machine's own."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from allocenv.agents.engines import expect_engine

OBJECT_STORE_BYTES = 200_000_000  # on this machine: what travels are parameters, rows and weights


@contextmanager
def connected(address: str | None = None, cpus: int | None = None) -> Iterator[Any]:
    """The module `ray`, connected; a connection that stands already is used and left as it is.

    Args:
        address: of a cluster, as `ray start --head` prints it; without one a cluster is started on this machine.
        cpus: of this machine, where a cluster is started.

    Raises:
        ValueError: Ray is not installed, or nothing answers at the address.
    """
    expect_engine("ray")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray leaves CUDA_VISIBLE_DEVICES alone
    import ray

    if ray.is_initialized():
        yield ray
        return
    if address is not None:
        _expect_answer(address)
    own = {} if address else {"num_cpus": cpus, "object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": False}
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **own)
    except ConnectionError as error:
        hint = "one that asks for a token needs RAY_AUTH_MODE=token"
        raise ValueError(f"--address: no Ray cluster answers at {address} ({hint}): {error}") from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _expect_answer(address: str) -> None:
    """Raise ValueError where nobody listens at `host:port`; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not port.isdigit() or "//" in host:
        return  # `auto`, or the address of a Ray client: Ray knows what to make of it
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise ValueError(f"--address: no Ray cluster answers at {address}: {error}") from None
