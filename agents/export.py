"""Writing a trained two-stage network, or a player of a game, as shipped weights with a card."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from allocenv.agents.games import GamePPOAgent, actor_weights
from allocenv.agents.pretrained import FOLDER
from allocenv.agents.train import load_agent
from allocenv.agents.two_stage.agent import TwoStageAgent
from allocenv.agents.two_stage.network import TwoStageNetwork
from allocenv.core.files import read_text, write_atomically


def export_run(run: Path, which: str, name: str, folder: Path) -> Path:
    """Write a run's checkpoint as `<name>.safetensors` with its card.

    Raises:
        ValueError: not the run of a two-stage agent or of a player of a game.
    """
    agent = load_agent(run, which)
    if not isinstance(agent, TwoStageAgent | GamePPOAgent):
        raise ValueError(f"{run}/config.toml: agent: found {agent.config.agent!r}, expected 'two_stage' or 'game_ppo'.")
    sessions = json.loads(read_text(run / "run.json"))["sessions"]
    results = json.loads(read_text(run / "results.json"))["evaluations"]
    card = {
        "problem": agent.config.problem,
        "agent": agent.config.agent,
        "checkpoint": which,
        "seed": agent.config.seed,
        "command": f"allocenv train configs/{agent.config.problem}/{agent.config.name.split('-seed')[0]}.toml",
        "config": agent.config.to_dict(),
        "trained_with": sessions[-1],
        "held_out": min(results, key=lambda entry: entry["objective"], default={}),
    }
    if isinstance(agent, GamePPOAgent):
        return _write(actor_weights(agent.weights()), name, card, folder)
    return export_weights(agent.network, name, card, folder)


def export_weights(network: TwoStageNetwork, name: str, card: dict[str, Any], folder: Path = FOLDER) -> Path:
    """Write `<name>.safetensors` and `<name>.json`; the card is completed by what rebuilds the network."""
    shape = {"widths": network.widths._asdict(), "width": network.width, "n_queries": network.n_queries}
    return _write(network.state_dict(), name, {**card, **shape}, folder)


def _write(named: Mapping[str, torch.Tensor], name: str, card: dict[str, Any], folder: Path) -> Path:
    weights = {key: value.detach().to(torch.float32).contiguous() for key, value in named.items()}
    path = folder / f"{name}.safetensors"
    write_atomically(path, save(weights))
    count = sum(value.numel() for value in weights.values())
    write_atomically(folder / f"{name}.json", json.dumps({**card, "parameters": count}, indent=1) + "\n")
    return path
