"""Weights shipped with the library, each with a card that says how they were made and what they reach."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from allocenv.agents.two_stage.network import TwoStageNetwork

FOLDER = Path(__file__).parent


def cards() -> dict[str, dict[str, Any]]:
    """Name -> card of everything shipped."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def stored_names(weights: Mapping[str, Any]) -> dict[str, str]:
    """Name of a tensor -> the first name of the same memory, under which alone it is stored."""
    first: dict[int, str] = {}
    return {name: first.setdefault(tensor.data_ptr(), name) for name, tensor in weights.items()}


def two_stage_network(problem: str) -> "TwoStageNetwork":
    """The shipped two-stage network of a problem.

    Raises:
        ValueError: none is shipped.
    """
    from safetensors.torch import load_file  # torch takes seconds to load: only where it is needed

    from allocenv.agents.two_stage.network import TwoStageNetwork, Widths

    card = cards().get(f"{problem}_two_stage")
    if card is None:
        raise ValueError(f"Expected a problem with shipped weights ({', '.join(cards())}), got {problem!r}.")
    network = TwoStageNetwork(Widths(**card["widths"]), card["width"], card["n_queries"])
    network.load_state_dict(load_file(FOLDER / f"{problem}_two_stage.safetensors"))
    return network.eval()
