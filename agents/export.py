"""Writing a trained two-stage network as shipped weights with a card, and reading one from a run."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from allocenv.agents.pretrained import FOLDER
from allocenv.agents.train import load_agent
from allocenv.agents.two_stage.agent import TwoStageAgent
from allocenv.agents.two_stage.network import TwoStageNetwork
from allocenv.core.files import read_text, write_atomically


def export_run(run: Path, which: str, name: str, folder: Path) -> Path:
    """Write a run's checkpoint as `<name>.safetensors` with its card.

    Raises:
        ValueError: not the run of a two-stage agent.
    """
    agent = load_agent(run, which)
    if not isinstance(agent, TwoStageAgent):
        raise ValueError(f"{run}/config.toml: agent: found {agent.config.agent!r}, expected 'two_stage'.")
    sessions = json.loads(read_text(run / "run.json"))["sessions"]
    results = json.loads(read_text(run / "results.json"))["evaluations"]
    card = {
        "problem": agent.config.problem,
        "agent": "two_stage",
        "checkpoint": which,
        "seed": agent.config.seed,
        "command": f"allocenv train configs/{agent.config.problem}/{agent.config.name.split('-seed')[0]}.toml",
        "config": agent.config.to_dict(),
        "trained_with": sessions[-1],
        "held_out": min(results, key=lambda entry: entry["objective"], default={}),
    }
    return export_weights(agent.network, name, card, folder)


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
