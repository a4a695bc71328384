"""Many traces in a folder or an object store: which are there, and how does each policy fare on each?

One trace at a time is looked at; one that lies elsewhere is fetched as a temporary file. Any URL that fsspec knows
will do (s3://, gs://, abfs://, file://, a path); some want a package of theirs, such as s3fs.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import fsspec
import numpy as np

from allocenv.core.files import one_line
from allocenv.core.pool import Task, Work
from allocenv.problems.storage.evaluation import WARM, judged, warm_up
from allocenv.problems.storage.generator import PRESETS, generate
from allocenv.problems.storage.rules import System
from allocenv.problems.storage.simulation import Summary
from allocenv.problems.storage.trace_commands import Input

LOCAL = ("file", "local")  # protocols of this machine's own files
NO_TRACES = (".md", ".txt.asc", ".sha256")  # what else lies in archives; hidden files are passed over, too


class Stored(NamedTuple):
    """One file of an archive."""

    name: str  # its path below the archive
    path: str  # as the file system knows it
    version: str  # another one where the file changes

    @property
    def task(self) -> Task:
        return f"{self.version} {self.path}"


def listed(url: str) -> list[Stored]:
    """The files below a URL, or those that its `*` stand for, in order of their names.

    Raises:
        ValueError: no such file system, or no file there.
    """
    system, root = _file_system(url)
    try:
        paths = system.glob(root) if "*" in root else system.find(root)
        names = {path: _below(root, path) for path in sorted(paths) if system.isfile(path)}
        shown = [path for path, name in names.items() if "/." not in f"/{name}" and not name.endswith(NO_TRACES)]
        found = [Stored(names[path], path, system.ukey(path)[:16]) for path in shown]
    except OSError as error:
        raise ValueError(f"--archive: {one_line(url)}: {one_line(str(error))}") from None
    if not found:
        raise ValueError(f"--archive: expected trace files in {one_line(url)}, found none.")
    return found


@contextmanager
def fetched(url: str, path: str) -> Iterator[Path]:
    """A file of an archive as a file of this machine, as long as the context lasts. Raises OSError."""
    system, _ = _file_system(url)
    if set(LOCAL) & {system.protocol, *system.protocol}:
        yield Path(path)
        return
    with TemporaryDirectory(prefix="allocenv-trace-") as folder:
        copy = Path(folder, PurePosixPath(path).name)
        system.get_file(path, str(copy))
        yield copy


@dataclass(frozen=True)
class ArchiveJob:
    """The policies on any trace of an archive. A trace that cannot be read is told, not raised."""

    url: str
    read: Input  # how each is read; its name is left open
    system: System
    policies: tuple[str, ...]
    seeds: int
    part: str

    def prepare(self) -> Work:
        """Compile."""
        short = generate(PRESETS["hm_1"].with_requests(2 * WARM), np.random.default_rng(0))
        warm_up(short, replace(self.system, loop="closed"), self.policies)
        return self._evaluated

    def _evaluated(self, task: Task) -> dict[str, Any]:
        """`runs`, with what was read of the trace; or the `error`."""
        path = task.partition(" ")[2]
        try:
            with fetched(self.url, path) as file:
                read = replace(self.read, name=str(file)).read()
            judge = partial(judged, read.trace, self.system, part=self.part)
            runs = [
                {"policy": name, "seed": seed, **_plain(judge(name, seed).summary)}
                for name in self.policies
                for seed in range(self.seeds)
            ]
        except (ValueError, OSError) as error:
            return {"error": one_line(str(error))}
        requests, pages = len(read.trace), read.trace.n_pages
        return {"format": read.format, "requests": requests, "pages": pages, "left_out": read.skipped, "runs": runs}


def _plain(summary: Summary) -> dict[str, Any]:
    """As JSON gives it back."""
    values = summary._asdict()
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _file_system(url: str) -> tuple[Any, str]:
    """Raises ValueError."""
    try:
        system, root = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise ValueError(f"--archive: {one_line(url)}: {one_line(str(error))}") from None
    return system, str(root)


def _below(root: str, path: str) -> str:
    """The path from the last folder on that the root names."""
    folder = PurePosixPath(root.partition("*")[0] + "x").parent if "*" in root else PurePosixPath(root)
    inside = PurePosixPath(path)
    return str(inside.relative_to(folder)) if folder != inside and folder in inside.parents else inside.name


def runs_of(results: Sequence[dict[str, Any]], policy: str, figure: str = "normalised") -> np.ndarray:
    """[traces] mean over seeds of a policy's figure on each trace."""
    per_trace = [[run[figure] for run in result["runs"] if run["policy"] == policy] for result in results]
    return np.array([np.mean(values) for values in per_trace])
