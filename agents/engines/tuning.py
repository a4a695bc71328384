"""A search on a cluster: Ray Tune places the trials, Optuna suggests, ASHA gives up what falls behind."""

import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from allocenv.agents.config import RunConfig
from allocenv.agents.engines.cluster import connected
from allocenv.agents.train import train
from allocenv.agents.tuning.ranges import Range
from allocenv.agents.tuning.trials import COMPLETE, FAILED, PRUNED, Trial, lowest, trial_config
from allocenv.evaluate.held_out import HeldOut

FAILURES = 3  # of a trial's worker, before the trial counts as failed; each time it goes on where it was
SHARE_KEPT = 3  # one of so many trials goes on from one rung of ASHA to the next


def tune_on_cluster(config: RunConfig, folder: Path, n_trials: int, address: str | None, progress: bool) -> list[Trial]:
    """Try `n_trials` configs, as many at a time as the cluster has CPUs; a killed search goes on where it was.

    The folder has to be on a file system that all nodes see.
    """
    if not progress:
        os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # the new one is never quiet
    with connected(address):
        import optuna
        from ray import tune

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        store = folder.resolve()
        trainable = tune.with_resources(
            tune.with_parameters(_run_trial, run=config, folder=store), {"cpu": config.train.num_threads}
        )
        if tune.Tuner.can_restore(str(store / "ray")):
            tuner = tune.Tuner.restore(str(store / "ray"), trainable, resume_unfinished=True, restart_errored=True)
        else:
            tuner = _tuner(trainable, config, store, n_trials, progress)
        trials = sorted((_told(result, config) for result in tuner.fit()), key=lambda trial: trial.name)
    if len(trials) < n_trials:
        print(f"This search was begun with --trials {len(trials)}; on a cluster that number stays.", file=sys.stderr)
    return trials


def _tuner(trainable: Any, config: RunConfig, store: Path, n_trials: int, progress: bool) -> Any:
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    total = config.train.total_steps
    asha = ASHAScheduler(
        time_attr="step",
        max_t=max(total, 2) * 100,  # no trial is cut short for its length: phases before PPO count too
        grace_period=min(config.train.eval_every, total),
        reduction_factor=SHARE_KEPT,
    )
    return tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            metric="objective",
            mode="min",
            num_samples=n_trials,
            scheduler=asha,
            search_alg=OptunaSearch(partial(_suggest, config.search), metric="objective", mode="min", seed=config.seed),
        ),
        run_config=tune.RunConfig(
            name="ray",
            storage_path=str(store),
            failure_config=tune.FailureConfig(max_failures=FAILURES),
            verbose=int(progress),
        ),
    )


def _suggest(search: Mapping[str, Range], trial: Any) -> None:
    for key, values in search.items():
        values.suggest(trial, key)


def _run_trial(values: dict[str, Any], run: RunConfig, folder: Path) -> None:
    """One trial, on a worker of the cluster: its run folder outlives it, so that another worker can go on."""
    from ray import tune

    name = _name(tune.get_context().get_trial_id())

    def report(step: int, objective: float) -> None:
        if step:
            tune.report({"step": step, "objective": objective})

    problem = run.make_problem()
    changed = trial_config(run, f"{run.name}-{name}", values)
    result = train(changed, folder / name, False, evaluate=HeldOut(problem), report=report)
    tune.report({"step": result.step, "objective": lowest(result), "whole": True})


def _told(result: Any, config: RunConfig) -> Trial:
    metrics = result.metrics or {}
    state = FAILED if result.error else COMPLETE if metrics.get("whole") else PRUNED
    values = {key: (result.config or {}).get(key) for key in config.search}
    return Trial(_name(metrics.get("trial_id", "lost")), state, metrics.get("objective"), metrics.get("step"), values)


def _name(trial_id: str) -> str:
    return f"trial-{trial_id}"
