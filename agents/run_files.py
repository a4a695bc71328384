"""What of a run folder has to be sent so that its agent acts elsewhere: config, manifest and the best weights."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory


def run_folder(run: str | Path) -> Path:
    """The folder of a run. Raises ValueError where it is none."""
    if not (Path(run) / "config.toml").is_file():
        raise ValueError(f"--agent: expected a run folder with a config.toml, got {str(run)!r}.")
    return Path(run)


@dataclass(frozen=True)
class RunFiles:
    """A run folder small enough to be sent: without curves, optimiser and experience."""

    name: str  # of the folder
    files: tuple[tuple[str, bytes], ...]  # path within it, content

    @classmethod
    def of(cls, run: str | Path) -> "RunFiles":
        """Of a run folder. Raises ValueError."""
        from allocenv.agents.checkpoint import Checkpoints, read_checkpoint, read_header  # torch takes seconds to load
        from allocenv.agents.train import find_checkpoint

        folder = run_folder(run)
        checkpoint = find_checkpoint(folder, "best")
        with TemporaryDirectory() as temporary:
            copy = Path(temporary)
            tree = {"weights": read_checkpoint(checkpoint, "weights")}
            Checkpoints(copy / "checkpoints").save(read_header(checkpoint), tree, best=True)
            found = {str(path.relative_to(copy)): path.read_bytes() for path in copy.rglob("*") if path.is_file()}
        found["config.toml"] = (folder / "config.toml").read_bytes()
        return cls(folder.name, tuple(sorted(found.items())))

    def unpack(self, parent: Path) -> Path:
        """Write it as a folder of its name; returns that."""
        for path, content in self.files:
            file = parent / self.name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        return parent / self.name
