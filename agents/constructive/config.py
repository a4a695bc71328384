"""What a training of a scorer is made of: a TOML file, read into a frozen dataclass and checked key by key.

construction = "allocenv.problems.task.gap.construction:GAPConstruction"
n_hidden = 16
[params]  # fields of the construction
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from allocenv.agents.config import MAX_COUNT, MAX_SEED, ConfigError, in_range
from allocenv.agents.toml import tomllib
from allocenv.core.construction import Construction, Scorer
from allocenv.core.files import read_text


@dataclass(frozen=True)
class ConstructiveConfig:
    """One training; the same config on the same versions gives the same weights."""

    construction: str  # module:class
    params: Mapping[str, Any] = field(default_factory=dict)  # of the construction
    seed: int = 0
    n_hidden: int = 16
    updates: int = 200
    instances: int = 8  # made up anew for each update
    samples: int = 64  # solutions drawn of each
    elite: float = 0.1  # share of the samples that count as good
    mean_share: float = 0.5  # how much the mean of all samples counts, beside the elite
    learning_rate: float = 0.02  # of Adam, falls linearly
    checkpoint_every: int = 50  # updates
    validation: int = 64  # held-out instances
    temperatures: tuple[float, ...] = (0.7, 1.0, 1.4, 2.0)  # of which validation chooses one
    benchmark: str = ""  # module:function of a scorer -> its figures on given instances, by name; for cards only

    def __post_init__(self) -> None:
        in_range(self, "seed", 0, MAX_SEED)
        in_range(self, "n_hidden", 0, 1024)
        for name in ("updates", "instances", "checkpoint_every", "validation"):
            in_range(self, name, 1, MAX_COUNT)
        in_range(self, "samples", 2, 2**16)
        in_range(self, "learning_rate", 1e-30, 1e3)
        in_range(self, "elite", 1e-6, 1.0)
        in_range(self, "mean_share", 0.0, 1.0)
        if not self.temperatures or any(not 0 < t <= 1e3 for t in self.temperatures):
            raise ValueError(f"Expected temperatures above 0, got {self.temperatures}.")

    @classmethod
    def load(cls, path: str | Path, **changes: Any) -> "ConstructiveConfig":
        """Read a TOML file; keyword arguments go before what it says. Raises InputError."""
        text = read_text(path)
        try:
            values = tomllib.loads(text)
        except (ValueError, RecursionError) as problem:
            raise ConfigError(str(path), "the file", str(problem), "TOML") from None
        return cls.from_dict({**values, **changes}, str(path))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str = "config") -> "ConstructiveConfig":
        """Check a dictionary. Raises ConfigError, which names `source`."""
        fields = {f.name: f for f in dataclasses.fields(cls)}
        for key in values:
            if key not in fields:
                raise ConfigError(source, key, values[key], f"one of the keys {', '.join(fields)}")
        if "construction" not in values:
            raise ConfigError(source, "construction", None, "module:class")
        checked = {key: _converted(value, fields[key].type, source, key) for key, value in values.items()}
        try:
            config = cls(**checked)
            config.make()
            if config.benchmark:
                _named(config.benchmark)
        except (TypeError, ValueError, ImportError, AttributeError) as problem:
            raise ConfigError(source, "the file", str(problem), "values that fit together") from None
        return config

    def make(self) -> Construction:
        """The construction with its parameters."""
        return cast(Construction, _named(self.construction)(**self.params))

    def figures(self, scorer: Scorer) -> dict[str, float]:
        """What the scorer reaches on the given instances; none where no benchmark is named or its data is not here."""
        try:
            return cast(dict[str, float], _named(self.benchmark)(scorer)) if self.benchmark else {}
        except FileNotFoundError:
            return {}

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def _named(what: str) -> Any:
    """What `module:name` stands for."""
    module, _, name = what.partition(":")
    return getattr(import_module(module), name)


def _converted(value: Any, kind: Any, source: str, key: str) -> Any:
    """The value as the field's type. Raises ConfigError."""
    if kind is float and type(value) in (int, float):
        return float(value)
    if kind in (int, str) and type(value) is kind:
        return value
    if key == "params" and isinstance(value, Mapping):
        return dict(value)
    if key == "temperatures" and isinstance(value, list | tuple):
        return tuple(_converted(each, float, source, key) for each in value)
    raise ConfigError(source, key, value, getattr(kind, "__name__", str(kind)))
