"""Archives of traces: found, fetched one at a time, judged, kept; what cannot be read is told and tried again."""

import fsspec
import numpy as np
import pytest

from allocenv.core.pool import local_pool
from allocenv.core.results import read_results
from allocenv.problems.storage.archive import fetched, listed
from allocenv.problems.storage.archive_run import lines, run_archive
from allocenv.problems.storage.evaluation import judged
from allocenv.problems.storage.evaluation_run import Wishes
from allocenv.problems.storage.formats import read_trace, write_trace
from allocenv.problems.storage.trace import PAGE_BYTES, Trace
from allocenv.problems.storage.trace_commands import Input

POLICIES = ("slow_only", "lru", "lru_p05")


@pytest.fixture
def archive(tmp_path):
    """Three traces of 300 requests in two folders, and files that are none."""
    folder = tmp_path / "archive"
    for seed, name in enumerate(("a/1.csv", "a/2.csv.gz", "b/3.csv")):
        rng = np.random.default_rng(seed)
        page = np.where(rng.random(300) < 0.5, 0, rng.integers(1, 10, 300))
        made = Trace.of("t", np.arange(300) * 10**6, page * PAGE_BYTES, np.full(300, PAGE_BYTES), rng.random(300) < 0.5)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_trace(made, folder / name, "msr")
    (folder / "README.md").write_text("three traces")
    (folder / ".hidden").write_text("x")
    return folder


class Here:
    """The engine of a process that notes how many chunks it was given."""

    chunks = 0

    def pool(self, job, here=None):
        work = job.prepare()

        def counted(task):
            self.chunks += 1
            return work(task)

        return local_pool(counted)


def ran(url, out, engine=None, **changes):
    wishes = {
        "devices": "H,M", "fast": None, "moves": "charged", "loop": "closed", "policies": ",".join(POLICIES),
        "seeds": 1, "part": "second-half", "budget_mb_s": None, "endurance": None, "size_curve": False,
        "arguments": ("evaluate", "storage"),
    }  # fmt: skip
    engine = engine or Here()
    return run_archive(str(url), Input(""), Wishes(**{**wishes, **changes}), out, engine), engine.chunks


def in_memory(folder):
    """The same files in fsspec's file system in memory, which is fetched from as an object store is."""
    system = fsspec.filesystem("memory")
    for file in folder.rglob("*"):
        if file.is_file():
            system.pipe(f"/archive/{file.relative_to(folder)}", file.read_bytes())
    return system


def test_an_archive_lists_its_traces_in_order(archive):
    assert [one.name for one in listed(str(archive))] == ["a/1.csv", "a/2.csv.gz", "b/3.csv"]
    assert [one.name for one in listed(f"file://{archive}/*/*.csv")] == ["a/1.csv", "b/3.csv"]
    assert [one.name for one in listed(str(archive / "a" / "1.csv"))] == ["1.csv"]


def test_a_file_that_changes_is_another_task(archive):
    before = {one.name: one.task for one in listed(str(archive))}
    (archive / "a" / "1.csv").write_text("changed")
    after = {one.name: one.task for one in listed(str(archive))}
    assert {name for name in before if before[name] != after[name]} == {"a/1.csv"}


@pytest.mark.parametrize(
    ("url", "message"),
    [("nowhere", "expected trace files in nowhere, found none"), ("no-such://x", "--archive: no-such://x: ")],
)
def test_an_archive_that_is_not_there_is_one_line(tmp_path, url, message):
    with pytest.raises(ValueError, match=message) as error:
        ran(url, tmp_path / "out")
    assert "\n" not in str(error.value)


def test_a_remote_trace_is_a_file_while_it_is_read(archive):
    in_memory(archive)
    stored = listed("memory://archive")
    assert [one.name for one in stored] == ["a/1.csv", "a/2.csv.gz", "b/3.csv"]
    with fetched("memory://archive", stored[1].path) as file:
        assert file.read_bytes() == (archive / "a" / "2.csv.gz").read_bytes()
        assert file.name == "2.csv.gz"
    assert not file.exists()
    with fetched(str(archive), str(archive / "a" / "1.csv")) as file:
        assert file == archive / "a" / "1.csv"
    assert file.exists()


def test_each_trace_is_judged_as_alone_and_the_summary_is_over_them(archive, tmp_path, capsys):
    in_memory(archive)
    whole, _ = ran("memory://archive", tmp_path / "out")
    assert whole
    out = capsys.readouterr().out
    assert "3/3 b/3.csv: 300 requests, best " in out
    found = read_results(tmp_path / "out")
    assert found.labels == ["a/1.csv", "a/2.csv.gz", "b/3.csv"]
    system = Wishes("H,M", None, "charged", "closed", "", 1, "second-half", None, None, False, ()).system()
    for name in found.labels:
        alone = judged(read_trace(archive / name), system, "lru").summary
        (lru,) = (row for row in found.rows if (row.contender, row.instance) == ("lru", name))
        assert (lru.figures["mean"], lru.figures["p99"], lru.figures["promoted"]) == (
            alone.mean, alone.p99, alone.promoted,
        )  # fmt: skip
        assert lru.objective == alone.normalised
        assert lru.figures["load_1"] == alone.load[1]
    assert found.details["archive"] == "memory://archive"
    assert not (tmp_path / "out" / "shards").exists()


def test_improvements_are_over_lru_trace_by_trace():
    results = {
        "one": {"runs": [{"policy": "lru", "normalised": 4.0}, {"policy": "x", "normalised": 1.0}]},
        "two": {"runs": [{"policy": "lru", "normalised": 2.0}, {"policy": "x", "normalised": 3.0}]},
    }
    x, lru = lines(("lru", "x"), results)
    # x saves 3/4 on the first and loses 1/2 on the second: 1/8 on average; both are best on one.
    assert x == ("x", 2.0, 0.125, -0.5, "two", 1)
    assert lru == ("lru", 3.0, 0.0, 0.0, "one", 1)


def test_a_trace_that_cannot_be_read_is_told_and_tried_again(archive, tmp_path, capsys):
    good = (archive / "a" / "1.csv").read_text()
    (archive / "a" / "1.csv").write_text("junk\n")
    out = tmp_path / "out"
    assert ran(archive, out) == (False, 3)
    assert "1/3 a/1.csv: not read: " in capsys.readouterr().out
    assert list(read_results(out).details["not_read"]) == ["a/1.csv"]
    (archive / "a" / "1.csv").write_text(good)
    assert ran(archive, out) == (True, 1)  # the other two are kept
    assert "Done before, in " in capsys.readouterr().out
    assert len(read_results(out).labels) == 3
    assert not (out / "shards").exists()


def test_other_settings_begin_anew(archive, tmp_path):
    (archive / "a" / "1.csv").write_text("junk\n")
    assert ran(archive, tmp_path / "out") == (False, 3)
    assert ran(archive, tmp_path / "out", moves="free") == (False, 3)
    assert ran(archive, tmp_path / "out", moves="free") == (False, 1)


def test_an_archive_of_nothing_readable_is_an_error(archive, tmp_path):
    for file in archive.glob("*/*"):
        file.write_text("junk\n")
    with pytest.raises(ValueError, match="none of 3 traces could be read"):
        ran(archive, tmp_path / "out")
