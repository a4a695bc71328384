"""A search by Optuna on this machine: a journal file that any number of processes share, and that outlives them."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from allocenv.agents.config import ConfigError, RunConfig
from allocenv.agents.train import Evaluate, train
from allocenv.agents.tuning.trials import COMPLETE, FAILED, PRUNED, RUNNING, Trial, lowest, trial_config

_STATES = {TrialState.COMPLETE: COMPLETE, TrialState.PRUNED: PRUNED, TrialState.FAIL: FAILED}
_WARM_TRIALS = 3  # that run to their end before any is given up


def tune_locally(config: RunConfig, folder: Path, n_trials: int, evaluate: Evaluate, progress: bool) -> list[Trial]:
    """Try configs until the folder holds `n_trials`; a trial whose process was killed goes on where it was.

    A trial that is worse than the median of the others at the same step is given up.

    Raises:
        KeyboardInterrupt: somebody asked to stop; the same call goes on.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name="study",
        storage=JournalStorage(JournalFileBackend(str(folder / "journal.log"))),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_WARM_TRIALS, n_warmup_steps=1),
        load_if_exists=True,
    )
    while True:
        with _next(study, config, folder, n_trials) as trial:
            if trial is None:
                return [_told(frozen) for frozen in study.get_trials(deepcopy=False)]
            _run(study, trial, config, folder, evaluate, progress)


def _run(
    study: optuna.Study, trial: optuna.Trial, config: RunConfig, folder: Path, evaluate: Evaluate, progress: bool
) -> None:
    name = _name(trial.number)

    def report(step: int, objective: float) -> None:
        trial.report(objective, step)
        if trial.should_prune():
            raise optuna.TrialPruned

    try:
        values = {key: values.suggest(trial, key) for key, values in config.search.items()}
        changed = trial_config(config, f"{config.name}-{name}", values)
        result = train(changed, folder / name, progress, evaluate=evaluate, report=report)
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
    except ConfigError as error:  # values that do not go together
        trial.set_user_attr("error", str(error))
        study.tell(trial, state=TrialState.FAIL)
    else:
        if not result.finished:
            raise KeyboardInterrupt
        study.tell(trial, lowest(result))


@contextmanager
def _next(study: optuna.Study, config: RunConfig, folder: Path, n_trials: int) -> Iterator[optuna.Trial | None]:
    """A trial that nobody works at, held for the context: one left behind, or a new one; None where there is none."""
    with (folder / "journal.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for frozen in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if (held := _hold(folder / _name(frozen.number))) is not None:
                trial: optuna.Trial | None = optuna.Trial(study, frozen._trial_id)
                break
        else:
            number = len(study.get_trials(deepcopy=False))
            trial = held = None
            if number < n_trials:
                study.sampler = optuna.samplers.TPESampler(seed=config.seed + number)  # the same after a resume
                trial = study.ask()
                held = _hold(folder / _name(trial.number))
        fcntl.flock(lock, fcntl.LOCK_UN)
        try:
            yield trial
        finally:
            if held is not None:
                held.close()


def _hold(folder: Path) -> Any:
    """A lock on a trial's folder, which ends with the process; None where another one has it."""
    folder.mkdir(exist_ok=True)
    file = (folder / ".lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def _told(frozen: FrozenTrial) -> Trial:
    reported = frozen.intermediate_values
    objective = frozen.value if frozen.value is not None else min(reported.values(), default=None)
    step = max(reported, default=None)
    return Trial(_name(frozen.number), _STATES.get(frozen.state, RUNNING), objective, step, frozen.params)


def _name(number: int) -> str:
    return f"trial-{number:04d}"
