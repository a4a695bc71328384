"""Checkpoints without pickle: what a training was made of at one moment, in JSON and safetensors.

A checkpoint is a folder `state.json` + `arrays.safetensors`, written under a temporary name and renamed, so
that a run killed at any moment leaves only whole ones. `manifest.json` beside them says which is last and
which is best. Loading one reads numbers and text; it executes nothing.
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from allocenv.core.arrays import Array
from allocenv.core.problem import Sizes

FORMAT = 1
_STATE, _ARRAYS, _MANIFEST = "state.json", "arrays.safetensors", "manifest.json"


class CheckpointError(ValueError):
    """Not a checkpoint for this use: names the file, the field, what was found and what was expected."""

    def __init__(self, file: Path, field: str, found: object, expected: object) -> None:
        super().__init__(f"{file}: {field}: found {found!r}, expected {expected}.")


class Header(NamedTuple):
    """What a checkpoint is of; compared before anything is loaded."""

    problem: str
    agent: str
    sizes: Sizes
    step: int  # how far the training was, all its phases together
    phase: str


def write_checkpoint(folder: Path, header: Header, tree: Mapping[str, Any]) -> None:
    """Write a nested dictionary of numbers, text, arrays and tensors, whole or not at all."""
    arrays: dict[str, Array] = {}
    plain = _flatten(tree, "", arrays)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    save_file(arrays, temporary / _ARRAYS)
    size = (temporary / _ARRAYS).stat().st_size
    fields = header._asdict() | {"sizes": header.sizes._asdict()}
    write_json(temporary / _STATE, {"format": FORMAT, **fields, "array_bytes": size, "tree": plain})
    _flush(temporary / _ARRAYS)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    _flush(folder.parent)


def read_header(folder: Path) -> Header:
    """What the checkpoint is of. Raises CheckpointError."""
    return _header(folder / _STATE, _read_state(folder / _STATE))


def read_checkpoint(folder: Path, part: str | None = None) -> Any:
    """The nested dictionary, or one of its top-level parts only. Raises CheckpointError."""
    state = _read_state(folder / _STATE)
    _header(folder / _STATE, state)
    tree, file = state["tree"], folder / _ARRAYS
    if part is not None:
        if part not in tree:
            raise CheckpointError(folder / _STATE, "tree", sorted(tree), f"a part `{part}`")
        tree = tree[part]
    if not file.is_file():
        raise CheckpointError(file, "the file", None, "to exist")
    if file.stat().st_size != state["array_bytes"]:
        raise CheckpointError(file, "size in bytes", file.stat().st_size, f"{state['array_bytes']}: it is truncated")
    try:
        with safe_open(file, framework="numpy") as arrays:
            return _unflatten(tree, arrays)
    except SafetensorError as error:
        raise CheckpointError(file, "the file", str(error), "whole safetensors") from None


def check_header(folder: Path, found: Header, expected: Header) -> None:
    """Raise CheckpointError where the checkpoint is of another problem, agent or shape."""
    for field in ("problem", "agent"):
        if getattr(found, field) != getattr(expected, field):
            raise CheckpointError(folder / _STATE, field, getattr(found, field), repr(getattr(expected, field)))
    for field in Sizes._fields:
        if getattr(found.sizes, field) != getattr(expected.sizes, field):
            raise CheckpointError(
                folder / _STATE, f"sizes.{field}", getattr(found.sizes, field), getattr(expected.sizes, field)
            )


class Checkpoints:
    """The checkpoints of one run: the last, the best and the latest few."""

    def __init__(self, folder: Path, keep: int = 3) -> None:
        self.folder = folder
        self.keep = keep

    def save(self, header: Header, tree: Mapping[str, Any], best: bool = False) -> Path:
        """Write a checkpoint, name it last (and best), and drop those no longer needed."""
        manifest = self._manifest()
        name = f"step-{header.step:010d}"
        write_checkpoint(self.folder / name, header, tree)
        kept = [n for n in manifest["kept"] if n != name][-(self.keep - 1) :] if self.keep > 1 else []
        manifest = {
            "format": FORMAT,
            "last": name,
            "best": name if best else manifest["best"],
            "kept": [*kept, name],
        }
        self._write(manifest)
        return self.folder / name

    def find(self, which: str = "last") -> Path | None:
        """The folder of `last`, `best` or a name; None where there is none."""
        manifest = self._manifest()
        name = manifest[which] if which in ("last", "best") else which
        return self.folder / name if name is not None and (self.folder / name).is_dir() else None

    def clear(self) -> None:
        """Remove all of them."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self, manifest: Mapping[str, Any]) -> None:
        write_json(self.folder / _MANIFEST, manifest)
        named = {manifest["last"], manifest["best"], *manifest["kept"]}
        for folder in self.folder.iterdir():
            if folder.is_dir() and folder.name not in named:
                shutil.rmtree(folder)

    def _manifest(self) -> dict[str, Any]:
        file = self.folder / _MANIFEST
        if not file.is_file():
            return {"format": FORMAT, "last": None, "best": None, "kept": []}
        return _read_json(file)


def write_json(file: Path, value: Any) -> None:
    """Write a value as JSON, whole or not at all, and see it on the disk."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.write_text(json.dumps(value, indent=1), encoding="utf-8")
    _flush(temporary)
    os.replace(temporary, file)


def _flush(path: Path) -> None:
    """Wait until a file (or the entries of a folder) has reached the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read_json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise CheckpointError(file, "the file", None, "to exist")
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(file, "the file", str(error), "whole JSON: it is truncated or not a checkpoint") from None
    if not isinstance(value, dict):
        raise CheckpointError(file, "the file", type(value).__name__, "a JSON object")
    return value


def _read_state(file: Path) -> dict[str, Any]:
    state = _read_json(file)
    if state.get("format") != FORMAT:
        raise CheckpointError(file, "format", state.get("format"), FORMAT)
    return state


def _header(file: Path, state: dict[str, Any]) -> Header:
    missing = [name for name in (*Header._fields, "array_bytes", "tree") if name not in state]
    if missing:
        raise CheckpointError(file, missing[0], None, "an entry")
    if sorted(state["sizes"]) != sorted(Sizes._fields):
        raise CheckpointError(file, "sizes", sorted(state["sizes"]), f"the entries {', '.join(Sizes._fields)}")
    return Header(**{name: state[name] for name in Header._fields if name != "sizes"}, sizes=Sizes(**state["sizes"]))


def _flatten(value: Any, name: str, arrays: dict[str, Array]) -> Any:
    """The value as JSON; arrays go into `arrays` under their dotted name and leave a reference."""
    if isinstance(value, torch.Tensor):
        arrays[name] = np.array(value.detach().cpu().numpy(), order="C")
        return {"$tensor": name}
    if isinstance(value, np.ndarray):
        arrays[name] = np.array(value, order="C")
        return {"$array": name}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: _flatten(v, f"{name}/{key}", arrays) for key, v in value.items()}
        return {"$items": [[key, _flatten(v, f"{name}/{key}", arrays)] for key, v in value.items()]}
    if isinstance(value, tuple):
        return {"$tuple": [_flatten(v, f"{name}/{i}", arrays) for i, v in enumerate(value)]}
    if isinstance(value, list):
        return [_flatten(v, f"{name}/{i}", arrays) for i, v in enumerate(value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"Expected {name.strip('/')} to be numbers, text or arrays, got {type(value).__name__}.")


def _unflatten(value: Any, arrays: Any) -> Any:
    if isinstance(value, list):
        return [_unflatten(v, arrays) for v in value]
    if not isinstance(value, dict):
        return value
    if "$tensor" in value:
        return torch.from_numpy(arrays.get_tensor(value["$tensor"]))
    if "$array" in value:
        return arrays.get_tensor(value["$array"])
    if "$tuple" in value:
        return tuple(_unflatten(v, arrays) for v in value["$tuple"])
    if "$items" in value:
        return {key: _unflatten(v, arrays) for key, v in value["$items"]}
    return {key: _unflatten(v, arrays) for key, v in value.items()}


def check_shapes(file: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Raise CheckpointError where two sets of named tensors differ in a name or a shape."""
    for name in sorted(found.keys() | expected.keys()):
        a, b = (tuple(side[name].shape) if name in side else None for side in (found, expected))
        if a != b:
            raise CheckpointError(file, f"shape of weight {name}", a, b)
