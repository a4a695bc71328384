"""An agent that learns the few numbers of a problem's own policy, by trying many sets on the same fresh instances.

For policies that choose among compiled proposals: returns need no gradient, and whole episodes run in kernels.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from stable_baselines3.common.logger import Logger

from allocenv.agents.agent import Phase
from allocenv.agents.config import ConfigError, RunConfig, in_range
from allocenv.agents.evolution.strategy import Strategy
from allocenv.core.arrays import Array
from allocenv.core.policy import Policy
from allocenv.core.problem import Problem


class Course(Protocol):
    """What a problem supplies: `problem.course(**settings)`."""

    missions: int

    def start(self) -> Array:
        """Numbers to start from: [n]."""

    def returns(self, numbers: Array, rng: np.random.Generator) -> Array:
        """What each of the sets [P, n] earns on the same fresh instances: [P, missions]."""

    def parts(self, numbers: Array) -> Mapping[str, Array]:
        """The numbers under names."""

    def whole(self, parts: Mapping[str, Any]) -> Array:
        """The reverse of `parts`."""

    def policy(self, numbers: Array) -> Policy:
        """A policy that acts by the numbers [n]."""


@dataclass(frozen=True)
class EvolutionParams:
    """`course` holds settings of the problem's course. Steps of a training are episodes."""

    population: int = 16
    step_size: float = 0.1
    least_step_size: float = 0.02
    course: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        in_range(self, "population", 4, 10_000)
        in_range(self, "step_size", 1e-9, 1e6)
        in_range(self, "least_step_size", 0, self.step_size)


class EvolutionAgent:
    """Judged by the mean of the distribution that it draws from."""

    Params = EvolutionParams

    def __init__(self, config: RunConfig, problem: Problem, logger: Logger) -> None:
        self.config, self.problem, self.logger = config, problem, logger
        params = config.agent_params
        self.course = course_of(problem, config)
        self.strategy = Strategy(self.course.start(), params.step_size, params.population, params.least_step_size)
        self.recent: dict[str, float] = {}

    @property
    def phases(self) -> tuple[Phase, ...]:
        return (Phase("evolution", self.generation, self.episodes, self.config.train.total_steps),)

    def episodes(self) -> int:
        """How many have been played."""
        return self.strategy.generation * (self.strategy.population + 1) * self.course.missions

    def generation(self) -> None:
        """Try a population on fresh instances, and learn from it."""
        strategy = self.strategy
        rng = np.random.default_rng([self.config.seed, strategy.generation])
        tried = strategy.draw(rng)
        returns = self.course.returns(np.concatenate([strategy.mean[None], tried]), rng).mean(axis=1)
        strategy.learn(tried, returns[1:])
        self.recent = {"return": float(returns[1:].mean()), "best": float(returns.max()), "step_size": strategy.size}
        for name, value in self.recent.items():
            self.logger.record(f"rollout/{name}", value)

    def figures(self) -> dict[str, float]:
        return self.recent

    def policy(self) -> Policy:
        return self.course.policy(self.strategy.mean)

    def state_dict(self) -> dict[str, Any]:
        s = self.strategy
        state = {"spread": s.spread, "path": s.path, "length": s.length, "size": s.size, "generation": s.generation}
        return {"weights": self.weights(), "strategy": state}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.load_weights(saved["weights"])
        for name, value in saved["strategy"].items():
            setattr(self.strategy, name, value)

    def weights(self) -> Mapping[str, Any]:
        return {name: torch.from_numpy(part) for name, part in self.course.parts(self.strategy.mean).items()}

    def load_weights(self, weights: Mapping[str, Any]) -> None:
        self.strategy.mean = self.course.whole({name: part.numpy() for name, part in weights.items()})

    def close(self) -> None:
        """Nothing is held."""


def course_of(problem: Any, config: RunConfig) -> Course:
    """The problem's course with the config's settings. Raises ConfigError where it has none, or not those."""
    settings = config.agent_params.course
    if not hasattr(problem, "course"):
        raise ConfigError(config.name, "agent", config.agent, f"another agent: {config.problem} has no course for it")
    try:
        course: Course = problem.course(**settings)
    except (TypeError, ValueError) as error:
        raise ConfigError(config.name, "agent_params.course", settings, f"settings of the course ({error})") from error
    return course
