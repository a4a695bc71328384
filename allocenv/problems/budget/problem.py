"""Sequential allocation of rollouts as a Problem: parameters, and the assembly of the files beside this one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from allocenv.core import resource_state
from allocenv.core.arrays import Array, BoolArray, FloatArray, IntArray
from allocenv.core.problem import Observation, Outcome, Sizes
from allocenv.core.solver import Entry
from allocenv.problems.budget import drawing, dynamics, observation
from allocenv.problems.budget.dynamics import Form, State
from allocenv.problems.budget.instance_sets import instance_set
from allocenv.problems.budget.instances import Lesson, draw_lesson
from allocenv.problems.budget.learner.presets import REAL_RUN

LIMITS = {
    "prompts": (2, 100_000),
    "batch": (1, 10_000),
    "group": (1, 1000),
    "updates": (1, 100_000),
    "pools": (1, 1000),
    "warm": (1, 100_000),
}
MOST_LEVEL = 1000


@dataclass(frozen=True)
class Budget:
    """Rollouts for the prompts of a training step, a chunk at a time, and outcomes seen in between.

    An action is (prompt of the batch, pool * levels + level): raise the prompt to that many rollouts. The last
    slot stops (placement 0): what is left is spread evenly and the learner makes its update. Rewards: points of
    mean success rate gained by the update. The learner is simulated (`learner/dynamics.py`), fitted to a real
    GRPO run; how far it learns directly and how noisy its steps are is drawn for each episode and hidden.

    Args:
        prompts: P, of the pool that the learner trains on.
        batch: M, prompts of an update.
        group: rollouts a prompt on average: the budget of an update is M x group.
        updates: of an episode.
        levels: rollouts that a prompt can be raised to, ascending.
        pools: equal shares of the budget, such as workers; a prompt stays in one.
        forget: what discounted counts keep at each visit.
        warm: an episode begins after 1 to so many updates of equal groups.
        lessons: where episodes begin; none: drawn.

    The objective is 1 - mean success rate of the pool.

    Source: Knapsack RL (2509.25849) for the problem; ../shared/facts/reasoning_budget.md, section 6.
    """

    prompts: int = 128
    batch: int = 16
    group: int = 8
    updates: int = 16
    levels: tuple[int, ...] = (2, 4, 8, 16, 32)
    pools: int = 1
    forget: float = 0.9
    warm: int = 64
    lessons: tuple[Lesson, ...] = ()

    def __post_init__(self) -> None:
        for name, (low, high) in LIMITS.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"Expected {name} from {low} to {high}, got {getattr(self, name)}.")
        if self.batch > self.prompts:
            raise ValueError(f"Expected a batch of at most {self.prompts} prompts, got {self.batch}.")
        rising = all(a < b for a, b in zip((0, *self.levels), (*self.levels, MOST_LEVEL + 1), strict=True))
        if not self.levels or not rising:
            raise ValueError(f"Expected levels that rise, from 1 to {MOST_LEVEL}, got {self.levels}.")
        if not 0 < self.forget <= 1:
            raise ValueError(f"Expected 0 < forget <= 1, got {self.forget}.")

    @property
    def form(self) -> Form:
        return Form(self.group, self.updates, float(self.forget))

    @cached_property
    def sizes(self) -> Sizes:
        return Sizes(
            slots=self.batch + 1,
            bins=self.pools,
            variants=len(self.levels),
            slot_features=len(observation.SLOT_FEATURES),
            bin_features=len(observation.BIN_FEATURES),
            context=len(observation.CONTEXT),
            placement_features=len(observation.PLACEMENT_FEATURES),
        )

    @property
    def stop(self) -> tuple[int, int]:
        return self.batch, 0

    @property
    def lasting_slots(self) -> bool:
        return False

    @cached_property
    def max_steps(self) -> int:
        """Every action of an update but the stop raises some prompt by a level and spends rollouts."""
        least = min(b - a for a, b in zip((0, *self.levels[:-1]), self.levels, strict=True))
        return self.updates * (min(self.batch * self.group // least, self.batch * len(self.levels)) + 1)

    def steps_left(self, state: State, b: int) -> int:
        return int(state.steps_left[b])

    def advanced(self, instance: Lesson, state: State, b: int) -> Lesson:
        return instance._replace(saved=dynamics.saved_row(state, b))

    def other_future(self, instance: Lesson, rng: np.random.Generator) -> Lesson:
        """The same learner with the same history; outcomes and noise from now on are others."""
        state = self.empty(1)
        self.fill(state, 0, instance)
        state.learner.random[0, 0] = rng.integers(1, 2**62) | 1
        return self.advanced(instance, state, 0)

    @property
    def solvers(self) -> Mapping[str, Entry]:
        from allocenv.problems.budget.planning import SOLVERS

        return SOLVERS

    def expert(self, instance: Lesson, steps: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        from allocenv.problems.budget.planning import expert

        return expert(self, instance, steps)

    def rank(self, costs: Array, rewards: FloatArray) -> tuple[float, ...]:
        return (float(costs[-1]),)

    def warm_up(self) -> None:
        from allocenv.problems.budget.planning import warm_up

        warm_up()

    def holding(self, instances: Sequence[Lesson]) -> "Budget":
        return replace(self, lessons=tuple(instances))

    def instance_set(self, name: str) -> Iterator[tuple[str, Lesson]]:
        return instance_set(self, name)

    def empty(self, n: int) -> State:
        return dynamics.empty_state(n, self.prompts, self.batch, self.pools, self.levels, self.form)

    def draw(self, rng: np.random.Generator) -> Lesson:
        if self.lessons:
            return self.lessons[int(rng.integers(len(self.lessons)))]
        return draw_lesson(rng, REAL_RUN, self.prompts, self.warm)

    def fill(self, state: State, b: int, instance: Lesson) -> None:
        dynamics.fill(REAL_RUN, self.form, state, b, instance, self.max_steps)

    def step(self, state: State, actions: IntArray, out: Outcome, lo: int, hi: int) -> None:
        dynamics.step(REAL_RUN, self.form, state, actions, out, lo, hi)

    def observe(self, state: State, out: Observation, lo: int, hi: int) -> None:
        observation.observe(self.form, state, out, lo, hi)

    def placement_mask(self, state: State, slots: IntArray, out: BoolArray, lo: int, hi: int) -> None:
        observation.placement_mask(state, slots, out, lo, hi)

    def placement_features(self, state: State, slots: IntArray, out: FloatArray, lo: int, hi: int) -> None:
        observation.placement_features(self.form, state, slots, out, lo, hi)

    def cost(self, state: State, b: int) -> float:
        return 1.0 - float(state.learner.mean_rate[b])

    def metrics(self, state: State, b: int) -> dict[str, float]:
        t = state.totals
        return {
            "objective": self.cost(state, b),
            "gain": 100.0 * float(state.learner.mean_rate[b] - state.begun[b]),
            "prompts_effective": float(t.effective[b] / max(t.groups[b], 1)),
            "rollouts_effective": float(t.used[b] / max(t.rollouts[b], 1)),
            "hard_solved": float(t.hard_solved[b] / max(t.hard[b], 1)),
            "tokens": float(t.tokens[b]),
            "most": float(t.most[b]),
            "illegal": float(t.illegal[b]),
        }

    def check(self, state: State, b: int) -> None:
        dynamics.check(REAL_RUN, state, b)
        resource_state.check(state.alloc, b)

    def render_text(self, state: State, b: int) -> str:
        return drawing.render_text(drawing.view_of_row(state, b))

    def render_figure(self, state: State, b: int) -> Any:
        return drawing.render_figure(drawing.view_of_row(state, b))
