"""The decorator of every compiled kernel, and why it is set up as it is.

Kernels are serial over rows `lo..hi` and release the GIL; threads belong to `core/batch.py`. Kernels never
allocate: with numba's reference counting switched off (`_nrt=False`) a helper that takes a NamedTuple of
arrays costs nothing, with it one atomic pair per array and call (ten times slower, measured on VM resets).
Division follows NumPy (`error_model="numpy"`): without the check for zero that Python's has before every one
(half the time of a VM reset); who divides by what can be zero guards it.
Hence: no array expressions and no slice-to-slice copies inside a kernel, only scalars and loops.

Compiled kernels are cached on disk. Numba renews a cached kernel when its own file changes, not when a helper
in another file does, and then runs the old helper; so the cache lies in a folder named after what all files
with kernels hold.
"""

import os
import shutil
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba import njit

F = TypeVar("F", bound=Callable[..., Any])
PACKAGE = Path(__file__).parents[1]
KEPT = 3  # states of the package whose kernels are kept


def kernel(function: F) -> F:
    """Compile a kernel, cached on disk."""
    return _compiled(function, _nrt=False, error_model="numpy")


def inlined(function: F) -> F:
    """Compile a small helper that its callers take in whole."""
    return _compiled(function, _nrt=False, error_model="numpy", forceinline=True)


def allocating_kernel(function: F) -> F:
    """Compile a kernel that makes arrays of its own; keep such ones away from single steps."""
    return _compiled(function)


def direct(function: Callable[..., Any], *arguments: Any) -> Callable[..., Any]:
    """The kernel compiled for the types of these arguments, to be called with others of the very same types.

    It does not look at types: for fifty arrays that takes 7 us a call, more than a single step does. A caller
    that gives arrays of another type or dimension gets nonsense.
    """
    compiled: Any = function
    signature = tuple(numba.typeof(argument) for argument in arguments)
    compiled.compile(signature)
    entry: Callable[..., Any] = compiled.overloads[signature].entry_point
    return entry


def _compiled(function: F, **options: Any) -> F:
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = _FOLDER
    try:
        compiled: F = njit(cache=True, nogil=True, **options)(function)
    finally:
        numba.config.CACHE_DIR = before
    return compiled


def _cache_folder() -> str:
    """Where the kernels of this state of the package lie: beside it, or in the user's cache."""
    digest = blake2b(digest_size=8)
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_bytes()
        if b"allocenv.core.kernel" in text:
            digest.update(text)
    beside = PACKAGE / "__pycache__"
    root = beside if os.access(beside if beside.exists() else PACKAGE, os.W_OK) else _user_cache()
    folder = root / f"kernels-{digest.hexdigest()}"
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    for old in sorted(root.glob("kernels-*"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return str(folder)


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "allocenv"


_FOLDER = _cache_folder()
