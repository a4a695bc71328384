"""The random generators that a process shares: Python's, numpy's, torch's. Saved, restored, left undisturbed."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def random_state() -> dict[str, Any]:
    """Where the generators of the process stand."""
    state = {"python": random.getstate(), "numpy": np.random.get_state(), "torch": torch.get_rng_state()}  # noqa: NPY002
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def set_random_state(saved: dict[str, Any]) -> None:
    """Put them back there."""
    random.setstate(saved["python"])
    np.random.set_state(saved["numpy"])  # noqa: NPY002
    torch.set_rng_state(saved["torch"])
    if "cuda" in saved and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(saved["cuda"])


@contextmanager
def undisturbed() -> Iterator[None]:
    """Whatever is drawn inside, training goes on as if it had not been."""
    state = random_state()
    try:
        yield
    finally:
        set_random_state(state)
