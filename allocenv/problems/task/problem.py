"""Task allocation as a Problem: parameters, and the assembly of the files beside this one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from allocenv.core import resource_state
from allocenv.core.arrays import Array, BoolArray, FloatArray, IntArray
from allocenv.core.batch import Batch
from allocenv.core.problem import Observation, Outcome, Sizes
from allocenv.core.solver import Entry
from allocenv.core.state_dict import named_arrays
from allocenv.problems.task import drawing, dynamics, observation
from allocenv.problems.task.cover import Workspace, workspace
from allocenv.problems.task.instance_sets import instance_set
from allocenv.problems.task.instances import Given, Source
from allocenv.problems.task.mission import Mission, shuffled
from allocenv.problems.task.paper import acting
from allocenv.problems.task.paper.constants import VARIANTS, Constants, constants
from allocenv.problems.task.paper.grid import Paper, empty_paper
from allocenv.problems.task.presets import find_source, ranges_of, rules_of
from allocenv.problems.task.rules import EVENTS, PAPER_ELECTRIC, Rules

if TYPE_CHECKING:
    from allocenv.problems.task.rounds.batched import TeamRounds
    from allocenv.problems.task.teams.course import TeamCourse

MAX_STEPS = 1_000_000


class Episode(NamedTuple):
    """The model of B missions, and the published environments beside it (empty arrays in mode `fixed`)."""

    model: dynamics.State
    work: Workspace  # of the cover costs: holds nothing between calls
    paper: Paper
    target: IntArray  # [B, M]  slot that each entity is sent to, in the published environment


@dataclass(frozen=True)
class Task:
    """Multi-entity task allocation: which entities form which team, for which task, and when it pays to wait.

    Action: (entity, task slot): the free entity joins the team that forms for it. The slot after the last entity
        is nobody: (nobody, task slot) gives the forming team up, (nobody, last placement) waits until something
        happens. A team leaves once its abilities cover the need.

    Rewards: value less cost when a task is done, in units of the mission's mean value of a task (routing presets:
        an entity leaves at once, and what counts is the time until the last one is home, in units of mean work and
        travel).

    Start: all entities free where the mission has them; the first tasks in their slots, others arrive.

    End: truncated at the `horizon`, when no task is left, or after `step_limit` actions.

    Args:
        preset: rbf, material, electric, almighty, dcmrta or heteromrta: rules, and sizes by default.
        mode: `fixed`, or `paper`: time passes step for step as published, quirks included (needs the data folder).
        source: `generated`, `published` (the published instance; of rbf also `alt_tasks`, `agents_100`,
            `alt_tasks_agents_100`, `agents_30`), a file of missions, or a `Source`.
        n_entities: of generated missions: a number, or (low, high) to draw from; None: as the preset. So for
            n_slots (0: as many as tasks), n_tasks, n_abilities (at most 8 are told apart well by the observation).
        arrivals: tasks that arrive in a unit of time (Poisson); 0: all are there at the start.
        horizon: when the episode ends; None: as the preset. So for the following.
        decay: factor of a task's value for each unit of time, after `grace`.
        grace: time in a slot before the value decays.
        period: waiting ends at multiples of this at the latest; 0: at events only.
        commit: `team`: complete teams leave together; `single`: entities leave one by one and wait at the task.
        gamma_per_time: rewards earned at time t are multiplied by `gamma_per_time ** t` (semi-Markov discounting).
        step_limit: most actions of an episode.

    Source: Gong et al., "A two-stage reinforcement learning-based approach for multi-entity task allocation",
    Engineering Applications of AI, 2024; Dai et al., "Dynamic coalition formation and routing for multirobot task
    allocation via reinforcement learning", ICRA 2024.
    """

    preset: str = "rbf"
    mode: str = "fixed"
    source: str | Source = "generated"
    n_entities: int | tuple[int, ...] | None = None
    n_slots: int | tuple[int, ...] | None = None
    n_tasks: int | tuple[int, ...] | None = None
    n_abilities: int | tuple[int, ...] | None = None
    arrivals: float = 0.0
    horizon: float | None = None
    decay: float | None = None
    grace: float | None = None
    period: float | None = None
    commit: str | None = None
    gamma_per_time: float = 1.0
    step_limit: int = 3000

    def __post_init__(self) -> None:
        if not 1 <= self.step_limit <= MAX_STEPS:
            raise ValueError(f"Expected step_limit from 1 to {MAX_STEPS}, got {self.step_limit}.")
        if self.commit not in (None, "team", "single"):
            raise ValueError(f"Expected commit to be 'team' or 'single', got {self.commit!r}.")
        for name, low, high in (("horizon", 1e-6, 1e9), ("decay", 1e-6, 1.0), ("grace", 0.0, 1e9)):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ValueError(f"Expected {name} from {low:g} to {high:g}, got {value}.")
        if self.period is not None and not (self.period == 0 or 1e-6 <= self.period <= 1e9):
            raise ValueError(f"Expected period to be 0 or from 1e-06 to 1e+09, got {self.period}.")
        if not 1e-6 <= self.gamma_per_time <= 1:
            raise ValueError(f"Expected gamma_per_time from 1e-06 to 1, got {self.gamma_per_time}.")
        rules, _ = self.rules, self._ranges
        if self.mode == "paper":
            changed = [n for n in ("horizon", "decay", "grace", "commit") if getattr(self, n) is not None]
            changed += [n for n in ("n_entities", "n_slots", "n_tasks", "n_abilities") if getattr(self, n) is not None]
            if changed or self.arrivals:
                names = ", ".join(changed or ["arrivals"])
                raise ValueError(f"Expected mode 'paper' without {names}: it is as published.")
            if self.source not in ("generated", "published", *VARIANTS) and isinstance(self.source, str):
                raise ValueError(f"Expected in mode 'paper' the source 'published' or a variant, got {self.source!r}.")
        elif rules.single and rules.metric == 0 and rules.makespan:
            raise ValueError("Expected a metric where the makespan counts.")

    @classmethod
    def on(cls, mission: Mission, **params: Any) -> "Task":
        """The problem of one mission."""
        return cls(source=Given((mission,)), **params)

    @cached_property
    def rules(self) -> Rules:
        """The preset's rules, but for those given."""
        given = {name: getattr(self, name) for name in ("horizon", "decay", "grace", "period")}
        changed: dict[str, Any] = {name: float(value) for name, value in given.items() if value is not None}
        rules = rules_of(self.preset, self.mode)._replace(**changed, gamma=float(self.gamma_per_time))
        return rules if self.commit is None else rules._replace(single=self.commit == "single")

    @cached_property
    def _ranges(self) -> Any:
        names = ("entities", "slots", "tasks", "abilities")
        return ranges_of(self.preset, {name: getattr(self, f"n_{name}") for name in names})

    @cached_property
    def missions(self) -> Source:
        """Where episodes begin."""
        if not isinstance(self.source, str):
            return self.source
        return find_source(self.preset, self.mode, self.source, self._ranges, self.arrivals)

    @cached_property
    def published(self) -> Constants | None:
        """What the published step function takes, in paper mode (not of `almighty`, which one step decides)."""
        if self.rules.stepping == EVENTS:
            return None
        name = self.missions.draw(np.random.default_rng(0)).name
        return constants(self.preset, name.removeprefix(f"{self.preset}-"))

    @cached_property
    def shape(self) -> dynamics.Shape:
        return self.missions.shape

    @cached_property
    def sizes(self) -> Sizes:
        return Sizes(
            slots=self.shape.entities + 1,
            bins=self.shape.slots + 1,
            variants=1,
            slot_features=len(observation.SLOT_FEATURES),
            bin_features=len(observation.BIN_FEATURES),
            context=len(observation.CONTEXT),
            placement_features=len(observation.PLACEMENT_FEATURES),
        )

    @property
    def stop(self) -> tuple[int, int]:
        """Wait."""
        return self.shape.entities, self.shape.slots

    @property
    def lasting_slots(self) -> bool:
        return True

    @property
    def max_steps(self) -> int:
        return self.step_limit

    def steps_left(self, state: Episode, b: int) -> int:
        return 0 if state.model.over[b] else int(state.model.steps_left[b])

    def advanced(self, instance: Mission, state: Episode, b: int) -> Mission:
        return replace(instance, saved={name: array[b].copy() for name, array in named_arrays(state)})

    def other_future(self, instance: Mission, rng: np.random.Generator) -> Mission:
        """The mission with the tasks that come in its second half in another order."""
        return shuffled(instance, rng)

    @property
    def solvers(self) -> Mapping[str, Entry]:
        from allocenv.problems.task.planning import SOLVERS

        return SOLVERS

    def expert(self, instance: Mission, steps: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        from allocenv.problems.task.planning import expert

        return expert(self, instance, steps)

    def course(self, **settings: Any) -> "TeamCourse":
        """On what the agent `evolution` trains this problem's learnt policy."""
        from allocenv.problems.task.teams.course import TeamCourse

        return TeamCourse(self, **settings)

    def rounds(self, batch: Batch) -> "TeamRounds":
        """How the agent `preassign` sees and decides the rounds of a batch of this problem."""
        from allocenv.problems.task.rounds.batched import TeamRounds

        return TeamRounds(batch)

    def rank(self, costs: Array, rewards: FloatArray) -> tuple[float, ...]:
        return (float(costs[-1]),)

    def warm_up(self) -> None:
        from allocenv.problems.task.planning import warm_up

        warm_up()

    def holding(self, instances: Sequence[Mission]) -> "Task":
        return replace(self, source=Given(tuple(instances)))

    def instance_set(self, name: str) -> Iterator[tuple[str, Mission]]:
        return instance_set(self, name)

    def empty(self, n: int) -> Episode:
        shape = self.shape
        columns = 4 if self.rules.stepping == PAPER_ELECTRIC else 1 + shape.abilities
        paper = empty_paper(n, shape.entities, shape.slots, columns) if self.published else empty_paper(n, 0, 0, 0)
        target = np.full((n, shape.entities if self.published else 0), -1, np.int32)
        return Episode(dynamics.empty_state(n, shape), workspace(n, shape.entities, shape.abilities), paper, target)

    def draw(self, rng: np.random.Generator) -> Mission:
        return self.missions.draw(rng)

    def fill(self, state: Episode, b: int, instance: Mission) -> None:
        dynamics.fill(state.model, self.rules, b, instance, self.step_limit)
        if self.published is not None:
            acting.begin(self.published, self.rules, state.model, state.paper, b)
        if instance.saved is not None:
            _load_row(state, b, instance.saved)

    def step(self, state: Episode, actions: IntArray, out: Outcome, lo: int, hi: int) -> None:
        x = self.published
        if x is None:
            dynamics.step(self.rules, state.model, actions, out, lo, hi)
        else:
            acting.step(x, self.rules, state.model, state.paper, state.target, actions, out, lo, hi)

    def observe(self, state: Episode, out: Observation, lo: int, hi: int) -> None:
        observation.observe(self.rules, state.model, state.work, out, lo, hi)

    def placement_mask(self, state: Episode, slots: IntArray, out: BoolArray, lo: int, hi: int) -> None:
        observation.placement_mask(self.rules, state.model, slots, out, lo, hi)

    def placement_features(self, state: Episode, slots: IntArray, out: FloatArray, lo: int, hi: int) -> None:
        observation.placement_features(self.rules, state.model, state.work, slots, out, lo, hi)

    def cost(self, state: Episode, b: int) -> float:
        return float(dynamics.objective(self.rules, state.model, b))

    def metrics(self, state: Episode, b: int) -> dict[str, float]:
        s = state.model
        return {
            "objective": self.cost(state, b),
            "net": float(s.net[b]),
            "value": float(s.collected[b]),
            "cost": float(s.collected[b] - s.net[b]) if not self.rules.makespan else 0.0,
            "done": float(s.n_done[b]),
            "time": float(s.now[b]),
            "elapsed": float(s.elapsed[b]),
            "impossible": float(drawing.n_impossible(s, b)),
            "illegal": float(s.n_illegal[b]),
        }

    def check(self, state: Episode, b: int) -> None:
        resource_state.check_holding(state.model.alloc, b)
        dynamics.check(self.rules, state.model, state.work, b)

    def render_text(self, state: Episode, b: int) -> str:
        return drawing.render_text(drawing.view_of_row(self.rules, state.model, b))

    def render_figure(self, state: Episode, b: int) -> Any:
        return drawing.render_figure(drawing.view_of_row(self.rules, state.model, b))


def _load_row(state: Episode, b: int, saved: Mapping[str, Array]) -> None:
    """Write saved arrays into row b; entities, slots and tasks beyond those of either do not exist."""
    for name, array in named_arrays(state):
        value = saved[name]
        both = tuple(slice(min(sizes)) for sizes in zip(array.shape[1:], value.shape, strict=True))
        row: Any = array[b : b + 1]
        row[(0, *both)] = value[both]
