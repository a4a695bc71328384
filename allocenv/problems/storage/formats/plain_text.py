"""The text formats whose lines are plain columns: MSR Cambridge, SPC, .lis, Alibaba, Tencent, SYSTOR'17, blkparse.

Sources: the README files of the trace sets; blkparse(1); ARC: Megiddo & Modha, FAST 2003.
"""

from allocenv.problems.storage.formats.raw import SECTOR, Units
from allocenv.problems.storage.formats.text import Column, Lines
from allocenv.problems.storage.formats.tokens import (
    BLANK,
    COMMA,
    DECIMAL,
    DEVICE,
    INTEGER,
    NAME,
    ONLY,
    OPERATION,
    RWBS,
)  # fmt: skip
from allocenv.problems.storage.formats.tokens import (
    SECTOR as SECTOR_FIELD,
)

# SNIA IOTTA 388: Windows file time (100 ns), host, disk, Read or Write, bytes, bytes, response time (100 ns)
MSR = Lines(
    (
        Column("Timestamp", INTEGER, "time"),
        Column("Hostname", NAME),
        Column("DiskNumber", NAME),
        Column("Type", OPERATION, "write"),
        Column("Offset", INTEGER, "offset"),
        Column("Size", INTEGER, "size"),
        Column("ResponseTime"),
    ),
    Units(time_ns=100, time="Timestamp", offset="Offset", size="Size"),
    loose=1,
)
# Storage Performance Council: ASU, LBA in sectors, bytes, opcode, seconds
SPC = Lines(
    (
        Column("ASU", NAME),
        Column("LBA", INTEGER, "offset"),
        Column("Size", INTEGER, "size"),
        Column("Opcode", OPERATION, "write"),
        Column("Timestamp", DECIMAL, "time", 9),
    ),
    Units(offset_bytes=SECTOR, time="Timestamp, ns", offset="LBA", size="Size"),
    loose=-1,  # the specification permits fields of one's own after these
)
# github.com/alibaba/block-traces: device_id, opcode, offset, length, timestamp (us)
ALIBABA = Lines(
    (
        Column("device_id", NAME),
        Column("opcode", OPERATION, "write"),
        Column("offset", INTEGER, "offset"),
        Column("length", INTEGER, "size"),
        Column("timestamp", INTEGER, "time"),
    ),
    Units(time_ns=1000, time="timestamp", offset="offset", size="length"),
)
# SNIA IOTTA 27917: seconds, sectors, sectors, 0 read or 1 write, volume
TENCENT = Lines(
    (
        Column("Timestamp", INTEGER, "time"),
        Column("Offset", INTEGER, "offset"),
        Column("Size", INTEGER, "size"),
        Column("IOType", INTEGER, "write"),
        Column("VolumeID", NAME),
    ),
    Units(10**9, SECTOR, SECTOR, time="Timestamp", offset="Offset", size="Size", write="IOType"),
)
# SNIA IOTTA 4964 (SYSTOR 2017): seconds, response seconds, R or W, LUN, bytes, bytes
SYSTOR17 = Lines(
    (
        Column("Timestamp", DECIMAL, "time", 9),
        Column("Response"),
        Column("IOType", OPERATION, "write"),
        Column("LUN", NAME),
        Column("Offset", INTEGER, "offset"),
        Column("Size", INTEGER, "size"),
    ),
    Units(time="Timestamp, ns", offset="Offset", size="Size"),
)
# blkparse's default output, `%D %2c %8s %5T.%9t %5p %2a %3d` and `sector + sectors [process]`. Events Q (queued:
# the request as it was made, before merges) are the requests; the others tell the same ones again.
BLKPARSE = Lines(
    (
        Column("device", DEVICE),
        Column("cpu"),
        Column("sequence"),
        Column("time", DECIMAL, "time", 9),
        Column("pid"),
        Column("action", ONLY, digits=ord("Q")),
        Column("rwbs", RWBS, "write"),
        Column("sector", SECTOR_FIELD, "offset"),
        Column("+", ONLY, digits=ord("+")),
        Column("sectors", INTEGER, "size"),
    ),
    Units(1, SECTOR, SECTOR, time="time, ns", offset="sector", size="sectors"),
    BLANK,
    loose=-1,
)


def lis(block_bytes: int) -> Lines:
    """ARC's .lis: first block, blocks, ignored, request number. Reads only, no clock."""
    columns = (
        Column("starting_block", INTEGER, "offset"),
        Column("number_of_blocks", INTEGER, "size"),
        Column("ignore"),
        Column("request_number"),
    )
    units = Units(1, block_bytes, block_bytes, offset="starting_block", size="number_of_blocks")
    return Lines(columns, units, BLANK)


def table(header: list[str], block_bytes: int) -> Lines | None:
    """A CSV with a header of known names, as in the data folder; None: it has none of an offset or a size."""
    known = {
        "ts_ns": Column("ts_ns", INTEGER, "time"),
        "ts_us": Column("ts_us", INTEGER, "time"),
        "op": Column("op", OPERATION, "write"),
        "device": Column("device", NAME),
        "offset_bytes": Column("offset_bytes", INTEGER, "offset"),
        "offset_sector": Column("offset_sector", INTEGER, "offset"),
        "start_block": Column("start_block", INTEGER, "offset"),
        "size_bytes": Column("size_bytes", INTEGER, "size"),
        "size_sectors": Column("size_sectors", INTEGER, "size"),
        "num_blocks": Column("num_blocks", INTEGER, "size"),
    }
    columns = tuple(known.get(name, Column(name)) for name in header)
    names = {c.role: c.name for c in columns if c.role}
    if "offset" not in names or "size" not in names or len(set(header)) < len(header):
        return None
    if sum(c.role != "" for c in columns) != len(names):
        return None
    per = {"sector": SECTOR, "sectors": SECTOR, "bytes": 1, "block": block_bytes, "blocks": block_bytes}
    time = names.get("time", "time")
    units = Units(
        1000 if time == "ts_us" else 1,
        per[names["offset"].rpartition("_")[2]],
        per[names["size"].rpartition("_")[2]],
        time=time,
        offset=names["offset"],
        size=names["size"],
    )
    return Lines(columns, units, COMMA)
