"""Damaged files give an error that names the line or record, or are read without it and counted."""

import re

import numpy as np
import pytest
from storage_files import example, file_name

from allocenv.core.files import InputError
from allocenv.problems.storage.formats import read_requests, read_trace, write_trace
from allocenv.problems.storage.formats.write import WRITERS

GOOD = "100,hm,0,Read,0,4096,1"
BAD_LINES = {
    "200,hm,0,Read": "line 2, Offset: found '', expected 7 fields",
    "200,hm,0,Fetch,0,4096,1": "line 2, Type: found 'Fetch', expected R, Read, W or Write",
    "200,hm,0,Read,0,-4096,1": "line 2, Size: found -4096, expected at least 1",
    "200,hm,0,Read,0,0,1": "line 2, Size: found 0, expected at least 1",
    "200,hm,0,Read,-5,4096,1": "line 2, Offset: found -5, expected 0",
    "200,hm,0,Read,9223372036854775808,4096,1": "line 2, Offset: found '9223372036854775808', expected a number below",
    "200,hm,0,Read,9223372036854775807,4096,1": "line 2, Offset: found 9223372036854775807, expected at most",
    "200,hm,0,Read,0x10,4096,1": "line 2, Offset: found '0x10', expected a whole number",
    "99,hm,0,Read,0,4096,1": "line 2, Timestamp: found 99, expected at least 100",
    "9000000000000000000,hm,0,Read,0,4096,1": "line 2, Timestamp: found 9000000000000000000, expected 0 to ",
    "200,hm,0,Read,0,4096,1,200,hm,0": "line 2, end: found '200,hm,0', expected 7 fields",
    "200,hm,0,Read,0,99999999999,1": "line 2, Size: found 99999999999, expected at most",
}


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_bad_line_is_named(line, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(f"{GOOD}\n{line}\n300,hm,0,Write,0,4096,1\n")
    with pytest.raises(InputError, match=re.escape(BAD_LINES[line])):
        read_trace(path)
    read = read_requests(path, skip_bad=True)
    assert (len(read.trace), read.skipped) == (2, 1)
    assert BAD_LINES[line] in read.first_bad


@pytest.mark.parametrize("content", [b"", b"\n", b"# nothing\n"])
def test_an_empty_trace_is_an_error(content, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"t\.csv"):
        read_trace(path)
    with pytest.raises(InputError, match="at least one read or write"):
        read_trace(path, "msr") if content else read_trace(path, "spc")


def test_a_cut_record_is_named(tmp_path):
    for format, record, size in (
        ("oracle_general", 24, 24),
        ("vscsi1", 32, 32),
        ("vscsi2", 40, 40),
        ("blktrace", 48, 48),
    ):
        path = tmp_path / file_name(format)
        write_trace(example(10), path, format)
        path.write_bytes(path.read_bytes()[:-5])
        with pytest.raises(
            InputError, match=f"record 10: found '{size - 5} bytes', expected a whole record of {record}"
        ):
            read_trace(path)
        read = read_requests(path, skip_bad=True)
        assert (len(read.trace), read.skipped) == (9, 1)


def test_records_out_of_step_are_found_again(tmp_path):
    path = tmp_path / "t"
    write_trace(example(10), path, "blktrace")
    content = path.read_bytes()
    path.write_bytes(content[: 48 * 3] + b"junk!" + content[48 * 3 :])
    with pytest.raises(InputError, match="record 4, magic"):
        read_trace(path)
    read = read_requests(path, skip_bad=True)
    assert (len(read.trace), read.skipped) == (10, 1)


def test_times_that_fall_cost_as_few_lines_as_possible(tmp_path):
    path = tmp_path / "t.csv"
    # the third line is too late, not the four after it too early
    times = [1, 2, 9, 3, 4, 5, 6]
    path.write_text("".join(f"{t},hm,0,Read,0,4096,1\n" for t in times))
    with pytest.raises(InputError, match="line 4, Timestamp: found 3, expected at least 9"):
        read_trace(path)
    read = read_requests(path, skip_bad=True)
    assert (len(read.trace), read.skipped) == (6, 1)


def test_a_first_time_far_from_the_others_costs_only_its_line(tmp_path):
    path = tmp_path / "t.csv"
    day = 864_000_000_000  # in 100 ns
    path.write_text("".join(f"{t},hm,0,Read,0,4096,1\n" for t in (0, 400 * 365 * day, 401 * 365 * day)))
    with pytest.raises(InputError, match=r"line 1, Timestamp: found 0, expected .* ten years around most others"):
        read_trace(path)
    read = read_requests(path, skip_bad=True)
    assert (len(read.trace), read.skipped) == (2, 1)


def test_a_packed_file_that_is_cut_is_an_error(tmp_path):
    for end in (".gz", ".xz"):
        path = tmp_path / f"t.csv{end}"
        write_trace(example(), path, "msr")
        path.write_bytes(path.read_bytes()[:-20])
        with pytest.raises(InputError, match="packed data"):
            read_trace(path)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(InputError, match="a file that can be read"):
        read_trace(tmp_path / "none")


@pytest.mark.parametrize("format", WRITERS)
def test_damage_gives_an_input_error_or_a_trace(format, tmp_path):
    rng = np.random.default_rng(5)
    path = tmp_path / file_name(format)
    write_trace(example(30), path, format)
    content = path.read_bytes()
    for trial in range(60):
        path.write_bytes(_damaged(content, rng))
        for skip_bad in (False, True):
            try:
                trace = read_requests(path, format if trial % 2 else None, skip_bad=skip_bad).trace
            except InputError:
                continue
            assert len(trace) > 0


def _damaged(content, rng):
    """The content cut, with bytes or lines changed, or a part of it doubled."""
    kind = rng.integers(5)
    a, b = sorted(rng.integers(0, len(content), 2).tolist())
    if kind == 0:
        return content[:a]
    if kind == 1:
        changed = bytearray(content)
        for place in rng.integers(0, len(content), rng.integers(1, 6)):
            changed[place] = rng.integers(256)
        return bytes(changed)
    if kind == 2:
        lines = content.splitlines(keepends=True)
        i, j = rng.integers(0, len(lines), 2)
        lines[i], lines[j] = lines[j], lines[i]
        return b"".join(lines)
    if kind == 3:
        return content[:a] + content[b:]
    return content[:b] + content[a:]
