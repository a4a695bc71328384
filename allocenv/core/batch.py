"""B instances of one problem, stepped together. The only file that knows of threads."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from allocenv.core.arrays import Array, BoolArray, FloatArray, IntArray
from allocenv.core.problem import Instance, Observation, Outcome, Problem
from allocenv.core.state_dict import copy_arrays, load_arrays


class Batch:
    """The state of `n` instances and the generators that restart them.

    Row b draws from its own generator, seeded `[seed, b]`: row 0 of any batch is the single environment,
    bit by bit, and neither the batch size nor the number of threads changes a row.
    """

    def __init__(self, problem: Problem, n: int, seed: int = 0, threads: int = 1) -> None:
        if n < 1:
            raise ValueError(f"Expected a batch of at least 1 instance, got {n}.")
        if threads < 1:
            raise ValueError(f"Expected at least 1 thread, got {threads}.")
        self.problem = problem
        self.n = n
        self.state = problem.empty(n)
        self.outcome = Outcome(
            np.zeros(n, np.float32), np.zeros(n, np.bool_), np.zeros(n, np.bool_), np.zeros(n, np.bool_)
        )
        self._threads = min(threads, n)
        self._pool = ThreadPoolExecutor(self._threads) if self._threads > 1 else None
        self.seed(seed)

    def seed(self, seed: int) -> None:
        """Give every row a fresh generator."""
        self.rngs = [np.random.default_rng([seed, b]) for b in range(self.n)]

    def reset(self, seed: int | None = None) -> None:
        """Begin a fresh episode in every row."""
        if seed is not None:
            self.seed(seed)
        self.restart(range(self.n))

    def restart(self, rows: Iterable[int]) -> None:
        """Begin a fresh episode in these rows, each on an instance drawn by its own generator."""
        for b in rows:
            self.problem.fill(self.state, b, self.problem.draw(self.rngs[b]))

    def load(self, instances: Sequence[Instance]) -> None:
        """Begin an episode on the given instances, one a row."""
        if len(instances) != self.n:
            raise ValueError(f"Expected {self.n} instances, one a row, got {len(instances)}.")
        for b, instance in enumerate(instances):
            self.problem.fill(self.state, b, instance)

    def step(self, actions: IntArray) -> Outcome:
        """Carry out one action [B, 2] a row. The arrays returned are reused by the next step."""
        actions = np.ascontiguousarray(actions, np.int32)
        if actions.shape != (self.n, 2):
            raise ValueError(f"Expected actions of shape ({self.n}, 2), got {actions.shape}.")
        if self._pool is None:
            self.problem.step(self.state, actions, self.outcome, 0, self.n)
        else:
            self._split(lambda lo, hi: self.problem.step(self.state, actions, self.outcome, lo, hi))
        return self.outcome

    def observe(self) -> Observation:
        """What an agent sees, in fresh arrays."""
        out = Observation.zeros(self.n, self.problem.sizes)
        self.observe_into(out)
        return out

    def observe_into(self, blank: Observation) -> None:
        """Write what an agent sees into the arrays of `Observation.zeros`."""
        if self._pool is None:
            self.problem.observe(self.state, blank, 0, self.n)
        else:
            self._split(lambda lo, hi: self.problem.observe(self.state, blank, lo, hi))

    def observe_again(self, observation: Observation, rows: Iterable[int]) -> None:
        """Write what an agent sees of these rows into arrays of `observe`, over what they held there."""
        blank = Observation.zeros(1, self.problem.sizes)
        for b in rows:
            for array, nothing in zip(observation, blank, strict=True):
                array[b] = nothing[0]
            self.problem.observe(self.state, observation, b, b + 1)

    def placement_mask(self, slots: IntArray) -> BoolArray:
        """Which placements are legal for the chosen slot of each row: [B, N * V]."""
        out = np.zeros((self.n, self.problem.sizes.placements), np.bool_)
        slots = self._slots(slots)
        if self._pool is None:
            self.problem.placement_mask(self.state, slots, out, 0, self.n)
        else:
            self._split(lambda lo, hi: self.problem.placement_mask(self.state, slots, out, lo, hi))
        return out

    def placement_features(self, slots: IntArray) -> FloatArray:
        """What each placement would mean for the chosen slot of each row: [B, N * V, P]."""
        sizes = self.problem.sizes
        out = np.zeros((self.n, sizes.placements, sizes.placement_features), np.float32)
        slots = self._slots(slots)
        self._split(lambda lo, hi: self.problem.placement_features(self.state, slots, out, lo, hi))
        return out

    def costs(self) -> Array:
        """The objective of each row at this moment, float64: [B]."""
        return np.array([self.problem.cost(self.state, b) for b in range(self.n)])

    def state_dict(self) -> dict[str, Any]:
        """A copy of everything that decides what happens next: arrays and generators."""
        return {"state": copy_arrays(self.state), "rngs": [rng.bit_generator.state for rng in self.rngs]}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on exactly where `state_dict` was taken."""
        load_arrays(self.state, saved["state"])
        for rng, state in zip(self.rngs, saved["rngs"], strict=True):
            rng.bit_generator.state = state

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _slots(self, slots: IntArray) -> IntArray:
        slots = np.ascontiguousarray(slots, np.int32)
        if slots.shape != (self.n,):
            raise ValueError(f"Expected one slot a row, shape ({self.n},), got {slots.shape}.")
        return slots

    def _split(self, work: Callable[[int, int], None]) -> None:
        """Call `work(lo, hi)` over all rows, a range a thread."""
        if self._pool is None:
            work(0, self.n)
            return
        edges = np.linspace(0, self.n, self._threads + 1).astype(int).tolist()
        for done in [self._pool.submit(work, lo, hi) for lo, hi in itertools.pairwise(edges)]:
            done.result()
