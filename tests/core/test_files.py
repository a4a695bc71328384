"""Files are written whole, and errors name the file in one line."""

import gzip
import pickle
from pathlib import Path

import pytest

from allocenv.core.files import InputError, read_text, write_atomically


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_atomically(tmp_path / "new" / "folder" / "a.txt", "Bär\n")
    assert read_text(tmp_path / "new" / "folder" / "a.txt") == "Bär\n"


def test_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", b"1")
    write_atomically(tmp_path / "a", b"2")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"2"


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomically(tmp_path / "a", "old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_atomically(tmp_path / "a", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert read_text(tmp_path / "a") == "old"


def test_gzip_is_told_by_content_not_by_name(tmp_path: Path) -> None:
    (tmp_path / "plain.txt").write_bytes(gzip.compress(b"packed"))
    (tmp_path / "plain.gz").write_bytes(b"not packed")
    assert read_text(tmp_path / "plain.txt") == "packed"
    assert read_text(tmp_path / "plain.gz") == "not packed"


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfid")
    assert read_text(tmp_path / "a") == "id"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "No such file or directory"),
        (gzip.compress(b"x" * 1000, mtime=0)[:-9], "a whole gzip file"),
        (b"\x1f\x8b", "a whole gzip file"),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xff\xff\xff", "a whole gzip file"),
        (b"abc\xffdef", "byte 3"),
    ],
)
def test_an_unreadable_file_is_named(tmp_path: Path, content: bytes | None, expected: str) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=expected) as caught:
        read_text(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("path", ["nul\x00byte", "x" * 5000, "."])
def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(InputError, match="a file that can be read"):
        read_text(path)


def test_an_error_is_one_line_however_odd_its_parts() -> None:
    error = InputError("a\nb", "c\x00", ["x" * 9999, {"deep": [[[[[[[1]]]]]]]}], "\ud800" * 5000)
    assert str(error).isprintable()
    assert len(str(error)) < 2500


def test_an_error_can_cross_processes() -> None:
    error = InputError("file", "field", 1, "two")
    assert str(pickle.loads(pickle.dumps(error))) == str(error) == "file: field: found 1, expected two."
