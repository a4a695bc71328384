"""How are files read and written? Whole or not at all, and with errors that name the file."""

import gzip
import os
import reprlib
import secrets
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

MAX_BYTES = 1 << 30  # of text, unpacked: a few packed kilobytes could otherwise fill the memory
_GZIP = b"\x1f\x8b"


class InputError(ValueError):
    """Bad input: one line that names the file, the field, the value found and what was expected."""

    def __init__(self, source: str, field: str, found: object, expected: str) -> None:
        where, what = f"{one_line(source)}: {one_line(field)}", f"found {_SHORT.repr(found)}"
        super().__init__(f"{where}: {what}, expected {one_line(expected)}.")
        self._told = (source, field, found, expected)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._told


def one_line(text: str, limit: int = 300) -> str:
    """The text with what cannot be printed escaped, shortened in the middle."""
    if len(text) > limit:
        text = f"{text[: limit // 2]}...{text[-limit // 2 :]}"
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def read_text(path: str | os.PathLike[str]) -> str:
    """The UTF-8 text of a file, unpacked where its first bytes say gzip, whatever its name says.

    Raises:
        InputError: the file is missing or unreadable, cut short, not UTF-8, or over `MAX_BYTES`.
    """
    source = os.fspath(path)
    try:
        data = Path(source).read_bytes()
        if data.startswith(_GZIP):
            with gzip.GzipFile(fileobj=BytesIO(data)) as packed:
                data = packed.read(MAX_BYTES + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(source, "gzip data", str(error), "a whole gzip file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(source, "file", reason, "a file that can be read") from None
    if len(data) > MAX_BYTES:
        raise InputError(source, "size", f"over {MAX_BYTES} bytes", f"at most {MAX_BYTES} bytes of text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = data[error.start : error.start + 1]
        raise InputError(source, f"byte {error.start}", found, "UTF-8 text") from None


def write_atomically(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write the whole file or leave what was there, so that nobody reads half of it. Makes the folder."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode("utf-8") if isinstance(content, str) else content
    beside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with open(beside, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def between_marks(path: str | os.PathLike[str], content: str, name: str = "table") -> str:
    """The text of a file with `content` between its marks `<!-- NAME:start -->` and `<!-- NAME:end -->`.

    Raises:
        InputError: the file has no such marks.
    """
    source = os.fspath(path)
    start, end = f"<!-- {name}:start -->", f"<!-- {name}:end -->"
    before, found, rest = read_text(source).partition(start)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise InputError(source, f"{name} marks", "none", f"{start} and {end}")
    return f"{before}{start}\n{content}{end}{after}"


def _short() -> reprlib.Repr:
    short = reprlib.Repr()
    short.maxstring = short.maxlong = short.maxother = 80
    return short


_SHORT = _short()
