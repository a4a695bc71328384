"""The decorator of every compiled kernel, and why it is set up as it is.

Kernels are serial over rows `lo..hi` and release the GIL; threads belong to `core/batch.py`. Kernels never
allocate: with numba's reference counting switched off (`_nrt=False`) a helper that takes a NamedTuple of
arrays costs nothing, with it one atomic pair per array and call (ten times slower, measured on VM resets).
Hence: no array expressions and no slice-to-slice copies inside a kernel, only scalars and loops.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile a kernel, cached on disk."""
    compiled: F = njit(cache=True, nogil=True, _nrt=False)(function)
    return compiled


def inlined(function: F) -> F:
    """Compile a small helper that its callers take in whole."""
    compiled: F = njit(cache=True, nogil=True, _nrt=False, forceinline=True)(function)
    return compiled
