"""A problem's nested NamedTuple of arrays as a flat dictionary, and back: no pickle, no code."""

from collections.abc import Iterator

import numpy as np

from allocenv.core.arrays import Array
from allocenv.core.problem import State


def copy_arrays(state: State) -> dict[str, Array]:
    """A copy of every array, under its dotted field name."""
    return {name: array.copy() for name, array in named_arrays(state)}


def load_arrays(state: State, saved: dict[str, Array]) -> None:
    """Write saved arrays into the state, in place."""
    names = dict(named_arrays(state))
    if names.keys() != saved.keys():
        odd = sorted(names.keys() ^ saved.keys())
        raise ValueError(f"Expected the saved state to hold the fields of this problem; {odd} differ.")
    for name, array in names.items():
        value = np.asarray(saved[name])
        if value.shape != array.shape:
            raise ValueError(f"Expected field {name} of shape {array.shape}, the saved one has {value.shape}.")
        array[...] = value


def named_arrays(state: State, prefix: str = "") -> Iterator[tuple[str, Array]]:
    """Every array of the state, under its dotted field name."""
    for field, value in zip(state._fields, state, strict=True):
        if isinstance(value, np.ndarray):
            yield prefix + field, value
        else:
            yield from named_arrays(value, f"{prefix}{field}.")
