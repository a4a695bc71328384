"""VM rescheduling as a Problem: parameters, and the assembly of the files beside this one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from allocenv.core import resource_state
from allocenv.core.arrays import Array, BoolArray, FloatArray, IntArray
from allocenv.core.problem import Observation, Outcome, Sizes
from allocenv.core.solver import Entry
from allocenv.problems.vm import drawing, dynamics, episode, observation
from allocenv.problems.vm.cluster import MAX_COST, Cluster
from allocenv.problems.vm.episode import Episode
from allocenv.problems.vm.instance_sets import instance_set
from allocenv.problems.vm.objective import Objective, Rules, compile_rules
from allocenv.problems.vm.sources import Given, Source, find_source

MAX_MOVES = 1_000_000
MAX_PMS = 100_000  # of made-up clusters


@dataclass(frozen=True)
class VM:
    """VM rescheduling: at most `max_moves` migrations, so that free cores come in usable chunks.

    Action: (VM, machine * variants + variant): the VM migrates there, to that NUMA node; the last slot stops
        (placement 0). An illegal migration does nothing, takes a step and is penalised.

    Rewards: chunks won (1: one chunk of the objective's most valuable term), less `move_price` times the VM's cost.

    Start: a cluster as it stands, drawn from `source`.

    End: terminated by the stop, or once the objective is at `goal`; truncated after `max_moves` migrations.

    Args:
        source: `calibrated` (made up, `n_pms` machines; other kinds: see `sources.py`), `t1` (churned real
            clusters), `medium`, `large` (real snapshots), a snapshot file, or a `Source`.
        n_pms: machines of a made-up cluster.
        max_moves: migrations of an episode.
        objective: what is minimised, such as `cpu:16`; see `objective.py`.
        goal: the episode also ends once the objective is this low.
        move_price: reward lost per migration and unit of the VM's cost, in chunks.

    Source: Ding et al., "VMR2L: Virtual Machines Rescheduling Using Reinforcement Learning in Data Centers",
    EuroSys 2025.
    """

    source: str | Source = "calibrated"
    n_pms: int = 40
    objective: str = "cpu:16"
    max_moves: int = 50
    goal: float | None = None
    move_price: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.max_moves <= MAX_MOVES:
            raise ValueError(f"Expected max_moves from 1 to {MAX_MOVES}, got {self.max_moves}.")
        if not 1 <= self.n_pms <= MAX_PMS:
            raise ValueError(f"Expected n_pms from 1 to {MAX_PMS}, got {self.n_pms}.")
        Objective.parse(self.objective)
        if self.goal is not None and not np.isfinite(self.goal):
            raise ValueError(f"Expected a finite goal, got {self.goal}.")
        if not 0 <= self.move_price <= MAX_COST:
            raise ValueError(f"Expected move_price from 0 to {MAX_COST:g}, got {self.move_price}.")

    @classmethod
    def on(cls, cluster: Cluster, **params: Any) -> "VM":
        """The problem of one snapshot."""
        return cls(Given((cluster,)), **params)

    @cached_property
    def clusters(self) -> Source:
        """Where episodes begin."""
        return find_source(self.source, self.n_pms) if isinstance(self.source, str) else self.source

    @cached_property
    def rules(self) -> Rules:
        """The objective in the integers of the source's resources."""
        example = self.clusters.example
        return compile_rules(
            Objective.parse(self.objective),
            example.n_cells,
            example.cell_resources,
            example.host_resources,
            self.goal,
            self.move_price,
        )

    @cached_property
    def shape(self) -> dynamics.Shape:
        return self.clusters.limits._replace(terms=len(self.rules.term_resource))

    @cached_property
    def sizes(self) -> Sizes:
        return Sizes(
            slots=self.shape.vms + 1,
            bins=self.shape.pms,
            variants=self.shape.variants,
            slot_features=len(observation.SLOT_FEATURES),
            bin_features=len(observation.BIN_FEATURES),
            context=len(observation.CONTEXT),
            placement_features=len(observation.PLACEMENT_FEATURES),
        )

    @property
    def stop(self) -> tuple[int, int]:
        return self.shape.vms, 0

    @property
    def lasting_slots(self) -> bool:
        return True

    @property
    def max_steps(self) -> int:
        return self.max_moves

    def steps_left(self, state: Episode, b: int) -> int:
        return int(state.model.steps_left[b])

    def advanced(self, instance: Cluster, state: Episode, b: int) -> Cluster:
        alloc, m = state.model.alloc, instance.n_vms
        return instance.moved(alloc.bin_of[b, :m], alloc.variant_of[b, :m])

    @property
    def solvers(self) -> Mapping[str, Entry]:
        from allocenv.problems.vm.planning import SOLVERS

        return SOLVERS

    def expert(self, instance: Cluster, steps: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        from allocenv.problems.vm.planning import expert

        return expert(self, instance, steps)

    def rank(self, costs: Array, rewards: FloatArray) -> tuple[float, ...]:
        """The objective; with a price on moves the return; with a goal first that, then the number of moves."""
        if self.goal is not None:
            return max(float(costs[-1]) - self.goal, 0.0), float(len(rewards)), float(costs[-1])
        if self.move_price > 0:
            return (-float(rewards.sum()),)
        return (float(costs[-1]),)

    def warm_up(self) -> None:
        from allocenv.problems.vm.planning import warm_up

        warm_up()

    def holding(self, instances: Sequence[Cluster]) -> "VM":
        return replace(self, source=Given(tuple(instances)))

    def instance_set(self, name: str) -> Iterator[tuple[str, Cluster]]:
        return instance_set(self, name)

    def empty(self, n: int) -> Episode:
        cells = self.clusters.example.n_cells
        return Episode(
            dynamics.empty_state(n, self.shape),
            observation.empty_features(n, self.shape.vms, self.shape.pms, cells),
        )

    def draw(self, rng: np.random.Generator) -> Cluster:
        return self.clusters.draw(rng)

    def fill(self, state: Episode, b: int, instance: Cluster) -> None:
        dynamics.fill(state.model, self.rules, b, instance, self.max_moves)
        observation.rebuild(self.rules, state.model, state.seen, b)

    def step(self, state: Episode, actions: IntArray, out: Outcome, lo: int, hi: int) -> None:
        episode.step(self.rules, state, actions, out, lo, hi)

    def observe(self, state: Episode, out: Observation, lo: int, hi: int) -> None:
        out.slots[lo:hi] = state.seen.slots[lo:hi]
        out.bins[lo:hi] = state.seen.bins[lo:hi]
        observation.observe(self.rules, state.model, state.seen, out, lo, hi)

    def placement_mask(self, state: Episode, slots: IntArray, out: BoolArray, lo: int, hi: int) -> None:
        observation.placement_mask(state.model, slots, out, lo, hi)

    def placement_features(self, state: Episode, slots: IntArray, out: FloatArray, lo: int, hi: int) -> None:
        observation.placement_features(self.rules, state.model, state.seen, slots, out, lo, hi)

    def cost(self, state: Episode, b: int) -> float:
        return float(dynamics.objective(state.model, b))

    def metrics(self, state: Episode, b: int) -> dict[str, float]:
        model = state.model
        now = float(dynamics.objective(model, b))
        return {
            "objective": now,
            "gain": float(model.start[b]) - now,
            "moves": float(model.moves[b]),
            "emptied": float(model.n_emptied[b]),
            "illegal": float(model.n_illegal[b]),
        }

    def check(self, state: Episode, b: int) -> None:
        resource_state.check(state.model.alloc, b)
        dynamics.check(self.rules, state.model, b)
        observation.check(self.rules, state.model, state.seen, b)

    def render_text(self, state: Episode, b: int) -> str:
        return drawing.render_text(self._view(state, b))

    def render_figure(self, state: Episode, b: int) -> Any:
        return drawing.render_figure(self._view(state, b))

    def _view(self, state: Episode, b: int) -> drawing.View:
        return drawing.view_of_row(self.rules, state.model, b, self.clusters.example)
