"""How trainings of scorers are kept, and how weights with their cards are written and read. No pickle anywhere.

A state is one safetensors file: the arrays of the learner, and JSON of the rest in its metadata.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from allocenv.agents.checkpoint import CheckpointError
from allocenv.agents.constructive.config import ConstructiveConfig
from allocenv.agents.constructive.training import Learner, Validation
from allocenv.core.arrays import Array
from allocenv.core.construction import Scorer
from allocenv.core.files import read_text, write_atomically
from allocenv.core.provenance import provenance

AGENT = "constructive"  # in cards
# what a resumed training may change: nothing learns from it
_FREE = ("checkpoint_every", "validation", "temperatures", "benchmark")
_ARRAYS = ("weights", "first", "second")


def save_state(learner: Learner, path: Path) -> None:
    """Write a training as it stands, whole or not at all."""
    about = {"config": learner.config.to_dict(), "done": learner.done, "history": learner.history}
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: getattr(learner, name) for name in _ARRAYS}
    write_atomically(path, save(arrays, {"learner": json.dumps(about)}))


def load_state(config: ConstructiveConfig, path: Path) -> Learner:
    """Go on with a training.

    Raises:
        CheckpointError: a broken file, or the training of another config.
    """
    arrays, metadata = _read(path, _ARRAYS)
    try:
        about = json.loads(metadata["learner"])
        done, history, then = int(about["done"]), list(about["history"]), dict(about["config"])
    except (KeyError, TypeError, ValueError) as problem:
        raise CheckpointError(path, "metadata", str(problem), "the state of a training") from None
    now = json.loads(json.dumps(config.to_dict()))
    for key, value in now.items():
        if key not in _FREE and then.get(key) != value:
            expected = f"{value!r} as in the config; another --out begins anew"
            raise CheckpointError(path, key, then.get(key), expected)
    expected_size = config.make().n_weights(config.n_hidden)
    for name in _ARRAYS:
        _expect_weights(path, name, arrays[name], expected_size)
    return Learner(config, arrays["weights"], arrays["first"], arrays["second"], done, history)


def ship(learner: Learner, validation: Validation, name: str, folder: Path, more: dict[str, Any]) -> Path:
    """Write `<name>.safetensors` and its card `<name>.json`; `more` goes into the card."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.safetensors"
    write_atomically(path, save({"weights": learner.weights}))
    card = {
        "agent": AGENT,
        "seed": learner.config.seed,
        **more,
        "config": json.loads(json.dumps(learner.config.to_dict())),
        "trained_with": provenance(),
        "n_hidden": learner.config.n_hidden,
        "temperature": validation.temperature,
        "held_out": validation.to_dict(),
        "parameters": learner.weights.size,
    }
    write_atomically(folder / f"{name}.json", json.dumps(card, indent=1) + "\n")
    return path


def load_card(path: Path) -> dict[str, Any]:
    """The card of shipped weights, `<name>.json` beside `<name>.safetensors`. Raises CheckpointError."""
    file = path.with_suffix(".json")
    try:
        card = json.loads(read_text(file))
    except ValueError as problem:
        raise CheckpointError(file, "the card", str(problem), "JSON") from None
    if not isinstance(card, dict) or card.get("agent") != AGENT:
        found = card.get("agent") if isinstance(card, dict) else type(card).__name__
        raise CheckpointError(file, "agent", found, repr(AGENT))
    return card


def load_config(path: Path) -> ConstructiveConfig:
    """What shipped weights were trained by. Raises CheckpointError."""
    file, card = path.with_suffix(".json"), load_card(path)
    try:
        return ConstructiveConfig.from_dict(card["config"], str(file))
    except (KeyError, TypeError, AttributeError) as problem:
        raise CheckpointError(file, "config", str(problem), "the config of a training") from None


def load_scorer(path: Path) -> Scorer:
    """Shipped weights with what it takes to use them.

    Raises:
        CheckpointError: no such weights, not those of a scorer, or not as many as its card says.
    """
    card, (arrays, _) = load_card(path), _read(path, ("weights",))
    config, temperature = load_config(path), card.get("temperature")
    if type(temperature) is not float or not 0 < temperature <= 1e3:
        raise CheckpointError(path.with_suffix(".json"), "temperature", temperature, "a number above 0")
    _expect_weights(path, "weights", arrays["weights"], config.make().n_weights(config.n_hidden))
    return Scorer(arrays["weights"], config.n_hidden, temperature)


def _expect_weights(path: Path, name: str, found: Array, size: int) -> None:
    if found.dtype != np.float64 or found.shape != (size,):
        raise CheckpointError(path, name, f"{found.dtype} {list(found.shape)}", f"float64 [{size}]")
    if not np.isfinite(found).all():
        raise CheckpointError(path, name, "values that are not finite", "finite weights")


def _read(path: Path, names: tuple[str, ...]) -> tuple[dict[str, Array], dict[str, str]]:
    """The named arrays and the metadata. Raises CheckpointError."""
    if not path.is_file():
        raise CheckpointError(path, "the file", None, "to exist")
    try:
        with safe_open(path, framework="numpy") as file:
            missing = [name for name in names if name not in file.keys()]  # noqa: SIM118 - no mapping
            if missing:
                raise CheckpointError(path, "arrays", sorted(file.keys()), f"one called {missing[0]!r}")
            return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})
    except SafetensorError as problem:
        raise CheckpointError(path, "the file", str(problem), "whole safetensors") from None
