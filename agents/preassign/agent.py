"""The pre-assignment agent as a training sees it: whole episodes on fresh instances, an update after each decision."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.utils import set_random_seed

from allocenv.agents.agent import Phase
from allocenv.agents.config import RunConfig, in_range
from allocenv.agents.preassign.learning import Learner
from allocenv.agents.preassign.network import PreassignNetwork
from allocenv.agents.preassign.policy import PreassignPolicy
from allocenv.agents.preassign.replay import Replay
from allocenv.agents.preassign.rounds import rounds_of
from allocenv.agents.preassign.selection import Seen, Teams, preassigned, selected
from allocenv.core.batch import Batch
from allocenv.core.policy import Policy
from allocenv.core.problem import Problem


@dataclass(frozen=True)
class PreassignParams:
    """Names and defaults of the published code, but for the learning rate. Steps of a training are episodes."""

    width: int = 64
    replay_rounds: int = 1_000
    replay_draws: int = 20_000
    learning_starts: int = 100  # rounds
    batch_rounds: int = 32
    batch_draws: int = 128
    updates: int = 1  # of each stage after each decision of the batch
    entropy: float = 0.01
    tau: float = 0.005
    tries: int = 1  # when judged: pre-assignments a round, of which the best is sent

    def __post_init__(self) -> None:
        for name in ("width", "replay_rounds", "replay_draws", "batch_rounds", "batch_draws", "updates", "tries"):
            in_range(self, name, 1, 1e7)
        in_range(self, "learning_starts", 1, self.replay_rounds)
        in_range(self, "entropy", 0, 1e3)
        in_range(self, "tau", 0, 1)


class PreassignAgent:
    """Pre-assignment, then selection."""

    Params = PreassignParams

    def __init__(self, config: RunConfig, problem: Problem, logger: Logger) -> None:
        self.config, self.problem, self.logger = config, problem, logger
        params = config.agent_params
        set_random_seed(config.seed)
        self.batch = Batch(problem, config.train.n_envs, config.seed)
        self.batch.reset()
        columns = rounds_of(problem, self.batch).due()[1].entities.shape[2]
        self.network = PreassignNetwork(columns, params.width)
        self.learner = Learner(self.network, config.train.learning_rate, params.entropy, params.tau)
        self.rounds, self.draws = Replay(params.replay_rounds), Replay(params.replay_draws)
        self.units = 0
        self.recent: dict[str, float] = {}

    @property
    def phases(self) -> tuple[Phase, ...]:
        return (Phase("preassign", self.unit, lambda: self.units * self.batch.n, self.config.train.total_steps),)

    def unit(self) -> None:
        """Play a batch of fresh episodes to their ends, sampling, and learn after every decision."""
        batch, problem = self.batch, self.problem
        batch.seed(self.config.seed + 1_000_003 * (self.units + 1))  # above every seed of instances to be judged on
        batch.reset()
        rounds, losses = rounds_of(problem, batch), []
        over, nothing = np.zeros(batch.n, np.bool_), np.full(2, problem.stop)
        while not over.all():
            rows, seen = rounds.due()
            if len(rows):
                rounds.plan(rows, self._decide(Seen.of(seen)).assignment.numpy())
                losses += self._learn()
            actions = rounds.actions()
            actions[over] = nothing
            outcome = batch.step(actions)
            over |= outcome.terminated | outcome.truncated
        self.units += 1
        figures = [problem.metrics(batch.state, b) for b in range(batch.n)]
        means = {name: float(np.mean([one[name] for one in figures])) for name in figures[0]}
        for name, value in means.items():
            self.logger.record(f"rollout/{name}", value)
        for name in losses[0] if losses else ():
            self.logger.record(f"loss/{name}", float(np.mean([one[name] for one in losses])))
        self.recent = {"objective": means["objective"]}

    @torch.no_grad()
    def _decide(self, x: Seen) -> Teams:
        """Draw teams, and remember rounds and draws."""
        sampling = torch.zeros(len(x.entities), dtype=torch.bool)
        choice = preassigned(self.network, x, sampling)
        teams = selected(self.network, x, choice, sampling)
        rows = {"entities": x.entities, "tasks": x.tasks, "fits": x.fits, "choice": choice, "net": teams.net}
        self.rounds.add(rows)
        for draw in teams.draws:
            self.draws.add({"entities": x.entities[teams.rounds[draw.pair]]} | draw._asdict())
        return teams

    def _learn(self) -> list[dict[str, float]]:
        params, learner = self.config.agent_params, self.learner
        if self.rounds.count < params.learning_starts or not len(self.draws):
            return []
        return [
            learner.assign(self.rounds.sample(params.batch_rounds))
            | learner.select(self.draws.sample(params.batch_draws))
            for _ in range(params.updates)
        ]

    def figures(self) -> dict[str, float]:
        return self.recent

    def policy(self) -> Policy:
        return PreassignPolicy(self.network, self.config.agent_params.tries)

    def state_dict(self) -> dict[str, Any]:
        return {
            "weights": self.weights(),
            "optimizers": [optimizer.state_dict() for optimizer in self.learner.optimizers],
            "replays": [replay.state_dict() for replay in (self.rounds, self.draws)],
            "units": self.units,
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.load_weights(saved["weights"])
        for optimizer, state in zip(self.learner.optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        for replay, state in zip((self.rounds, self.draws), saved["replays"], strict=True):
            replay.load_state_dict(state)
        self.units = saved["units"]

    def weights(self) -> Mapping[str, Any]:
        return self.network.state_dict()

    def load_weights(self, weights: Mapping[str, Any]) -> None:
        self.network.load_state_dict(weights)

    def close(self) -> None:
        """End the threads."""
        self.batch.close()
