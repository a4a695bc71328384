"""libCacheSim's binary traces: oracleGeneral, and vscsi of versions 1 and 2 (its readers' headers)."""

from typing import Any

import numpy as np

from allocenv.core.arrays import Array, LongArray
from allocenv.core.files import InputError
from allocenv.problems.storage.formats.raw import SECTOR, Bad, Raw, Units
from allocenv.problems.storage.formats.records import first_of, long, read_records
from allocenv.problems.storage.formats.stream import head

ORACLE: np.dtype[Any] = np.dtype([("time", "<u4"), ("id", "<u8"), ("size", "<u4"), ("next", "<i8")])
VSCSI_1: np.dtype[Any] = np.dtype(
    [("sn", "<u4"), ("len", "<u4"), ("nSG", "<u4"), ("cmd", "<u2"), ("ver", "<u2"), ("lbn", "<u8"), ("ts", "<u8")]
)
VSCSI_2: np.dtype[Any] = np.dtype(
    [("cmd", "<u2"), ("ver", "<u2"), ("sn", "<u4"), ("len", "<u4"), ("nSG", "<u4"), ("lbn", "<u8"), ("ts", "<u8"),
     ("rt", "<u8")]
)  # fmt: skip
VSCSI = {"vscsi1": VSCSI_1, "vscsi2": VSCSI_2}
READS, WRITES = (0x08, 0x28, 0xA8, 0x88), (0x0A, 0x2A, 0xAA, 0x8A)  # SCSI: 6, 10, 12 and 16 bytes
VSCSI_UNITS = Units(1000, SECTOR, 1, "record", "ts", "lbn", "len", "cmd")


def oracle_units(block_bytes: int) -> Units:
    """An object's id is the block it begins at, as in libCacheSim's conversions of block traces."""
    return Units(10**9, block_bytes, 1, "record", "clock_time", "obj_id", "obj_size")


def read_oracle(path: str, limit: int | None, skip_bad: bool) -> tuple[Raw, Bad, int]:
    """The requests, all as reads: the format does not tell."""

    def decode(records: Array, number: LongArray) -> tuple[Raw, InputError | None, int, int]:
        wrong = records["next"] < -1
        error = first_of(wrong, number, path, "next_access_vtime", records["next"], "-1 (never) or above")
        good = records[~wrong] if wrong.any() else records
        number = number[~wrong] if wrong.any() else number
        raw = Raw(number, long(good["time"]), long(good["id"]), long(good["size"]), None, None)
        return raw, error, int(wrong.sum()), 0

    return read_records(path, ORACLE, decode, limit, skip_bad)


def oracle_bytes(time: Array, offset: Array, size: Array, block_bytes: int) -> bytes:
    """Requests, `time` in seconds, with the next request (from 0) that begins at the same block, -1 for none."""
    records = np.zeros(len(offset), ORACLE)
    records["time"], records["id"], records["size"] = time, offset // block_bytes, size
    order = np.argsort(offset, kind="stable")
    same = offset[order][1:] == offset[order][:-1]
    records["next"] = -1
    records["next"][order[:-1][same]] = order[1:][same]
    return records.tobytes()


def vscsi_version(first: bytes) -> str | None:
    """Which version the first records are of, told by their high byte of `ver`; None: neither."""
    for name, dtype in reversed(VSCSI.items()):
        records = np.frombuffer(first, dtype, min(len(first) // dtype.itemsize, 8))
        if len(records) and (records["ver"] >> 8 == int(name[-1])).all():
            return name
    return None


def read_vscsi(path: str, version: str, limit: int | None, skip_bad: bool) -> tuple[Raw, Bad, int]:
    """The reads and writes; other SCSI commands are passed over."""
    expected = int(version[-1])

    def decode(records: Array, number: LongArray) -> tuple[Raw, InputError | None, int, int]:
        wrong = records["ver"] >> 8 != expected
        error = first_of(wrong, number, path, "ver", records["ver"], f"{expected} in its high byte")
        write = np.isin(records["cmd"], WRITES)
        taken = ~wrong & (write | np.isin(records["cmd"], READS))
        r = records[taken]
        raw = Raw(number[taken], long(r["ts"]), long(r["lbn"]), long(r["len"]), write[taken].astype(np.int64), None)
        return raw, error, int(wrong.sum()), int(len(records) - taken.sum() - wrong.sum())

    return read_records(path, VSCSI[version], decode, limit, skip_bad)


def vscsi_bytes(time: Array, offset: Array, size: Array, write: Array, version: str) -> bytes:
    """Requests, `time` in microseconds, as READ(10) and WRITE(10)."""
    records = np.zeros(len(offset), VSCSI[version])
    records["sn"] = np.arange(len(offset))
    records["ver"], records["nSG"] = int(version[-1]) << 8, 1
    records["cmd"] = np.where(write, 0x2A, 0x28)
    records["ts"], records["lbn"], records["len"] = time, offset // SECTOR, size
    return records.tobytes()


def read_ids(path: str, limit: int | None, skip_bad: bool) -> tuple[Raw, Bad, int]:
    """Little-endian uint32 block ids, one per access: neither sizes nor times nor writes."""

    def decode(records: Array, number: LongArray) -> tuple[Raw, InputError | None, int, int]:
        return Raw(number, None, long(records), np.ones(len(number), np.int64), None, None), None, 0, 0

    return read_records(path, np.dtype("<u4"), decode, limit, skip_bad)


def detected_vscsi(path: str) -> str:
    """The version of a file said to be vscsi.

    Raises:
        InputError: it is of neither.
    """
    version = vscsi_version(head(path, 320))
    if version is None:
        raise InputError(path, "record 1, ver", "another number", "1 or 2 in its high byte")
    return version
