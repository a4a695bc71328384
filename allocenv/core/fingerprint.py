"""Are two instances the same? A short name for what an instance holds, whatever object holds it."""

import dataclasses
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import numpy as np

_SIZE = 8  # bytes: one chance in 10**9 that any two of 100,000 instances share a name


def fingerprint(value: Any) -> str:
    """16 hexadecimal digits of everything in it: arrays, numbers, texts, dataclasses, tuples and mappings of them.

    Raises:
        TypeError: something else is in it.
    """
    digest = blake2b(digest_size=_SIZE)
    _feed(digest, value)
    return digest.hexdigest()


def _feed(digest: Any, value: Any) -> None:
    if isinstance(value, np.ndarray):
        digest.update(f"{value.dtype.str}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).data)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        digest.update(type(value).__name__.encode())
        for field in dataclasses.fields(value):
            _feed(digest, getattr(value, field.name))
    elif isinstance(value, Mapping):
        for key in sorted(value):
            _feed(digest, (key, value[key]))
    elif isinstance(value, list | tuple | set | frozenset):
        digest.update(f"({len(value)}".encode())
        for each in sorted(value) if isinstance(value, set | frozenset) else value:
            _feed(digest, each)
    elif value is None or isinstance(value, bool | int | float | str | bytes | np.generic):
        digest.update(f"{type(value).__name__}:{value!r};".encode())
    else:
        raise TypeError(f"Expected arrays, numbers, texts and collections of them, got {type(value).__name__}.")
