"""Files as tools write them are read as their documentation says."""

import struct

import numpy as np
import pytest
from real_data import real_data

from allocenv.problems.storage.formats import detect_format, read_requests, read_trace
from allocenv.problems.storage.sources import find_trace
from allocenv.problems.storage.statistics import statistics

# Every sample is: a read of 8 KiB at byte 4096, then, 1 s later, a write of 4 KiB at byte 12288.
SAMPLES = {
    "msr": "128166372003061629,hm,1,Read,4096,8192,151\n128166372013061629,hm,1,Write,12288,4096,99\n",
    "spc": "0,8,8192,r,0.5\n0,24,4096,W,1.500000\n",
    "alibaba": "419,R,4096,8192,1577808144360767\n419,W,12288,4096,1577808145360767\n",
    "tencent": "1538323200,8,16,0,1283\n1538323201,24,8,1,1283\n",
    "systor17": "Timestamp,Response,IOType,LUN,Offset,Size\n1.5,0.1,R,3,4096,8192\n2.5,,W,3,12288,4096\n",
    "blkparse": (
        "  8,0    3        1     1.000000000   697  Q   R 8 + 16 [kjournald]\n"
        "  8,0    3        2     1.000000001   697  G   R 8 + 16 [kjournald]\n"
        "  8,0    3        3     1.100000000   697  Q FWS [jbd2/sda1-8]\n"
        "  8,0    3        3     1.100000000   697  Q  DS 8 + 8 [fstrim]\n"
        "  8,0    3        4     2.000000000   697  Q  WS 24 + 8 [a b]\n"
        "  8,0    3        5     2.000000000     0  C  WS 24 + 8 [0]\n"
        "CPU0 (8,0):\n Reads Queued:           1,        8KiB\t Writes Queued:           1,        4KiB\n"
    ),
    "fio_iolog2": (
        "fio version 2 iolog\n/dev/a add\n/dev/a open\n/dev/a read 4096 8192\n/dev/a wait 1000000 0\n"
        "/dev/a datasync 0 0\n/dev/a write 12288 4096\n/dev/a close\n"
    ),
    "fio_iolog3": (
        "fio version 3 iolog\n0 /dev/a add\n1 /dev/a open\n5 /dev/a read 4096 8192\n"
        "1000005 /dev/a write 12288 4096\n1000006 /dev/a close\n"
    ),
    "table": "ts_us,op,device,offset_sector,size_bytes\n5,R,1,8,8192\n1000005,W,1,24,4096\n",
}


@pytest.mark.parametrize("format", SAMPLES)
def test_samples_are_read_as_documented(format, tmp_path):
    path = tmp_path / "sample"
    path.write_text(SAMPLES[format])
    read = read_requests(path)
    r = read.trace.requests
    assert read.format == format
    assert r.time.tolist() == [0, 10**9]
    assert r.pages.tolist() == [2, 1]
    assert r.first.tolist() == [0, 2]
    assert r.address.tolist() == [1, 2, 3]
    assert r.write.tolist() == [False, True]


def test_lines_may_end_as_windows_ends_them(tmp_path):
    path = tmp_path / "sample"
    path.write_text(SAMPLES["msr"].replace("\n", "\r\n"), newline="")
    assert len(read_trace(path)) == 2


def test_big_endian_blktrace_with_notes_is_read(tmp_path):
    def record(time, sector, size, action, note=b""):
        head = struct.pack(">IIQQIIIIIHH", 0x65617407, 1, time, sector, size, action, 0, 8, 0, 0, len(note))
        return head + note

    queue_write, queue_read, issue_read, message = 0x20001, 0x10001, 0x10007, 0x4000002
    path = tmp_path / "t"
    path.write_bytes(
        record(7, 0, 0, message, b"hello")
        + record(2000, 24, 4096, queue_write)
        + record(1000, 8, 8192, queue_read, b"xy")
        + record(1500, 8, 8192, issue_read)
    )
    read = read_requests(path)
    assert read.trace.requests.time.tolist() == [0, 1000]
    assert read.trace.requests.write.tolist() == [False, True]
    assert read.others == 2


def test_volumes_lie_apart(tmp_path):
    path = tmp_path / "t"
    path.write_text("0,hm,0,Read,0,4096,1\n1,hm,1,Read,4096,4096,1\n1,src,0,Read,4096,4096,1\n2,hm,0,Read,0,4096,1\n")
    r = read_trace(path).requests
    assert r.first.tolist() == [0, 1, 2, 0]
    assert (np.diff(r.address) > 1).all()


def test_requests_are_put_in_order_when_asked(tmp_path):
    path = tmp_path / "t"
    path.write_text("300,hm,0,Read,0,4096,1\n100,hm,0,Read,4096,4096,1\n200,hm,0,Write,0,4096,1\n")
    r = read_trace(path, sort=True).requests
    assert r.time.tolist() == [0, 10_000, 20_000]
    assert r.first.tolist() == [1, 0, 0]


def test_a_lis_block_is_512_bytes_unless_said_otherwise(tmp_path):
    path = tmp_path / "P1.lis"
    path.write_text("0 9 0 1\n16 8 0 2\n")
    assert read_trace(path).requests.pages.tolist() == [2, 1]
    assert read_trace(path, block_bytes=4096).requests.pages.tolist() == [9, 8]


# of the data folder's README
TABLE = {
    "cloudphysics": (113_872, 7200, 0.587, 40.1, 1_141_869, 269_210, 4.24, 0.267),
    "financial1": (10_000, 260, 0.592, 9.0, 22_511, 7_322, 3.07, 0.041),
    "tpcc": (6_999, 0.14, 0.374, 11.8, 20_669, 20_470, 1.01, 0.001),
    "wsrch": (24_783, 60, 0.0, 15.1, 93_312, 93_029, 1.00, 0.058),
    "OLTP": (914_145, None, 0.0, 4.0, 914_145, 186_880, 4.89, 0.149),
    "P2": (666_176, None, 0.0, 13.4, 2_231_617, 120_308, 18.55, 0.134),
    "P3": (238_578, None, 0.0, 10.3, 611_918, 102_348, 5.98, 0.147),
    "w106": (5_292_456, None, 0.0, 4.0, 5_292_456, 275_171, 19.2, None),
}


@pytest.mark.data
@pytest.mark.parametrize("name", TABLE)
def test_the_statistics_of_the_real_traces_are_those_published(name):
    real_data("storage")
    found = statistics(find_trace(name))
    for (key, value), expected in zip(found.items(), TABLE[name], strict=True):
        if expected is None:
            continue
        if isinstance(expected, int) and key != "seconds":
            assert value == expected, key
        else:
            assert value == pytest.approx(expected, abs=0.051 if expected > 1 else 0.0051, rel=0.002), key


def test_an_unknown_file_is_refused(tmp_path):
    path = tmp_path / "t"
    path.write_text("once upon a time\n")
    with pytest.raises(ValueError, match="content: found"):
        detect_format(str(path))
