"""From a config to a trained agent in a run folder; killed at any moment, it goes on as if it had not been.

    runs/<problem>/<agent>/<name>/
        config.toml      the whole config       run.json      commit, versions, every start
        checkpoints/     last, best, latest few    tensorboard/  curves
        results.json     every evaluation

Exact: weights after a resume are those of the uninterrupted run, bit by bit (same machine and versions).
"""

import json
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from stable_baselines3.common.logger import Logger

from allocenv.agents import agent_class
from allocenv.agents.agent import Agent, Phase, current_phase, total_count
from allocenv.agents.checkpoint import (
    CheckpointError,
    Checkpoints,
    Header,
    check_header,
    check_shapes,
    read_checkpoint,
    read_header,
    write_json,
)
from allocenv.agents.config import ConfigError, RunConfig
from allocenv.agents.progress import Progress
from allocenv.agents.randomness import random_state, set_random_state, undisturbed
from allocenv.agents.tensorboard import Curves, flatten
from allocenv.core.batch import Batch
from allocenv.core.policy import Policy
from allocenv.core.problem import Problem
from allocenv.core.provenance import provenance

Evaluate = Callable[[Policy], Mapping[str, float]]
SCORE = "objective"  # of an evaluation; the lowest is the best

# What a resumed run may change: none of it touches what is learnt from which step, unless the rate decays.
_FREE = {"name"} | {
    f"train.{name}"
    for name in ("total_steps", "checkpoint_every", "keep_checkpoints", "eval_every", "figures", "device")
    + ("num_threads", "env_threads")
}
_FIGURE_SEED = 2**31 - 1


@dataclass(frozen=True)
class RunResult:
    """What a training has come to."""

    folder: Path
    step: int
    finished: bool  # False: interrupted; the same call goes on
    seconds: float  # of this session
    last: Path  # checkpoint
    best: Path | None  # checkpoint with the best evaluation; None without `evaluate`
    metrics: dict[str, float]  # of the last evaluation


def train(
    config: RunConfig,
    run_folder: str | Path | None = None,
    progress: bool = True,
    resume: bool = True,
    evaluate: Evaluate | None = None,
    opponents: Mapping[str, Mapping[str, float]] | None = None,
) -> RunResult:
    """Train, or go on training, the config's agent.

    Args:
        run_folder: where to write; `config.folder()` if not given.
        resume: go on from the last checkpoint in the folder. False removes what an earlier run left there.
        evaluate: judges a policy on held-out instances; it returns an `objective` (lower is better) and more.
        opponents: name -> figures as `evaluate` returns them: lines in the same charts.

    One Ctrl-C (or SIGTERM) ends the unit, writes a checkpoint and returns; a second one stops at once.
    Raises ConfigError where the folder holds a run of another config, CheckpointError for a broken checkpoint.
    """
    folder = Path(run_folder) if run_folder is not None else config.folder()
    torch.set_num_threads(config.train.num_threads)
    if not resume or Checkpoints(folder / "checkpoints").find("last") is None:
        _remove_run(folder)
    _expect_same_run(folder, config)
    run = _Run(config, folder, evaluate, opponents or {}, progress)
    try:
        with _interruption() as asked:
            return run.to_the_end(asked)
    finally:
        run.close()


def load_agent(run_folder: str | Path, which: str = "best", problem: Problem | None = None) -> Agent:
    """The agent of a run, to act, with the weights of a checkpoint: `best` (else last), `last`, or its name.

    `problem` may differ from the run's where the weights fit. Raises CheckpointError.
    """
    folder = Path(run_folder)
    config = RunConfig.load(folder / "config.toml")
    checkpoint = find_checkpoint(folder, which)
    with undisturbed():
        agent = _build(config.for_acting(), problem or config.make_problem(), Logger(None, []))
    weights = read_checkpoint(checkpoint, "weights")
    check_shapes(checkpoint, weights, agent.weights())
    agent.load_weights(weights)
    return agent


class _Run:
    """A training in progress."""

    def __init__(
        self,
        config: RunConfig,
        folder: Path,
        evaluate: Evaluate | None,
        opponents: Mapping[str, Mapping[str, float]],
        progress: bool,
    ) -> None:
        self.config, self.folder = config, folder
        self.evaluate, self.opponents = evaluate, opponents
        self.problem = config.make_problem()
        self.history: list[dict[str, float]] = []  # one entry an evaluation: its step and figures
        self.best: float | None = None  # lowest SCORE so far
        self.checkpoints = Checkpoints(folder / "checkpoints", config.train.keep_checkpoints)
        start = self.checkpoints.find("last")
        self.saved = read_header(start).step if start else None
        if start:
            check_header(start, read_header(start), self._header(0, ""))
        _write_run_files(folder, config, start)
        self.curves = Curves(folder / "tensorboard", config.agent, self.saved)
        self.agent = _build(config, self.problem, self.curves.logger)
        if start:
            self._load(start)
        self.phases = self.agent.phases
        self.display = Progress(progress, folder, sum(phase.total for phase in self.phases), self.step)

    @property
    def step(self) -> int:
        return total_count(self.phases)

    def to_the_end(self, asked: threading.Event) -> RunResult:
        """Unit by unit, until every phase has ended or somebody asks to stop."""
        began = time.perf_counter()
        with self.display:
            if self.saved is None:
                self.curves.text("config", self.config.to_toml())
                better = self._judge()
                self.curves.flush(self.step)
                self._save("", better)
            worked = False
            while (phase := current_phase(self.phases)) is not None and not asked.is_set():
                self._work(phase)
                worked = True
            if self.saved != self.step:
                self._save(phase.name if phase else "", False)
            if phase is None and worked:
                self._finish()
        if phase is not None:
            self.display.say(f"Stopped at step {self.step:,}. To go on: allocenv train {self.folder / 'config.toml'}")
        return self._result(phase is None, time.perf_counter() - began)

    def close(self) -> None:
        self.agent.close()
        self.curves.close()

    def _work(self, phase: Phase) -> None:
        """One unit, its curves, and what is due after it."""
        before, began = self.step, time.perf_counter()
        phase.unit()
        rate = (self.step - before) / (time.perf_counter() - began)
        self.curves.record("time", {"steps_per_second": rate})
        self.display.show(phase.name, self.step, rate, self.agent.figures())
        train = self.config.train
        over = current_phase(self.phases) is None
        better = (over or _due(before, self.step, train.eval_every)) and self._judge()
        self.curves.flush(self.step)
        if better or phase.ended or _due(before, self.step, train.checkpoint_every):
            self._save(phase.name, better)

    def _judge(self) -> bool:
        """Evaluate the agent as it is, without disturbing its training; whether it is the best so far."""
        if self.evaluate is None:
            return False
        with undisturbed():
            policy = self.agent.policy()
            figures = {name: float(value) for name, value in self.evaluate(policy).items()}
            if self.config.train.figures:
                self.curves.figure("data/solved", solved_figure(self.problem, policy))
        self.curves.record("eval", figures)
        for name, line in self.opponents.items():
            self.curves.opponent(name, line, self.step)
        self.history.append({"step": self.step, **figures})
        better = self.best is None or figures[SCORE] < self.best
        if better:
            self.best = figures[SCORE]
        self.display.say(f"step {self.step:,}: {SCORE} {figures[SCORE]:.5g}{' (best)' if better else ''}")
        self._write_results()
        return better

    def _finish(self) -> None:
        group, figures = "eval", self._last_figures()
        if not figures:  # nothing judged it: what its training episodes came to
            group, figures = "final", self.agent.figures()
            self.curves.record(group, figures)
        if figures:
            self.curves.hparams(self.config.to_dict(), [f"{group}/{name}" for name in figures])
        self.curves.flush(self.step)
        self.display.say(f"Finished at step {self.step:,}: {self.folder}")

    def _save(self, phase: str, best: bool) -> None:
        state = self.agent.state_dict()
        tree = {
            "weights": state.pop("weights"),
            "agent": state,
            "random": random_state(),
            "history": self.history,
            "best": self.best,
        }
        self.checkpoints.save(self._header(self.step, phase), tree, best)
        self.saved = self.step

    def _load(self, checkpoint: Path) -> None:
        tree = read_checkpoint(checkpoint)
        check_shapes(checkpoint, tree["weights"], self.agent.weights())
        self.agent.load_state_dict({"weights": tree["weights"], **tree["agent"]})
        set_random_state(tree["random"])
        self.history, self.best = tree["history"], tree["best"]

    def _header(self, step: int, phase: str) -> Header:
        return Header(self.config.problem, self.config.agent, self.problem.sizes, step, phase)

    def _last_figures(self) -> dict[str, float]:
        return {name: value for name, value in self.history[-1].items() if name != "step"} if self.history else {}

    def _write_results(self) -> None:
        opponents = {name: dict(line) for name, line in self.opponents.items()}
        write_json(self.folder / "results.json", {"evaluations": self.history, "opponents": opponents})

    def _result(self, finished: bool, seconds: float) -> RunResult:
        last = find_checkpoint(self.folder, "last")
        return RunResult(
            self.folder, self.step, finished, seconds, last, self.checkpoints.find("best"), self._last_figures()
        )


def solved_figure(problem: Problem, policy: Policy) -> Any:
    """One and the same instance as the policy leaves it, as a matplotlib Figure."""
    batch = Batch(problem, 1, _FIGURE_SEED)
    batch.reset()
    for _ in range(problem.max_steps):
        outcome = batch.step(policy(batch))
        if outcome.terminated[0] or outcome.truncated[0]:
            break
    return problem.render_figure(batch.state, 0)


def _build(config: RunConfig, problem: Problem, logger: Logger) -> Agent:
    agent: Agent = agent_class(config.agent)(config, problem, logger)
    return agent


def find_checkpoint(folder: Path, which: str) -> Path:
    """A checkpoint of the run; `best` falls back to the last where nothing was evaluated."""
    checkpoints = Checkpoints(folder / "checkpoints")
    found = checkpoints.find(which) or (checkpoints.find("last") if which == "best" else None)
    if found is None:
        raise CheckpointError(checkpoints.folder, "checkpoint", None, f"one called {which!r}")
    return found


def _due(before: int, now: int, every: int) -> bool:
    """Whether a multiple of `every` has been reached."""
    return before // every < now // every


def _expect_same_run(folder: Path, config: RunConfig) -> None:
    """Raise ConfigError where the folder's checkpoints come from another config."""
    file = folder / "config.toml"
    if not file.is_file():
        return
    then, now = (dict(flatten(c.to_dict())) for c in (RunConfig.load(file), config))
    for key in sorted(then.keys() | now.keys()):
        if key not in _FREE and then.get(key) != now.get(key):
            raise ConfigError(
                str(file),
                key,
                now.get(key),
                f"{then.get(key)!r} as in the run to be resumed (else give it another name)",
            )


def _write_run_files(folder: Path, config: RunConfig, start: Path | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    file = folder / "run.json"
    sessions = json.loads(file.read_text(encoding="utf-8"))["sessions"] if file.is_file() and start else []
    session = {**provenance(), "seed": config.seed, "resumed_from": start.name if start else None}
    write_json(file, {"sessions": [*sessions, session]})


def _remove_run(folder: Path) -> None:
    """Remove what an earlier run has written; nothing else that lies in the folder."""
    for name in ("checkpoints", "tensorboard"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("config.toml", "run.json", "results.json"):
        (folder / name).unlink(missing_ok=True)


@contextmanager
def _interruption() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C (or SIGTERM) sets; the second one interrupts at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked  # only the main thread is told of signals
        return

    def ask(signum: int, frame: Any) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    kept = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
