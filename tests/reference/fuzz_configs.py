"""Broken training configs: valid ones with one or two entries changed, as TOML text or as nested tables."""

import random
from copy import deepcopy
from datetime import date
from typing import Any

_VALID: list[dict[str, Any]] = [
    {
        "problem": "vm",
        "agent": "ppo",
        "name": "small",
        "seed": 3,
        "params": {"n_pms": 5, "max_moves": 4, "goal": 0.1, "objective": "cpu:16", "move_price": 0.5},
        "train": {"total_steps": 1000, "n_envs": 2, "learning_rate": 1e-3, "learning_rate_decay": True},
        "agent_params": {"n_steps": 8, "target_kl": 0.1, "normalize_advantage": False},
    },
    {
        "problem": "vm",
        "agent": "two_stage",
        "params": {"source": "crowded"},
        "train": {"eval_every": 10, "device": "cpu", "figures": False},
        "agent_params": {"lessons": [{}, {"n_pms": 3, "objective": "cpu:8"}], "width": 16, "gamma": 1.0},
    },
]
_JUNK: list[Any] = [
    None, True, False, 0, 1, -1, 3, 2**31, 2**63, 10**30, 10**400, 1.5, -0.5, 1e300, 1e-300,
    float("nan"), float("inf"), -float("inf"), "", " ", "x", "cpu:16", "ppo", "vm", "../up", "a\nb", "\x00", "é",
    [], [1], ["x"], [[]], [{}], [{"n_pms": -1}], {}, {"a": 1}, {"": {}}, date(2024, 1, 2), "9" * 5000,
]  # fmt: skip
_WORDS = ["", "x", "a.b", "n_pm", "total_steps", "objective", "a\nb", "\x7f", "é", "x" * 1000]


def mutated_config(rng: random.Random) -> dict[str, Any] | bytes:
    """A nested dictionary, or the bytes of a TOML file."""
    values = deepcopy(rng.choice(_VALID))
    for _ in range(rng.choice([0, 1, 1, 1, 2])):
        _change(values, rng)
    if rng.random() < 0.3:
        return values
    text = "\n".join(_lines(values))
    data = text.encode()
    draw = rng.random()
    at = rng.randrange(len(data) + 1)
    if draw < 0.1:
        return data[:at]
    if draw < 0.2:
        noise = [
            b"\x00",
            b"\xff",
            b'"',
            b"[",
            b"]",
            b"=",
            b"\n",
            b"[[",
            b"{",
            b"\xef\xbb\xbf",
            b"[" * 5000,
            b"9" * 5000,
        ]
        return data[:at] + rng.choice(noise) + data[at:]
    return data


def _change(values: dict[str, Any], rng: random.Random) -> None:
    holder: Any = values
    while True:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key = rng.choice(keys) if keys else None
        if key is None or not (isinstance(holder[key], dict | list) and holder[key] and rng.random() < 0.7):
            break
        holder = holder[key]
    draw = rng.random()
    if key is None or (draw < 0.15 and isinstance(holder, dict)):
        if isinstance(holder, dict):
            holder[rng.choice(_WORDS)] = deepcopy(rng.choice(_JUNK))
    elif draw < 0.3:
        del holder[key]
    elif draw < 0.4 and isinstance(holder, dict):
        holder[rng.choice([*_WORDS, f"{key}s", str(key)[:-1]])] = holder.pop(key)
    elif draw < 0.5 and isinstance(holder[key], int | float):
        holder[key] = rng.choice([-holder[key], holder[key] * 10**6, float(holder[key]), str(holder[key])])
    else:
        holder[key] = deepcopy(rng.choice(_JUNK))


def _lines(values: dict[str, Any]) -> list[str]:
    """TOML, by way of inline tables: whatever is nested in the top level."""
    return [f"{_key(key)} = {_toml(value)}" for key, value in values.items() if value is not None]


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)} = {_toml(v)}" for k, v in value.items() if v is not None) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(v) for v in value if v is not None) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return _key(value) if isinstance(value, str) else str(value)


def _key(text: str) -> str:
    escaped = "".join(c if c.isprintable() and c not in '"\\' else f"\\u{ord(c):04x}" for c in text)
    return f'"{escaped}"'
