"""What `allocenv tune` does: a search on this machine or on a cluster, its table, and the best config."""

from pathlib import Path

from allocenv.agents.config import ConfigError, RunConfig
from allocenv.agents.engines import expect_engine
from allocenv.agents.tuning.local import tune_locally
from allocenv.agents.tuning.trials import BEST, FILE, Trial, best_of, expect_same_search, print_trials, write_trials
from allocenv.evaluate.held_out import HeldOut


def run_tuning(
    config: RunConfig, source: str, folder: Path, n_trials: int, engine: str, address: str | None, progress: bool
) -> Trial | None:
    """Try `n_trials` configs, print the table, write it and the best config; the best trial, if one came to its end.

    Raises ValueError: no [search] in the config, another search in the folder, or what the engine refuses.
    """
    expect_engine(engine, address)
    if not config.search:
        raise ConfigError(source, "search", None, 'a table [search], such as "train.learning_rate" = { low, high }')
    if config.agent == "game_ppo":
        raise ConfigError(source, "agent", config.agent, "an agent that acts on the problem itself")
    problem = config.make_problem()
    folder.mkdir(parents=True, exist_ok=True)
    expect_same_search(folder, config, engine)
    problem.warm_up()
    if engine == "ray":
        from allocenv.agents.engines.tuning import tune_on_cluster

        trials = tune_on_cluster(config, folder, n_trials, address, progress)
    else:
        trials = tune_locally(config, folder, n_trials, HeldOut(problem), progress)
    write_trials(folder, config, trials)
    print_trials(config, trials)
    best = best_of(trials)
    told = f"Best: {best.name}. Written: {folder / BEST}" if best else "No trial came to its end. Written:"
    print(f"{told}, {folder / FILE}")
    return best
