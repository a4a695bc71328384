"""The numbers of a learnt policy: their names, their file, and where shipped ones are."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from allocenv.core.arrays import Array
from allocenv.core.files import InputError, write_atomically
from allocenv.problems.task.teams.deciding import N_NUMBERS, N_PRICES, SLOT_TIME
from allocenv.problems.task.teams.features import EXCESS, N_FEATURES

SHIPPED = Path(__file__).parents[3] / "agents" / "pretrained"  # files only: problems import no agents
PARTS = {"score": N_FEATURES, "prices": N_PRICES, "slot_time": len(SLOT_TIME)}
LATER = ("slot_time",)  # parts that files may lack: zeros, which change nothing


def patience(amount: float = 0.3, haste: float = 0.0, slot_time: float = 0.0) -> Array:
    """The patience rule as numbers [N_NUMBERS]: accept what costs at most 1 + amount times the cover cost."""
    numbers = np.zeros(N_NUMBERS)
    numbers[0], numbers[EXCESS], numbers[N_FEATURES] = amount, -1.0, haste
    numbers[N_FEATURES + N_PRICES] = slot_time
    return numbers


def as_parts(numbers: Array) -> dict[str, Array]:
    """The numbers under their names."""
    ends = np.cumsum(list(PARTS.values()))[:-1]
    return {name: part.copy() for name, part in zip(PARTS, np.split(numbers, ends), strict=True)}


def from_parts(parts: Mapping[str, Array], file: str = "numbers") -> Array:
    """The numbers [N_NUMBERS]. Raises InputError where a part is missing, of another size, or not finite."""
    parts = {**{name: np.zeros(PARTS[name]) for name in LATER}, **parts}
    if sorted(parts) != sorted(PARTS):
        raise InputError(file, "tensors", sorted(parts), f"{', '.join(sorted(PARTS))}")
    for name, size in PARTS.items():
        if np.shape(parts[name]) != (size,):
            raise InputError(file, f"shape of {name}", np.shape(parts[name]), f"({size},)")
        if not np.isfinite(parts[name]).all():
            raise InputError(file, name, "a number that is not finite", "finite numbers")
    return np.concatenate([np.asarray(parts[name], np.float64) for name in PARTS])


def write_numbers(path: Path, numbers: Array) -> None:
    """Write a safetensors file."""
    write_atomically(path, save(as_parts(numbers)))


def read_numbers(path: Path) -> Array:
    """Numbers from a safetensors file. Raises InputError."""
    if not path.is_file():
        raise InputError(str(path), "the file", None, "numbers of a learnt policy (safetensors)")
    try:
        parts = load(path.read_bytes())
    except (SafetensorError, KeyError) as error:
        raise InputError(str(path), "the file", str(error), "safetensors") from None
    return from_parts(parts, str(path))


def shipped_file(preset: str) -> Path:
    """Where the numbers of a preset are."""
    return SHIPPED / f"task_{preset}_teams.safetensors"


def shipped(preset: str) -> Array:
    """The numbers shipped for a preset. Raises InputError where there are none: routing presets have none."""
    return read_numbers(shipped_file(preset))
