"""The two-stage agent as a training sees it: first imitation of an expert's plans, then SB3's PPO."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from allocenv.agents.agent import Phase
from allocenv.agents.config import ConfigError
from allocenv.agents.sb3 import PPOAgent, PPOParams
from allocenv.agents.two_stage.decoding import TwoStagePolicy
from allocenv.agents.two_stage.imitation import Imitation, Imitator
from allocenv.agents.two_stage.network import TwoStageNetwork, Widths
from allocenv.agents.two_stage.ppo import StageTwo, TwoStageActorCritic, TwoStageBuffer
from allocenv.core.policy import Policy
from allocenv.core.problem import Problem


@dataclass(frozen=True)
class TwoStageParams(PPOParams):
    """Network, imitation, and SB3's names for PPO.

    `lessons` are tables of parameters of the problem that differ from [params]: kinds of instances to imitate
    on, in turns, one a round; none: the problem itself.
    """

    gamma: float = 1.0  # episodes are short and their return is the objective
    clip_range: float = 0.1
    vf_coef: float = 0.02  # values are counted in whole rewards, up to dozens
    target_kl: float | None = 0.02
    n_queries: int = 8
    recall: bool = True  # False: it never takes back what it began
    stop_above: float = 0.0  # judged, it stops only where that is likelier than this
    macro_credit: bool = True
    imitation_rounds: int = 300
    imitation_rows: int = 32
    imitation_wander: float = 0.5
    imitation_learning_rate: float = 1e-3
    imitation_value_weight: float = 0.005
    lessons: tuple[dict[str, Any], ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_queries < 1:
            raise ValueError(f"Expected n_queries >= 1, got {self.n_queries}.")
        if not 0 <= self.stop_above < 1:
            raise ValueError(f"Expected stop_above in [0, 1), got {self.stop_above}.")
        _ = self.imitation  # checks its own

    @property
    def imitation(self) -> Imitation:
        return Imitation(
            rounds=self.imitation_rounds,
            rows=self.imitation_rows,
            wander=self.imitation_wander,
            learning_rate=self.imitation_learning_rate,
            value_weight=self.imitation_value_weight,
            recall=self.recall,
        )


class TwoStageAgent(PPOAgent):
    """Chooses a slot, then a placement for it; one network for instances of any size."""

    Params = TwoStageParams
    policy_class = TwoStageActorCritic

    @cached_property
    def network(self) -> TwoStageNetwork:
        params = self.config.agent_params
        return TwoStageNetwork(Widths.of(self.problem.sizes), params.width, params.n_queries)

    @cached_property
    def stage_two(self) -> StageTwo:
        return StageTwo(self.env.batch, self.config.agent_params.recall)

    @cached_property
    def imitator(self) -> Imitator:
        params = self.config.agent_params
        problems = [self._lesson(lesson) for lesson in params.lessons] or [self.problem]
        return Imitator(self.network, problems, params.imitation, self.config.seed)

    def _lesson(self, changes: dict[str, Any]) -> Problem:
        """The problem with other parameters. Raises ConfigError."""
        problem: Any = self.problem  # a frozen dataclass, as every problem is
        try:
            changed: Problem = replace(problem, **changes)
        except (TypeError, ValueError) as error:
            expected = f"parameters of {self.config.problem} ({error})"
            raise ConfigError(self.config.name, "agent_params.lessons", changes, expected) from error
        return changed

    def policy_arguments(self) -> dict[str, Any]:
        return {"stage_two": self.stage_two, "network": self.network}

    def arguments(self) -> dict[str, Any]:
        buffer = {"stage_two": self.stage_two, "macro_credit": self.config.agent_params.macro_credit}
        return super().arguments() | {"rollout_buffer_class": TwoStageBuffer, "rollout_buffer_kwargs": buffer}

    @property
    def phases(self) -> tuple[Phase, ...]:
        a_round = self.config.agent_params.imitation_rows * self.problem.max_steps
        total = self.config.agent_params.imitation_rounds * a_round
        imitation = Phase("imitation", self.imitate, lambda: self.imitator.done * a_round, total)
        return ((imitation,) if total else ()) + super().phases

    def imitate(self) -> None:
        """One round of imitation, and its curves."""
        for name, value in self.imitator.run_round().items():
            self.model.logger.record(f"loss/imitation_{name}", value)

    def policy(self) -> Policy:
        params = self.config.agent_params
        return TwoStagePolicy(self.network, recall=params.recall, stop_above=params.stop_above)

    def weights(self) -> Mapping[str, Any]:
        return self.network.state_dict()

    def load_weights(self, weights: Mapping[str, Any]) -> None:
        self.network.load_state_dict(weights)

    def state_dict(self) -> dict[str, Any]:
        imitation = {"optimizer": self.imitator.optimizer.state_dict(), "done": self.imitator.done}
        return super().state_dict() | {"imitation": imitation}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        super().load_state_dict(saved)
        self.imitator.optimizer.load_state_dict(saved["imitation"]["optimizer"])
        self.imitator.done = saved["imitation"]["done"]
