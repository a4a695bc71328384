"""Writing a trained two-stage network as shipped weights with a card, and reading one from a run."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from allocenv.agents.pretrained import FOLDER
from allocenv.agents.two_stage.network import TwoStageNetwork
from allocenv.core.files import write_atomically


def export_weights(network: TwoStageNetwork, name: str, card: dict[str, Any], folder: Path = FOLDER) -> Path:
    """Write `<name>.safetensors` and `<name>.json`; the card is completed by what rebuilds the network."""
    weights = {key: value.detach().to(torch.float32).contiguous() for key, value in network.state_dict().items()}
    path = folder / f"{name}.safetensors"
    write_atomically(path, save(weights))
    shape = {
        "widths": network.widths._asdict(),
        "width": network.width,
        "n_queries": network.n_queries,
        "parameters": sum(value.numel() for value in weights.values()),
    }
    write_atomically(folder / f"{name}.json", json.dumps({**card, **shape}, indent=1) + "\n")
    return path
