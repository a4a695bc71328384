"""What a problem supplies. Everything else (batch, wrappers, agents, evaluation, planner) is generic.

An action is a pair (slot, placement). A slot is an item as the agent sees it; a placement is
`bin * n_variants + variant`. Kernels work on rows `lo..hi` and never on threads: see `core/batch.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np

from allocenv.core.arrays import Array, BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from allocenv.core.solver import Entry

State: TypeAlias = Any  # a problem's own NamedTuple of arrays; contains a ResourceState
Instance: TypeAlias = Any  # a problem's own description of one concrete situation


class Sizes(NamedTuple):
    """How large the arrays of one observation and the choices of one action are."""

    slots: int  # S
    bins: int  # N
    variants: int  # V: placements are N * V
    slot_features: int  # F
    bin_features: int  # G
    context: int  # C
    placement_features: int  # P

    @property
    def placements(self) -> int:
        return self.bins * self.variants


class Observation(NamedTuple):
    """What an agent sees of B instances; fresh arrays, float32 scaled to about [-1, 1]."""

    slots: FloatArray  # [B, S, F]
    bins: FloatArray  # [B, N, G]
    context: FloatArray  # [B, C]
    slot_mask: BoolArray  # [B, S]  slots with at least one legal placement
    slot_bin: IntArray  # [B, S]  the bin that holds the slot's item, or -1

    @classmethod
    def zeros(cls, n: int, sizes: Sizes) -> "Observation":
        slots, bins, _, slot_features, bin_features, context, _ = sizes
        slot_bin = np.empty((n, slots), np.int32)
        slot_bin.fill(-1)
        return cls(
            np.zeros((n, slots, slot_features), np.float32),
            np.zeros((n, bins, bin_features), np.float32),
            np.zeros((n, context), np.float32),
            np.zeros((n, slots), np.bool_),
            slot_bin,
        )

    def clear(self) -> None:
        """Make the arrays what `zeros` gives."""
        self.slots.fill(0.0)
        self.bins.fill(0.0)
        self.context.fill(0.0)
        self.slot_mask.fill(False)
        self.slot_bin.fill(-1)


class Outcome(NamedTuple):
    """What one step did to each row; the kernels write it."""

    rewards: FloatArray  # [B]
    terminated: BoolArray  # [B]  the episode has ended by the problem's own rule
    truncated: BoolArray  # [B]  it was cut off
    illegal: BoolArray  # [B]  the action was illegal: nothing was done, a penalty was given


@runtime_checkable
class Problem(Protocol):
    """Parameters of a problem and the functions that make it one."""

    @property
    def sizes(self) -> Sizes: ...

    @property
    def stop(self) -> tuple[int, int]:
        """The action that does nothing and, where the problem has one, ends the episode."""

    @property
    def lasting_slots(self) -> bool:
        """Whether a slot stands for the same item through a whole episode."""

    @property
    def max_steps(self) -> int:
        """No episode is longer."""

    def steps_left(self, state: State, b: int) -> int:
        """How many steps the episode of row b may still take."""

    def advanced(self, instance: Instance, state: State, b: int) -> Instance:
        """The instance, as it now stands in row b."""

    @property
    def solvers(self) -> Mapping[str, "Entry"]:
        """Name -> what plans for this problem, and its part in the portfolio."""

    def expert(self, instance: Instance, steps: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        """A good plan of at most `steps` actions [n, 2] and its rewards [n]; deterministic given `rng`."""

    def empty(self, n: int) -> State:
        """Arrays for `n` instances."""

    def draw(self, rng: np.random.Generator) -> Instance:
        """A fresh instance."""

    def fill(self, state: State, b: int, instance: Instance) -> None:
        """Begin an episode on the instance in row b."""

    def step(self, state: State, actions: IntArray, out: Outcome, lo: int, hi: int) -> None:
        """Carry out one action [B, 2] in each row. An illegal one does nothing and is penalised."""

    def observe(self, state: State, out: Observation, lo: int, hi: int) -> None:
        """Write what an agent sees."""

    def placement_mask(self, state: State, slots: IntArray, out: BoolArray, lo: int, hi: int) -> None:
        """Write which placements are legal for the chosen slot of each row: out is [B, N * V]."""

    def placement_features(self, state: State, slots: IntArray, out: FloatArray, lo: int, hi: int) -> None:
        """Write what each placement would mean for the chosen slot: out is [B, N * V, P]."""

    def cost(self, state: State, b: int) -> float:
        """The objective of row b at this moment; it is minimised."""

    def metrics(self, state: State, b: int) -> dict[str, float]:
        """Figures of row b worth a curve."""

    def check(self, state: State, b: int) -> None:
        """Raise ValueError where row b breaks an invariant."""

    def rank(self, costs: Array, rewards: FloatArray) -> tuple[float, ...]:
        """What plans are compared by, lower is better, given costs [n + 1] and rewards [n] along the plan."""

    def warm_up(self) -> None:
        """Compile or load every kernel that planning needs, so that no time limit pays for it."""

    def holding(self, instances: Sequence[Instance]) -> "Problem":
        """The same problem with arrays large enough for these instances, which its episodes then begin at."""

    def instance_set(self, name: str) -> Iterator[tuple[str, Instance]]:
        """The named, fixed instances to be judged on: pairs (label, instance)."""

    def render_text(self, state: State, b: int) -> str:
        """Row b for a terminal."""

    def render_figure(self, state: State, b: int) -> Any:
        """Row b as a matplotlib Figure."""
