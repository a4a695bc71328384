"""What a training needs of an agent: phases that proceed in units, a state to save, a policy to judge."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from stable_baselines3.common.logger import Logger

from allocenv.agents.config import RunConfig
from allocenv.core.policy import Policy
from allocenv.core.problem import Problem


@dataclass(frozen=True)
class Phase:
    """A stretch of training (imitation, ppo) in units, between any two of which a checkpoint can be taken.

    How far it is must be part of the agent's state: a resumed training asks `count` where to go on.
    """

    name: str
    unit: Callable[[], None]  # do one unit: a rollout and its update, or a chunk of an epoch
    count: Callable[[], int]  # how far it is: steps of experience learnt from
    total: int  # it has ended once `count` is this high

    @property
    def ended(self) -> bool:
        return self.count() >= self.total


class Agent(Protocol):
    """Something that learns to act on a problem."""

    Params: ClassVar[type[Any]]  # a frozen dataclass: the table [agent_params] of a config
    config: RunConfig

    def __init__(self, config: RunConfig, problem: Problem, logger: Logger) -> None:
        """Build networks and environments; curves go to the SB3 logger."""

    @property
    def phases(self) -> tuple[Phase, ...]:
        """What the training consists of, in order."""

    def figures(self) -> dict[str, float]:
        """Recent means worth showing beside the progress bar, such as `return`."""

    def policy(self) -> Policy:
        """The agent as it would act when judged with the weights it has now."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides what happens next, random generators of Python, numpy and torch excepted.

        The part `weights` is `weights()`.
        """

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on exactly where `state_dict` was taken."""

    def weights(self) -> Mapping[str, Any]:
        """What acting needs: tensors under their names."""

    def load_weights(self, weights: Mapping[str, Any]) -> None:
        """Take over what `weights` gave, to act or to learn on from."""

    def close(self) -> None:
        """Release threads and files."""


def current_phase(phases: tuple[Phase, ...]) -> Phase | None:
    """The first phase that has not ended; None where the training is over."""
    return next((phase for phase in phases if not phase.ended), None)


def total_count(phases: tuple[Phase, ...]) -> int:
    """How far the whole training is: the step of its curves and checkpoints. Never falls."""
    return sum(phase.count() for phase in phases)
