"""Has it become worse? Two files of `allocenv bench`, value by value, as ratios."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from allocenv.core.files import InputError, read_text

MOVED = 1.1  # a ratio that is told, up or down


class Moved(NamedTuple):
    """A figure that is another than before."""

    bar: str
    value: str
    before: float
    now: float

    @property
    def ratio(self) -> float:
        """Now over before; inf where it was zero."""
        return self.now / self.before if self.before else math.inf


def read_bench(path: Path) -> Mapping[str, Any]:
    """A file that `allocenv bench` wrote. Raises InputError."""
    try:
        document = json.loads(read_text(path))
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(str(path), "the file", str(error), "a file of `allocenv bench`") from None
    if not isinstance(document, dict) or not isinstance(document.get("bars"), list):
        raise InputError(str(path), "bars", type(document).__name__, "a file of `allocenv bench`")
    return document


def lost(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The bars that were met and are missed."""
    met = {bar["bar"] for bar in before["bars"] if bar["passed"]}
    return [bar["bar"] for bar in now["bars"] if not bar["passed"] and bar["bar"] in met]


def moved(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Moved]:
    """The figures of both that differ by more than `MOVED`, the largest change first."""
    old = {(bar["bar"], name): value for bar in before["bars"] for name, value in _numbers(bar["values"])}
    found = [
        Moved(bar["bar"], name, old[bar["bar"], name], value)
        for bar in now["bars"]
        for name, value in _numbers(bar["values"])
        if (bar["bar"], name) in old
    ]
    return sorted((each for each in found if _change(each) > math.log(MOVED)), key=_change, reverse=True)


def regression_table(found: list[Moved]) -> Table:
    """For `rich`. Whether more is better, the bar's own words say."""
    table = Table(title="what moved by more than a tenth; times on another machine do")
    for column in ("bar", "figure", "before", "now", "ratio"):
        table.add_column(column, justify="left" if column in ("bar", "figure") else "right")
    for each in found:
        table.add_row(each.bar, each.value, f"{each.before:.4g}", f"{each.now:.4g}", f"{each.ratio:.3g}")
    return table


def _change(each: Moved) -> float:
    """How far the ratio lies from 1, either way."""
    if each.now == each.before:
        return 0.0
    return abs(math.log(each.ratio)) if each.ratio > 0 and math.isfinite(each.ratio) else math.inf


def _numbers(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Every finite number inside, by its path."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _numbers(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _numbers(inner, f"{path}[{i}]")
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        yield path, float(value)
