"""Which format is a trace file? By what it begins with; by its name where that does not tell."""

from allocenv.core.files import InputError
from allocenv.problems.storage.formats.blktrace import byte_order
from allocenv.problems.storage.formats.libcachesim import vscsi_version
from allocenv.problems.storage.formats.plain_text import table
from allocenv.problems.storage.formats.stream import bare_name, head

KNOWN = (
    "a trace of MSR Cambridge, blkparse, blktrace, fio (iolog), libCacheSim (.oracleGeneral, .vscsi), SPC, ARC "
    "(.lis), Alibaba, Tencent, SYSTOR'17, or a CSV with a header; or name the format"
)
_OPERATIONS = {"r", "w", "read", "write"}


def detect_format(path: str) -> str:
    """The name of the format.

    Raises:
        InputError: it is none that is known, or the file cannot be read.
    """
    first, name = head(path), bare_name(path).lower()
    if not first:
        raise InputError(path, "size", "0 bytes", "at least one request")
    if byte_order(first) is not None:
        return "blktrace"
    if "oraclegeneral" in name:
        return "oracle_general"
    if name.endswith((".u32le", ".u32")):
        return "u32le"
    if ".vscsi" in name or (b"\0" in first and vscsi_version(first) is not None):
        return vscsi_version(first) or "vscsi1"
    found = None if b"\0" in first else _text_format(first.decode("utf-8-sig", "replace"), name)
    if found is None:
        raise InputError(path, "content", first[:40], KNOWN)
    return found


def _text_format(text: str, name: str) -> str | None:
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")][:50]
    if not lines:
        return None
    if lines[0].startswith("fio version"):
        return {"fio version 2 iolog": "fio_iolog2", "fio version 3 iolog": "fio_iolog3"}.get(lines[0])
    header = [field.strip() for field in lines[0].split(",")]
    if table(header, 1) is not None:
        return "table"
    if not any(c.isdigit() for c in lines[0]) and len(lines) > 1:
        lines = lines[1:]
    for line in lines:  # the first may be damaged
        found = _by_commas([f.strip().lower() for f in line.split(",")]) or _by_blanks(line.split())
        if found is not None:
            return found
    return "lis" if name.endswith(".lis") else None


def _by_commas(fields: list[str]) -> str | None:
    """The comma formats differ in where the operation stands."""
    at = [i for i, field in enumerate(fields) if field in _OPERATIONS]
    if len(fields) in (6, 7) and at[:1] == [3] and not _number(fields[1]):
        return "msr"
    if len(fields) == 6 and at[:1] == [2]:
        return "systor17"
    if len(fields) == 5 and at[:1] == [1]:
        return "alibaba"
    if len(fields) >= 5 and at[:1] == [3]:
        return "spc"
    if len(fields) == 5 and all(map(_number, fields)):
        return "tencent"
    return None


def _by_blanks(fields: list[str]) -> str | None:
    if len(fields) >= 6 and fields[0].count(",") == 1 and fields[0].replace(",", "").isdigit():
        return "blkparse"
    if len(fields) == 4 and all(map(_number, fields)):
        return "lis"
    return None


def _number(text: str) -> bool:
    return text.isascii() and text.isdigit()
