"""What is finished of a long run, kept in files, so that a killed run goes on where it was.

    FOLDER/<key>/<tasks>.json      some tasks and what came of them; written whole or not at all, never changed

The key stands for everything that decides what comes of the tasks: files of other settings lie beside it and are
left alone.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

from allocenv.core.files import one_line, write_atomically
from allocenv.core.pool import Pool, Task, finished

FORMAT = "allocenv-shard-1"
SHARDS = "shards"  # the folder below that of the results


class Kept:
    """The shards of one run. `tell` hears of those that are damaged: their work is done again."""

    def __init__(self, folder: Path, key: str, tell: Callable[[str], None]) -> None:
        self.folder, self.key, self.tell = folder / key, key, tell

    def read(self) -> dict[Task, Any]:
        """Finished tasks and what came of them."""
        found: dict[Task, Any] = {}
        for file in sorted(self.folder.glob("*.json")):
            try:
                found.update(self._results(file))
            except (ValueError, OSError) as error:
                self.tell(f"{file} is left out, its work is done again: {one_line(str(error))}.")
        return found

    def write(self, results: Mapping[Task, Any]) -> None:
        """Keep what came of some tasks."""
        text = json.dumps(results)
        document = {"format": FORMAT, "key": self.key, "sum": _digest(text), "results": results}
        write_atomically(self.folder / f"{_digest(json.dumps(list(results)))}.json", json.dumps(document) + "\n")

    def remove(self) -> None:
        """All of it: the run is over and its results are written."""
        for file in self.folder.glob("*"):  # also what a kill left half written
            file.unlink()
        for folder in (self.folder, self.folder.parent):
            with suppress(OSError):  # not there, or somebody else's files are in it
                folder.rmdir()

    def _results(self, file: Path) -> dict[Task, Any]:
        """Raises ValueError."""
        document = json.loads(file.read_text(encoding="utf-8"))
        results = document.get("results") if isinstance(document, dict) else None
        if not isinstance(results, dict) or document.get("format") != FORMAT:
            raise ValueError(f"expected a shard of format {FORMAT!r}")
        if document.get("key") != self.key:
            raise ValueError(f"key: found {document.get('key')!r}, expected {self.key!r}")
        if document.get("sum") != _digest(json.dumps(results)):
            raise ValueError("its check sum is not that of its results")
        return results


def resumed(
    pool: Pool, tasks: Sequence[Task], kept: Kept | None, worth: Callable[[Any], bool] = lambda value: True
) -> Iterator[dict[Task, Any]]:
    """What came of all tasks: first what is kept of an earlier run, then what is done now as it ends, and kept.

    `worth`: whether something is worth keeping, or is tried again by the next run.
    """
    before = {} if kept is None else kept.read()
    before = {task: before[task] for task in tasks if task in before}
    if kept is not None and before:
        kept.tell(f"Done before, in {kept.folder}: {len(before)} of {len(tasks)}.")
        yield before
    for results in finished(pool, [task for task in tasks if task not in before]):
        lasting = {task: value for task, value in results.items() if worth(value)}
        if kept is not None and lasting:
            kept.write(lasting)
        yield results


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=8).hexdigest()
