"""What a search may set an entry of a config to.

[search]
"train.learning_rate" = { low = 1e-5, high = 1e-3, log = true }
"agent_params.n_epochs" = { low = 1, high = 8, step = 1 }
"agent_params.batch_size" = { choices = [64, 128, 256] }
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Number = int | float
Scalar = bool | int | float | str
_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "low": ((int, float), "a number"),
    "high": ((int, float), "a number"),
    "step": ((int, float), "a number"),
    "log": ((bool,), "true or false"),
    "choices": ((list, tuple), "a list"),
}


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, whole ones where both are whole, in steps or by their logarithm; or `choices`."""

    low: Number | None = None
    high: Number | None = None
    step: Number | None = None
    log: bool = False
    choices: tuple[Scalar, ...] = ()

    def __post_init__(self) -> None:
        if self.choices:
            if (self.low, self.high, self.step, self.log) != (None, None, None, False):
                raise ValueError("either choices, or low and high")
            if len(set(map(repr, self.choices))) < len(self.choices):
                raise ValueError("choices that differ")
            return
        if self.low is None or self.high is None:
            raise ValueError("low and high, or choices")
        if not -float("inf") < self.low < self.high < float("inf"):
            raise ValueError("finite numbers low < high")
        if self.step is not None and not 0 < self.step <= self.high - self.low:
            raise ValueError("a step above 0, up to high - low")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("low above 0 and no step where log = true")

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return not self.choices and all(isinstance(x, int) for x in (self.low, self.high, self.step or 1))

    @property
    def ends(self) -> tuple[Scalar, ...]:
        """What must be valid for the range to be."""
        if self.choices or self.low is None or self.high is None:
            return self.choices
        return (self.low, self.high)

    def suggest(self, trial: Any, key: str) -> Any:
        """What an Optuna trial sets the key to."""
        if self.choices:
            return trial.suggest_categorical(key, self.choices)
        if self.whole:
            return trial.suggest_int(key, self.low, self.high, step=self.step or 1, log=self.log)
        return trial.suggest_float(key, self.low, self.high, step=self.step, log=self.log)


def read_range(value: Any) -> Range:
    """A range as a config states it. Raises ValueError, which says what was expected."""
    if not isinstance(value, Mapping):
        raise ValueError("a table with low and high, or choices")
    for name, entry in value.items():
        if name not in _KINDS:
            raise ValueError(f"the keys {', '.join(_KINDS)}, not {name!r}")
        kinds, expected = _KINDS[name]
        if not isinstance(entry, kinds) or (isinstance(entry, bool) and name != "log"):
            raise ValueError(f"{name} to be {expected}")
    choices = tuple(value.get("choices", ()))
    if "choices" in value and (not choices or not all(isinstance(x, Scalar) for x in choices)):
        raise ValueError("choices to be a list of numbers, texts or truth values")
    entries: dict[str, Any] = {**value, "choices": choices}
    return Range(**entries)
