"""Ships what the agent `evolution` has learnt: of several runs the best on validation instances, with a card.

    python -m allocenv.agents.evolution.ship task_rbf_teams RUN [RUN ...]

The last checkpoint of each run is judged: the mean of what a training draws from settles, single sets do not.
"""

import json
import sys
from pathlib import Path
from typing import Any

from safetensors.numpy import save

from allocenv.agents.checkpoint import Checkpoints, read_header
from allocenv.agents.evolution.agent import EvolutionAgent
from allocenv.agents.pretrained import FOLDER
from allocenv.agents.train import load_agent
from allocenv.core.files import read_text, write_atomically
from allocenv.evaluate.held_out import HeldOut

N_VALIDATION = 100


def ship(name: str, runs: list[Path], folder: Path = FOLDER, which: str = "last") -> Path:
    """Write `<name>.safetensors` and its card; the card has the figures of every run.

    Raises:
        ValueError: not a run of the agent `evolution`.
    """
    agents = [load_agent(run, which) for run in runs]
    scores: dict[str, float] = {}
    for run, agent in zip(runs, agents, strict=True):
        if not isinstance(agent, EvolutionAgent):
            raise ValueError(f"{run}/config.toml: agent: found {agent.config.agent!r}, expected 'evolution'.")
        problem: Any = agent.problem
        judge = HeldOut(problem, N_VALIDATION)
        scores[run.name] = judge(agent.policy())["objective"]
        start = judge(agent.course.policy(agent.course.start()))["objective"]
    best = min(range(len(runs)), key=lambda i: scores[runs[i].name])
    chosen: Any = agents[best]
    checkpoint = Checkpoints(runs[best] / "checkpoints").find(which)
    assert checkpoint is not None  # it has been loaded
    parts = {part: tensor.numpy() for part, tensor in chosen.weights().items()}
    card = {
        "problem": chosen.config.problem,
        "agent": "evolution",
        "checkpoint": which,
        "seed": chosen.config.seed,
        "command": f"allocenv train configs/{chosen.config.problem}/{chosen.config.name.split('-seed')[0]}.toml",
        "config": chosen.config.to_dict(),
        "trained_with": json.loads(read_text(runs[best] / "run.json"))["sessions"][-1],
        "episodes": read_header(checkpoint).step,
        "validation": {"instances": N_VALIDATION, "start": start, "runs": scores},
        "reproduce": reproduction(chosen),
        "parameters": int(sum(part.size for part in parts.values())),
    }
    path = folder / f"{name}.safetensors"
    write_atomically(path, save(parts))
    write_atomically(folder / f"{name}.json", json.dumps(card, indent=1) + "\n")
    return path


def reproduction(agent: EvolutionAgent) -> list[float]:
    """The objective on each of the first three validation instances, for whoever checks the weights."""
    judge = HeldOut(agent.problem, 3)
    found = []
    for instance in judge.instances:
        judge.instances = [instance]
        found.append(judge(agent.policy())["objective"])
    return found


if __name__ == "__main__":
    print(f"Written: {ship(sys.argv[1], [Path(run) for run in sys.argv[2:]])}")
