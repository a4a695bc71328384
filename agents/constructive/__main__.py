"""`python -m allocenv.agents.constructive`: train scorers, resumably, and ship the best of several seeds."""

import sys
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from scipy import stats

from allocenv.agents.constructive.config import ConstructiveConfig
from allocenv.agents.constructive.files import load_state, save_state, ship
from allocenv.agents.constructive.training import Learner, Validation, validate
from allocenv.agents.pretrained import FOLDER
from allocenv.core.construction import Scorer

STATE = "state.safetensors"
app = typer.Typer(help="Scorers that build solutions candidate by candidate.", no_args_is_help=True)
Config = Annotated[Path, typer.Argument(help="A config, such as configs/task/gap.toml.")]
Out = Annotated[Path, typer.Option(help="Root of the run folders.")]
RUNS = Path("runs/constructive")


def run_folder(config: Path, seed: int, out: Path) -> Path:
    return out / f"{config.stem}-seed{seed}"


def train_one(settings: ConstructiveConfig, folder: Path) -> Learner:
    """Train to the end, from the state in the folder where there is one."""
    path, construction = folder / STATE, settings.make()
    learner = load_state(settings, path) if path.exists() else Learner.begin(settings)
    while not learner.finished:
        learner.update(construction)
        if learner.done % settings.checkpoint_every == 0 or learner.finished:
            save_state(learner, path)
            recent = learner.history[-settings.checkpoint_every :]
            mean = sum(recent) / len(recent)
            typer.echo(f"update {learner.done} of {settings.updates}: mean cost {mean:.4f}")
    return learner


@app.command()
def train(config: Config, seed: int = 0, out: Out = RUNS) -> None:
    """Train with one seed; a run that was stopped goes on from its last checkpoint."""
    settings = ConstructiveConfig.load(config, seed=seed)
    began = time.process_time()
    learner = train_one(settings, run_folder(config, seed, out))
    typer.echo(f"trained, {time.process_time() - began:.0f} s of CPU time in this session")
    told(validate(settings, learner.weights))


@app.command(name="ship")
def ship_best(
    config: Config,
    name: Annotated[str, typer.Option(help="Of the weights and their card, such as task_gap.")],
    seeds: Annotated[int, typer.Option(min=1, help="Trainings 0, 1, ...; missing ones are made.")] = 5,
    out: Out = RUNS,
    folder: Annotated[Path, typer.Option(help="Where weights and card are written.")] = FOLDER,
) -> None:
    """Ship the seed that is best on held-out made-up instances, with a card that tells of all."""
    found: list[tuple[Learner, Validation]] = []
    for seed in range(seeds):
        settings = ConstructiveConfig.load(config, seed=seed)
        learner = train_one(settings, run_folder(config, seed, out))
        found.append((learner, validate(settings, learner.weights)))
        told(found[-1][1])
    learner, validation = min(found, key=lambda pair: pair[1].score)
    start = Learner.begin(learner.config)
    judged = [one.config.figures(Scorer(one.weights, one.config.n_hidden, v.temperature)) for one, v in found]
    more = {
        "command": f"python -m allocenv.agents.constructive ship {config} --name {name} --seeds {seeds}",
        "untrained": validate(start.config, start.weights).to_dict(),
        "held_out_first_three": validate(learner.config, learner.weights, 3).to_dict(),
        "all_seeds": [each.to_dict() for _, each in found],
        "benchmark": summary(judged, learner.config.seed),
    }
    typer.echo(f"seed {learner.config.seed}: {ship(learner, validation, name, folder, more)}")


def summary(judged: list[dict[str, float]], shipped: int) -> dict[str, dict[str, object]]:
    """Figures on given instances, by name: of the shipped seed, of all, and their mean with its 95 % interval (t)."""
    out: dict[str, dict[str, object]] = {}
    for name in judged[0]:
        values = np.array([figures[name] for figures in judged])
        n = len(values)
        half = float(stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n)) if n > 1 else 0.0
        mean = float(values.mean())
        out[name] = {"shipped": float(values[shipped]), "mean": mean, "low": mean - half, "high": mean + half,
                     "seeds": values.tolist()}  # fmt: skip
    return out


def told(validation: Validation) -> None:
    sampled = ", ".join(f"{cost:.4f} at {t:g}" for t, cost in validation.sampled.items())
    typer.echo(f"held-out mean cost: one pass {validation.one_pass:.4f}, best of 64 samples {sampled}")


if __name__ == "__main__":
    try:
        app()
    except ValueError as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(2)
