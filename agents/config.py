"""What a training run is made of: a TOML file, read into frozen dataclasses and checked key by key.

    problem = "vm"
    agent = "ppo"
    [params]        # fields of the problem
    [train]         # fields of TrainConfig
    [agent_params]  # fields of the agent's own Params

A file states what differs from the defaults; `RunConfig.to_toml` writes out everything.
"""

import dataclasses
import difflib
import json
import re
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from allocenv.agents import AGENTS, agent_class
from allocenv.agents.toml import tomllib
from allocenv.core.files import InputError, read_text
from allocenv.core.problem import Problem
from allocenv.problems import PROBLEMS

MAX_SEED = 499_999  # instances that are judged on begin at 500,000 (`instance_sets`, `HELD_OUT_SEED`)
MAX_COUNT = 2**53  # of steps; larger ones are slips
MAX_ENVS, MAX_THREADS = 2**16, 2**10
_FOLDER_NAME = re.compile(r"[A-Za-z0-9_][\w.-]{0,199}")
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:[0-9]{1,3})?")


class ConfigError(InputError):
    """A wrong entry: names the file, the key, what was found and what was expected."""


@dataclass(frozen=True)
class TrainConfig:
    """How long and on what an agent learns. Counts of steps are environment steps, all instances together."""

    total_steps: int = 1_000_000
    n_envs: int = 16
    learning_rate: float = 3e-4
    learning_rate_decay: bool = False  # linearly to zero at total_steps
    checkpoint_every: int = 50_000
    keep_checkpoints: int = 3
    eval_every: int = 50_000
    figures: bool = True  # a picture of a solved instance at every evaluation
    device: str = "cpu"
    num_threads: int = 1  # of torch; two on shared cores make SB3's PPO 20 to 40 times slower
    env_threads: int = 1

    def __post_init__(self) -> None:
        for name in ("total_steps", "checkpoint_every", "keep_checkpoints", "eval_every"):
            in_range(self, name, 1, MAX_COUNT)
        in_range(self, "n_envs", 1, MAX_ENVS)
        in_range(self, "num_threads", 1, MAX_THREADS)
        in_range(self, "env_threads", 1, MAX_THREADS)
        in_range(self, "learning_rate", 1e-30, 1e3)
        if not _DEVICE.fullmatch(self.device):
            raise ValueError(f"Expected a device such as cpu, cuda, cuda:0 or auto, got {self.device!r}.")


@dataclass(frozen=True)
class RunConfig:
    """One training run, whole: the same config on the same versions gives the same weights."""

    problem: str
    agent: str
    name: str = "default"
    seed: int = 0
    params: Mapping[str, Any] = field(default_factory=dict)
    train: TrainConfig = field(default_factory=TrainConfig)
    agent_params: Any = None  # the agent's Params

    def __post_init__(self) -> None:
        if self.agent_params is None:
            object.__setattr__(self, "agent_params", agent_class(self.agent).Params())

    @classmethod
    def load(cls, path: str | Path, overrides: Iterable[str] = ()) -> "RunConfig":
        """Read a TOML file; each override is `key=value` with a dotted key. Raises InputError.

        Without a name of its own the run is called after the file and the seed.
        """
        path = Path(path)
        text = read_text(path)
        try:
            values = tomllib.loads(text)
        except RecursionError:
            raise ConfigError(str(path), "the file", "lists within lists", "less deep nesting") from None
        except ValueError as problem:
            raise ConfigError(str(path), "the file", str(problem), "TOML") from None
        for override in overrides:
            _override(values, override)
        values.setdefault("name", f"{path.stem}-seed{values.get('seed', 0)}")
        return cls.from_dict(values, str(path))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str = "config") -> "RunConfig":
        """Check a nested dictionary. Raises ConfigError, which names `source`."""
        _known_keys(values, [f.name for f in dataclasses.fields(cls)], source, "")
        problem = _choice(values, "problem", PROBLEMS, source)
        agent = _choice(values, "agent", AGENTS, source)
        checked = {
            "problem": problem,
            "agent": agent,
            "params": _read_params(PROBLEMS[problem], _table(values, "params", source), source),
            "train": _read(TrainConfig, _table(values, "train", source), source, "train"),
            "agent_params": _read(
                agent_class(agent).Params, _table(values, "agent_params", source), source, "agent_params"
            ),
        }
        for key, kind in (("name", str), ("seed", int)):
            if key in values:
                checked[key] = _convert(values[key], kind, source, key)
        if not _FOLDER_NAME.fullmatch(checked.get("name", "default")):
            raise ConfigError(source, "name", checked["name"], "letters, digits, `.`, `_`, `-`: it names a folder")
        if not 0 <= checked.get("seed", 0) <= MAX_SEED:
            raise ConfigError(source, "seed", checked["seed"], f"an integer from 0 to {MAX_SEED}")
        return cls(**checked)

    def make_problem(self) -> Problem:
        """The problem with the config's parameters."""
        return _made(self.problem, self.params, self.name)

    def for_acting(self) -> "RunConfig":
        """The same agent with as little room for experience as it can be built with: its weights fit."""
        least = {"n_steps": 2, "batch_size": 2, "buffer_size": 2}
        known = {name: value for name, value in least.items() if hasattr(self.agent_params, name)}
        return dataclasses.replace(
            self,
            train=dataclasses.replace(self.train, n_envs=1, env_threads=1),
            agent_params=dataclasses.replace(self.agent_params, **known),
        )

    def label(self, run: Path) -> str:
        """What the run in this folder is called beside other contenders."""
        return f"{self.agent}:{run.name}"

    def folder(self, root: str | Path = "runs") -> Path:
        """Where the run writes: root/problem/agent/name."""
        return Path(root) / self.problem / self.agent / self.name

    def to_dict(self) -> dict[str, Any]:
        """Every entry, defaults included, as nested plain values."""
        return {
            "problem": self.problem,
            "agent": self.agent,
            "name": self.name,
            "seed": self.seed,
            "params": dict(self.params),
            "train": dataclasses.asdict(self.train),
            "agent_params": dataclasses.asdict(self.agent_params),
        }

    def to_toml(self) -> str:
        """Every entry, defaults included, as a file that `load` reads back to an equal config."""
        return "\n".join(_toml_table(self.to_dict())) + "\n"


def read_problem(name: str, texts: Iterable[str]) -> Problem:
    """The problem with the parameters of `key=value` texts, as `--set` takes them. Raises ValueError."""
    values: dict[str, Any] = {}
    for text in texts:
        _override(values, text)
    return _made(name, _read_params(PROBLEMS.find(name), values, "--set"), "--set")


def _made(name: str, params: Mapping[str, Any], source: str) -> Problem:
    try:
        return PROBLEMS[name](**params)
    except (TypeError, ValueError) as error:
        raise ConfigError(source, "params", dict(params), f"parameters of {name} ({error})") from error


def _override(values: dict[str, Any], text: str) -> None:
    """Set one `key=value`; the value is read as TOML, else taken as a string."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError("--set", text, text, "key=value, for example train.learning_rate=1e-4")
    table = values
    *parents, last = key.strip().split(".")
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise ConfigError("--set", key, table, f"`{parent}` to be a table")
    try:
        table[last] = tomllib.loads(f"value = {value}")["value"]
    except ValueError:
        table[last] = value.strip()


def _table(values: Mapping[str, Any], key: str, source: str) -> Mapping[str, Any]:
    table = values.get(key, {})
    if not isinstance(table, Mapping):
        raise ConfigError(source, key, table, f"a table [{key}]")
    return table


def _choice(values: Mapping[str, Any], key: str, choices: Iterable[str], source: str) -> str:
    names = sorted(choices)
    found = values.get(key)
    if found not in names:
        raise ConfigError(source, key, found, f"one of {', '.join(names)}{did_you_mean(str(found), names)}")
    return str(found)


def _known_keys(values: Mapping[str, Any], names: Iterable[str], source: str, table: str) -> None:
    names = list(names)
    for key in values:
        if key not in names:
            where = f" in [{table}]" if table else ""
            expected = f"a key{where} among {', '.join(sorted(names))}{did_you_mean(key, names)}"
            raise ConfigError(source, f"{table}.{key}" if table else key, values[key], expected)


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """A hint at the nearest name, to be appended to a sentence; empty where none is near."""
    near = difflib.get_close_matches(word, list(names), 1)
    return f" (did you mean `{near[0]}`?)" if near else ""


def _read_params(kind: type[Any], values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Parameters of a problem: only those given, so that the problem's own defaults stay its own."""
    hints = get_type_hints(kind)
    _known_keys(values, [f.name for f in dataclasses.fields(kind) if f.init], source, "params")
    return {key: _convert(value, hints[key], source, f"params.{key}") for key, value in values.items()}


def _read(kind: type[Any], values: Mapping[str, Any], source: str, table: str) -> Any:
    hints = get_type_hints(kind)
    _known_keys(values, [f.name for f in dataclasses.fields(kind)], source, table)
    checked = {key: _convert(value, hints[key], source, f"{table}.{key}") for key, value in values.items()}
    try:
        return kind(**checked)
    except ValueError as error:
        raise ConfigError(source, table, dict(values), f"valid values ({error})") from None


_NAMES: dict[Any, str] = {int: "an integer", float: "a number", bool: "true or false", str: "a string"}


def _convert(value: Any, hint: Any, source: str, key: str) -> Any:
    """The value as the field's type. A type that TOML has no word for is left to the owner of the field."""
    if _fits(value, hint):
        return float(value) if hint is float else tuple(value) if get_origin(hint) is tuple else value
    if get_origin(hint) in (Union, types.UnionType):
        for part in get_args(hint):
            if _fits(value, part):
                return _convert(value, part, source, key)
    raise ConfigError(source, key, value, _describe(hint))


_PLAIN = (type(None), bool, int, float, str, list, tuple, dict, date, datetime, time)  # what TOML has words for


def _fits(value: Any, hint: Any) -> bool:
    kind = get_origin(hint) or hint
    if hint is float:
        return isinstance(value, float) or (_fits(value, int) and abs(value) <= MAX_COUNT)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is tuple:
        return isinstance(value, list | tuple) and all(_fits(v, get_args(hint)[0]) for v in value)
    if kind in (bool, str, dict, type(None)):
        return isinstance(value, kind)
    return kind not in (Union, types.UnionType) and not isinstance(value, _PLAIN)


def _describe(hint: Any) -> str:
    if hint in _NAMES:
        return _NAMES[hint]
    if get_origin(hint) is tuple:
        return f"a list, each {_describe(get_args(hint)[0])}"
    return " or ".join(_describe(part) for part in get_args(hint) if part is not type(None)) or str(hint)


def _toml_table(values: Mapping[str, Any], prefix: str = "") -> Iterable[str]:
    """Plain entries first, then the tables; None is left out (TOML has no word for it: the default is None)."""
    for key, value in values.items():
        if value is not None and not isinstance(value, Mapping):
            yield f"{_toml_key(key)} = {_toml_value(value)}"
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield f"\n[{prefix}{_toml_key(key)}]"
            yield from _toml_table(value, f"{prefix}{_toml_key(key)}.")


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else str(_toml_value(key))


def _toml_value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml_value(v) for v in value)}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_toml_key(k)} = {_toml_value(v)}' for k, v in value.items())} }}"
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, bool | int | str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    raise TypeError(f"Expected a value that TOML can hold, got {value!r}.")


def in_range(values: object, name: str, low: float, high: float) -> None:
    """Raise ValueError unless the named field is a number of the closed range."""
    found = getattr(values, name)
    if not low <= found <= high:
        raise ValueError(f"Expected {name} from {low:g} to {high:g}, got {found}.")
