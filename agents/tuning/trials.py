"""What a search has tried: one config a trial, one run folder a trial; the table, the picture, the best config."""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from rich.table import Table

from allocenv.agents.config import ConfigError, RunConfig
from allocenv.agents.train import SCORE, RunResult
from allocenv.core.console import report_console
from allocenv.core.files import read_text, write_atomically

FILE, PICTURE, BEST = "trials.csv", "trials.png", "best.toml"
COMPLETE, PRUNED, FAILED, RUNNING = "complete", "pruned", "failed", "running"
_FIXED = ("trial", "state", "objective", "step")


@dataclass(frozen=True)
class Trial:
    """One config that was tried."""

    name: str  # of its run folder
    state: str
    objective: float | None  # the lowest of its evaluations
    step: int | None  # of the last of them
    values: Mapping[str, Any]  # dotted key -> what it was set to


def trial_config(config: RunConfig, name: str, values: Mapping[str, Any]) -> RunConfig:
    """The config with these entries, under another name. Raises ConfigError where they do not go together."""
    tables = config.to_dict() | {"name": name}
    for key, value in values.items():
        table, _, entry = key.partition(".")
        tables[table][entry] = value
    return RunConfig.from_dict(tables, name)


def expect_same_search(folder: Path, config: RunConfig, engine: str) -> None:
    """Note in the folder what is searched and where. Raises ConfigError where it holds another search."""
    search = {key: asdict(values) for key, values in config.search.items()}
    now = json.dumps({"engine": engine, "config": config.to_dict(), "search": search}, indent=1, default=str)
    file = folder / "search.json"
    if not file.is_file():
        write_atomically(file, now)
    elif read_text(file) != now:
        raise ConfigError(str(file), "config", config.name, "the search there, on its engine (else another --out)")


def lowest(result: RunResult) -> float:
    """The objective of a run: the lowest of its evaluations."""
    entries = json.loads(read_text(result.folder / "results.json"))["evaluations"]
    return min(float(entry[SCORE]) for entry in entries)


def best_of(trials: Iterable[Trial]) -> Trial | None:
    """The whole run with the lowest objective; the first of equals."""
    whole = [trial for trial in trials if trial.state == COMPLETE and trial.objective is not None]
    return min(whole, key=lambda trial: trial.objective or 0.0, default=None)


def write_trials(folder: Path, config: RunConfig, trials: Sequence[Trial]) -> None:
    """Write the table, the picture, and the best config, if there is one, as a file that `train` accepts."""
    keys = list(config.search)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_FIXED, *keys])
    for trial in trials:
        row = asdict(trial)
        writer.writerow([trial.name, *(_text(row[name]) for name in _FIXED[1:]), *map(_text, _of(trial, keys))])
    write_atomically(folder / FILE, text.getvalue())
    write_atomically(folder / PICTURE, _picture(trials, keys))
    best = best_of(trials)
    if best is not None:
        write_atomically(folder / BEST, trial_config(config, f"{config.name}-best", best.values).to_toml())


def read_trials(folder: Path) -> tuple[list[str], list[list[str]]]:
    """The table of a search: its head and its rows, as text."""
    head, *rows = csv.reader(io.StringIO(read_text(folder / FILE)))
    return head, rows


def print_trials(config: RunConfig, trials: Sequence[Trial]) -> None:
    """The table in the terminal, the best first."""
    keys = list(config.search)
    table = Table(*_FIXED, *keys)
    for trial in sorted(trials, key=lambda t: math.inf if t.objective is None else t.objective):
        objective = "" if trial.objective is None else f"{trial.objective:.5g}"
        table.add_row(trial.name, trial.state, objective, _text(trial.step), *map(_text, _of(trial, keys)))
    report_console().print(table)


def _of(trial: Trial, keys: Iterable[str]) -> list[Any]:
    return [trial.values.get(key) for key in keys]


def _text(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _picture(trials: Sequence[Trial], keys: Sequence[str]) -> bytes:
    """The objective against each of the values; given-up trials as crosses."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3 * max(len(keys), 1), 3), layout="constrained")
    for axes, key in zip(figure.subplots(1, max(len(keys), 1), squeeze=False, sharey=True)[0], keys, strict=False):
        for state, mark in ((COMPLETE, "o"), (PRUNED, "x")):
            shown = [t for t in trials if t.state == state and t.objective is not None]
            values = [t.values[key] for t in shown]
            words = any(not isinstance(t.values.get(key), int | float) for t in trials)
            axes.scatter([str(v) if words else v for v in values], [t.objective for t in shown], marker=mark)
        axes.set_xlabel(key)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("held-out objective")
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
