"""How is a large file read? In blocks, unpacked as they come; packed again whole when written."""

import gzip
import importlib
import lzma
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from allocenv.core.files import InputError, write_atomically

BLOCK_BYTES = 1 << 22
_GZIP, _XZ, _ZSTD = b"\x1f\x8b", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"


def blocks(path: str, size: int = BLOCK_BYTES) -> Iterator[bytes]:
    """The unpacked content in order; gzip, xz and zstd are told by the first bytes, not by the name.

    Raises:
        InputError: the file is missing, unreadable, or cut or damaged inside its packing.
    """
    with _opened(path) as file, _named_errors(path):
        while block := file.read(size):
            yield block


def head(path: str, size: int = 1 << 14) -> bytes:
    """The first `size` unpacked bytes."""
    with _opened(path) as file, _named_errors(path):
        return bytes(file.read(size))


def write_packed(path: str, content: bytes) -> None:
    """Write the whole file or nothing, packed as the end of its name says: .gz, .xz, .zst or not at all."""
    if path.endswith(".gz"):
        content = gzip.compress(content, compresslevel=6, mtime=0)
    elif path.endswith(".xz"):
        content = lzma.compress(content)
    elif path.endswith(".zst"):
        content = _zstandard(path).ZstdCompressor().compress(content)
    write_atomically(path, content)


def bare_name(path: str) -> str:
    """The file's name without what says how it is packed."""
    name = os.path.basename(path)
    for end in (".gz", ".xz", ".zst"):
        name = name.removesuffix(end)
    return name


@contextmanager
def _opened(path: str) -> Iterator[IO[bytes]]:
    with _named_errors(path), open(path, "rb") as raw:
        first = raw.peek(8)
        if first.startswith(_GZIP):
            with gzip.GzipFile(fileobj=raw) as unzipped:
                yield unzipped  # type: ignore[misc]
        elif first.startswith(_XZ):
            with lzma.LZMAFile(raw) as unpacked:
                yield unpacked  # type: ignore[misc]
        elif first.startswith(_ZSTD):
            yield _Zstd(raw, _zstandard(path))  # type: ignore[misc]
        else:
            yield raw


class _Zstd:
    """A zstd file of one or more frames that complains when it ends inside one, as the other packings do."""

    def __init__(self, file: IO[bytes], zstandard: Any) -> None:
        self._file, self._new = file, zstandard.ZstdDecompressor().decompressobj
        self._frame, self._ready, self._inside = self._new(), b"", False

    def read(self, size: int) -> bytes:
        while len(self._ready) < size:
            packed = self._file.read(1 << 16)
            if not packed:
                if self._inside:
                    raise EOFError("the file ends inside a zstd frame")
                break
            self._unpack(packed)
        block, self._ready = self._ready[:size], self._ready[size:]
        return block

    def _unpack(self, packed: bytes) -> None:
        while packed:
            self._ready += self._frame.decompress(packed)
            packed, self._inside = b"", True
            if self._frame.eof:
                packed, self._frame, self._inside = self._frame.unused_data, self._new(), False


@contextmanager
def _named_errors(path: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        raise InputError(path, "packed data", str(error), "a whole, undamaged gzip, xz or zstd file") from None
    except InputError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(path, "file", reason, "a file that can be read") from None
    except Exception as error:
        if type(error).__name__ != "ZstdError":
            raise
        raise InputError(path, "packed data", str(error), "a whole, undamaged zstd file") from None


def _zstandard(path: str) -> Any:
    try:
        return importlib.import_module("zstandard")
    except ImportError:
        raise InputError(path, "packing", "zstd", "gzip or xz, or `pip install allocenv[zst]`") from None
