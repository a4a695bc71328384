"""What is written is what is read, in every format, packed or not."""

import importlib.util

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from storage_files import ENDS, as_kept, as_read, example, file_name, pages, trace_of

from allocenv.problems.storage.formats import read_requests, read_trace, write_trace
from allocenv.problems.storage.formats.write import WRITERS

every = pytest.mark.parametrize("format", WRITERS)
quick = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@every
@quick
@given(rows=pages, end=st.sampled_from(ENDS))
def test_what_is_written_is_what_is_read(format, rows, end, tmp_path):
    trace = trace_of(rows)
    path = tmp_path / file_name(format, end)
    write_trace(trace, path, format)
    assert as_read(read_trace(path, format)) == as_kept(trace, format)


@every
@pytest.mark.parametrize("end", ENDS)
def test_the_format_is_told_by_the_file(format, end, tmp_path):
    trace = example()
    path = tmp_path / file_name(format, end)
    write_trace(trace, path, format)
    read = read_requests(path)
    assert read.format == format
    assert as_read(read.trace) == as_kept(trace, format)
    assert read.skipped == 0


@every
def test_reading_stops_after_so_many_requests(format, tmp_path):
    path = tmp_path / file_name(format)
    write_trace(example(), path, format)
    assert len(read_trace(path, max_requests=17)) == 17


@pytest.mark.skipif(not importlib.util.find_spec("zstandard"), reason="needs zstandard (allocenv[zst])")
def test_zstd_is_read_and_written(tmp_path):
    trace = example()
    write_trace(trace, tmp_path / "t.csv.zst", "table")
    assert as_read(read_trace(tmp_path / "t.csv.zst")) == as_kept(trace, "table")


@pytest.mark.parametrize("format", ["fio_iolog2", "lis", "table"])
def test_a_trace_without_a_clock_has_none_afterwards(format, tmp_path):
    trace = trace_of([(0, 5, 2, False), (0, 9, 1, False)], timed=False)
    path = tmp_path / file_name(format)
    assert write_trace(trace, path, format) == ()
    assert not read_trace(path).timed


def test_what_a_format_does_not_hold_is_said(tmp_path):
    trace = trace_of([(0, 5, 2, True), (7, 9, 1, False)])
    assert write_trace(trace, tmp_path / "a", "oracle_general") == ("times below 1 s", "writes")
    assert write_trace(trace, tmp_path / "b", "table") == ()


def test_small_blocks_are_joined(tmp_path, monkeypatch):
    """Lines and records that begin in one block and end in the next are whole."""
    import allocenv.problems.storage.formats.blktrace as blktrace
    import allocenv.problems.storage.formats.stream as stream
    import allocenv.problems.storage.formats.text as text

    trace = example()
    for module in (text, blktrace):
        monkeypatch.setattr(module, "blocks", lambda path: stream.blocks(path, 100))
    for format in ("msr", "blkparse", "blktrace", "fio_iolog2"):
        write_trace(trace, tmp_path / format, format)
        assert as_read(read_trace(tmp_path / format)) == as_kept(trace, format)


@pytest.mark.parametrize(("format", "message"), [("nope", "among"), ("blktrace", "multiple of 512")])
def test_what_cannot_be_written_is_refused(format, message, tmp_path):
    trace = trace_of([(0, 5, 2, True)], page_bytes=1000)
    with pytest.raises(ValueError, match=message):
        write_trace(trace, tmp_path / "t", format)
