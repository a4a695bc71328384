"""How is an allocator's state kept on disk? Arrays and text in one .npz or .json file, no pickle, no code."""

import json
import os
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from allocenv.core.arrays import Array
from allocenv.core.files import InputError, read_text, write_atomically

Saved = dict[str, Array | str]
KINDS = "iufb"
NOT_OURS = (ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile, NotImplementedError)


def write_state(path: str | os.PathLike[str], state: Saved) -> None:
    """Write the whole file or leave what was there; JSON where the name ends with .json, else NPZ."""
    write_atomically(path, _json(state) if os.fspath(path).endswith(".json") else _npz(state))


def read_state(path: str | os.PathLike[str]) -> Saved:
    """The reverse, bit by bit.

    Raises:
        InputError: the file cannot be read or is none of ours.
    """
    source = os.fspath(path)
    try:
        return _from_json(read_text(source)) if source.endswith(".json") else _from_npz(Path(source).read_bytes())
    except InputError:
        raise
    except OSError as error:
        raise InputError(source, "file", error.strerror or str(error), "a file that can be read") from None
    except NOT_OURS as error:
        raise InputError(source, "content", str(error), "a state written by Allocator.save") from None


def _npz(state: Saved) -> bytes:
    packed = BytesIO()
    arrays = {
        f"text:{name}" if isinstance(value, str) else name: np.frombuffer(value.encode(), np.uint8)
        if isinstance(value, str)
        else value
        for name, value in state.items()
    }
    np.savez(packed, **arrays)  # type: ignore[arg-type]
    return packed.getvalue()


def _from_npz(data: bytes) -> Saved:
    with np.load(BytesIO(data), allow_pickle=False) as packed:
        found = {name: packed[name] for name in packed.files}
    return {
        name.removeprefix("text:"): value.tobytes().decode() if name.startswith("text:") else value
        for name, value in found.items()
    }


def _json(state: Saved) -> str:
    document = {
        name: value
        if isinstance(value, str)
        else {"type": value.dtype.str, "shape": value.shape, "data": value.ravel().tolist()}
        for name, value in state.items()
    }
    return json.dumps(document, ensure_ascii=False) + "\n"


def _from_json(text: str) -> Saved:
    return {name: value if type(value) is str else _array(value) for name, value in json.loads(text).items()}


def _array(value: dict[str, Any]) -> Array:
    kind = np.dtype(str(value["type"]))
    if kind.kind not in KINDS:
        raise ValueError(f"array of {kind}")
    made: Array = np.array(value["data"], kind).reshape(value["shape"])
    return made
