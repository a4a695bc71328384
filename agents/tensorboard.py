"""Curves of a run, where TensorBoard finds them: a folder for the agent, one for each opponent.

Tags: `eval/` figures on held-out instances, `rollout/` what training episodes earn, `train/` losses, entropy, KL
of SB3, `loss/` of other phases, `time/` speed, `data/` pictures. TensorBoard draws the same tag of several
folders in one chart, so opponents write the agent's `eval/` tags: they are the lines to beat.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stable_baselines3.common.logger import Figure, HParam, Logger, TensorBoardOutputFormat
from torch.utils.tensorboard import SummaryWriter


class Curves:
    """Writes the curves of one run. After a resume, events behind `last_step` are dropped when read back."""

    def __init__(self, folder: Path, agent: str, last_step: int | None = None) -> None:
        self.folder, self.agent = folder, agent
        self._purge_step = None if last_step is None else last_step + 1
        output = _Output(str(folder / agent), self._purge_step)
        self.logger = Logger(str(folder), [output])
        self._writer = output.writer
        self._opponents: dict[str, SummaryWriter] = {}

    def record(self, group: str, figures: Mapping[str, float]) -> None:
        """Put figures under `group/`; `flush` writes them."""
        for name, value in figures.items():
            self.logger.record(f"{group}/{name}", value)

    def flush(self, step: int) -> None:
        """Write what was recorded since the last time."""
        self.logger.dump(step)

    def opponent(self, name: str, figures: Mapping[str, float], step: int) -> None:
        """A point of an opponent's line in the charts `eval/`."""
        if name == self.agent:
            raise ValueError(f"Expected the opponent to have another name than the agent, got {name!r}.")
        if name not in self._opponents:
            self._opponents[name] = SummaryWriter(str(self.folder / name), purge_step=self._purge_step)
        writer = self._opponents[name]
        for figure, value in figures.items():
            writer.add_scalar(f"eval/{figure}", value, step)
        writer.flush()

    def figure(self, tag: str, figure: Any) -> None:
        """A matplotlib Figure, written by the next `flush`."""
        self.logger.record(tag, Figure(figure, close=True))

    def text(self, tag: str, text: str) -> None:
        """Preformatted text."""
        self._writer.add_text(tag, "\n".join(f"    {line}" for line in text.splitlines()), 0)

    def hparams(self, config: Mapping[str, Any], tags: Iterable[str]) -> None:
        """The run's row in the table of hyper-parameters, beside the last values of these curves."""
        flat = {key: _number_or_text(value) for key, value in flatten(config)}
        self.logger.record("hparams", HParam(flat, dict.fromkeys(tags, 0.0)))  # of metrics only the tags are written

    def close(self) -> None:
        self.logger.close()
        for writer in self._opponents.values():
            writer.close()


class _Output(TensorBoardOutputFormat):
    """SB3's output, able to purge."""

    def __init__(self, folder: str, purge_step: int | None) -> None:
        self.writer = SummaryWriter(log_dir=folder, purge_step=purge_step)
        self._is_closed = False


def _number_or_text(value: Any) -> float | str:
    """An entry for the table of hyper-parameters, which has no word for truth values and lists."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    return value if isinstance(value, str) else json.dumps(value)


def flatten(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Entries of nested dictionaries under dotted keys, those that are None left out."""
    flat: list[tuple[str, Any]] = []
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat += flatten(value, f"{prefix}{key}.")
        elif value is not None:
            flat.append((f"{prefix}{key}", value))
    return flat
