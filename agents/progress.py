"""The line that says how a training is going."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar


class Progress:
    """A bar with speed, recent figures and time left; silent if not enabled."""

    def __init__(self, enabled: bool, folder: Path, total: int, done: int) -> None:
        self._console = Console(stderr=True, quiet=not enabled)
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not enabled,
        )
        self._task = self._bar.add_task("", total=total, completed=done, figures="")
        self._folder, self._done = folder, done

    def __enter__(self) -> "Progress":
        at = f", resumed at step {self._done:,}" if self._done else ""
        self.say(f"Training in {self._folder}{at}. Curves: tensorboard --logdir {self._folder}")
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, phase: str, step: int, rate: float, figures: Mapping[str, float]) -> None:
        """Renew the line."""
        words = [f"{rate:,.0f}/s", *(f"{name} {value:.4g}" for name, value in list(figures.items())[:2])]
        self._bar.update(self._task, description=phase, completed=step, figures="  ".join(words))

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text, highlight=False, soft_wrap=True)
