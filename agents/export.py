"""Writing a trained agent as shipped weights with a card."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from allocenv.agents.config import RunConfig
from allocenv.agents.games import GamePPOAgent, actor_weights
from allocenv.agents.pretrained import FOLDER, stored_names
from allocenv.agents.train import load_agent
from allocenv.agents.two_stage.agent import TwoStageAgent
from allocenv.agents.two_stage.network import TwoStageNetwork
from allocenv.core.files import read_text, write_atomically
from allocenv.evaluate.honesty import HiddenFuture


def export_run(run: Path, which: str, name: str, folder: Path, only: Sequence[str] = ()) -> Path:
    """Write a run's checkpoint as `<name>.safetensors` with its card.

    Args:
        only: parameters of the problem that must be as in training for the weights to be offered.

    Raises:
        ValueError: not a run, or a parameter that its problem does not have.
    """
    agent = load_agent(run, which)
    config = RunConfig.load(run / "config.toml")
    sessions = json.loads(read_text(run / "run.json"))["sessions"]
    results = json.loads(read_text(run / "results.json"))["evaluations"]
    card = {
        "problem": config.problem,
        "agent": config.agent,
        "checkpoint": which,
        "seed": config.seed,
        "command": f"allocenv train configs/{config.problem}/{config.name.split('-seed')[0]}.toml",
        "config": config.to_dict(),
        "trained_with": sessions[-1],
        "held_out": min(results, key=lambda entry: entry["objective"], default={}),
    }
    if isinstance(agent, GamePPOAgent):
        return _write(actor_weights(agent.weights()), name, card, folder)
    if isinstance(agent, TwoStageAgent) and not isinstance(agent.problem, HiddenFuture):
        return export_weights(agent.network, name, card, folder)
    return _write(agent.weights(), name, {**card, "offer": _offer(config, only)}, folder)


def _offer(config: RunConfig, only: Sequence[str]) -> dict[str, Any]:
    """For which problems the weights are: what they must have in common with the one of the training."""
    problem = config.make_problem()
    unknown = [key for key in only if not hasattr(problem, key)]
    if unknown:
        raise ValueError(f"--only: expected a parameter of {config.problem}, got {unknown[0]!r}.")
    sizes = problem.sizes._asdict()
    fixed = ("variants", "slot_features", "bin_features", "context", "placement_features")
    return {
        "params": {key: getattr(problem, key) for key in only},
        "sizes": {key: sizes[key] for key in fixed},
    }


def export_weights(network: TwoStageNetwork, name: str, card: dict[str, Any], folder: Path = FOLDER) -> Path:
    """Write `<name>.safetensors` and `<name>.json`; the card is completed by what rebuilds the network."""
    shape = {"widths": network.widths._asdict(), "width": network.width, "n_queries": network.n_queries}
    return _write(network.state_dict(), name, {**card, **shape}, folder)


def _write(named: Mapping[str, torch.Tensor], name: str, card: dict[str, Any], folder: Path) -> Path:
    weights = {
        key: named[key].detach().to(torch.float32).contiguous() for key in dict.fromkeys(stored_names(named).values())
    }
    path = folder / f"{name}.safetensors"
    write_atomically(path, save(weights))
    count = sum(value.numel() for value in weights.values())
    write_atomically(folder / f"{name}.json", json.dumps({**card, "parameters": count}, indent=1) + "\n")
    return path
