"""An agent whose PPO runs on a cluster and whose everything else is that of the local engine.

Its state is the local agent's, part by part: a run may be begun by one engine and carried on by the other.
"""

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from ray.exceptions import RayError
from stable_baselines3.common.logger import Logger

from allocenv.agents import agent_class
from allocenv.agents.agent import Phase
from allocenv.agents.config import RunConfig
from allocenv.agents.engines.rllib.algorithm import RolloutPPO, build_algorithm
from allocenv.agents.sb3 import OnPolicyAgent, PPOParams
from allocenv.core.policy import Policy
from allocenv.core.problem import Problem

AGENTS = ("two_stage", "ppo", "maskable_ppo", "game_ppo")  # those whose update is PPO's
TRIES = 3  # of one unit, each with fresh learners


class RayAgent:
    """The config's agent; a unit of its PPO is a rollout by `runners` and an update by `learners`.

    Weights and optimiser come back to the local agent after every unit, so that there is one place where they are
    saved, judged and loaded. The environments of the runners are not saved: a resumed training begins fresh
    episodes.
    """

    Params: ClassVar[type[Any]] = PPOParams  # each agent's own is a kind of it

    def __init__(self, config: RunConfig, problem: Problem, logger: Logger, runners: int, learners: int) -> None:
        expect_shares(config, runners, learners)
        self.config = config
        self.runners, self.learners = runners, learners
        self.local: OnPolicyAgent = agent_class(config.agent)(config, problem, logger)
        self._algorithm: RolloutPPO | None = None

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Those of the local agent; the last, its PPO, on the cluster."""
        *before, ppo = self.local.phases
        return (*before, replace(ppo, unit=self.unit))

    def unit(self) -> None:
        """A rollout and the update on it; begun again with fresh learners where one is lost."""
        model, params = self.local.model, self.config.agent_params
        steps = model.num_timesteps + params.n_steps * self.config.train.n_envs
        model._update_current_progress_remaining(steps, self.config.train.total_steps)
        rate = model.lr_schedule(model._current_progress_remaining)
        figures, episodes = self._iterate(rate)
        model.num_timesteps = steps
        model._n_updates += params.n_epochs
        model.ep_info_buffer.extend(episodes)
        for name, value in {**figures, "learning_rate": rate}.items():
            model.logger.record(f"train/{name}", value)
        self.local.record_episodes()

    def figures(self) -> dict[str, float]:
        return self.local.figures()

    def policy(self) -> Policy:
        return self.local.policy()

    def state_dict(self) -> dict[str, Any]:
        return self.local.state_dict()

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self._stop()
        self.local.load_state_dict(saved)

    def weights(self) -> Mapping[str, Any]:
        return self.local.weights()

    def load_weights(self, weights: Mapping[str, Any]) -> None:
        self._stop()
        self.local.load_weights(weights)

    def cpu_seconds(self) -> float:
        """What the runners have used so far."""
        return self._algorithm.cpu_seconds() if self._algorithm is not None else 0.0

    def close(self) -> None:
        self._stop()
        self.local.close()

    def _iterate(self, learning_rate: float) -> tuple[dict[str, float], list[Any]]:
        policy = self.local.model.policy
        for left in reversed(range(TRIES)):
            try:
                if self._algorithm is None:
                    self._algorithm = self._begin()
                figures, episodes = self._algorithm.iterate(policy.state_dict(), learning_rate)
                weights, optimizer = self._algorithm.state()
            except RayError:
                self._stop()
                if not left:
                    raise
            else:
                policy.load_state_dict(weights)
                policy.optimizer.load_state_dict(copy.deepcopy(optimizer))
                break
        return figures, episodes

    def _begin(self) -> RolloutPPO:
        """Runners and learners that go on from the local agent's weights and optimiser."""
        model = self.local.model
        algorithm = build_algorithm(self.config, int(model.num_timesteps), self.runners, self.learners)
        algorithm.take_over(model.policy.state_dict(), model.policy.optimizer.state_dict())
        return algorithm

    def _stop(self) -> None:
        if self._algorithm is not None:
            self._algorithm.stop()
            self._algorithm = None


def expect_shares(config: RunConfig, runners: int, learners: int) -> None:
    """Raise ValueError where the agent does not train here or its work cannot be shared evenly."""
    if config.agent not in AGENTS:
        expected = f"an agent among {', '.join(AGENTS)}, got {config.agent!r}, which trains with --engine local"
        raise ValueError(f"--engine ray: expected {expected}.")
    n_envs, params = config.train.n_envs, config.agent_params
    if n_envs % runners:
        raise ValueError(f"--env-runners: expected a divisor of train.n_envs, {n_envs}, got {runners}.")
    for name, size in (("n_steps * n_envs", params.n_steps * n_envs), ("batch_size", params.batch_size)):
        if learners > 1 and size % learners:
            raise ValueError(f"--learners: expected a divisor of {name}, {size}, got {learners}.")
