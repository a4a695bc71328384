"""Planning with a two-stage policy: the greedy trajectory, then many sampled ones; the best prefix is kept."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from allocenv.agents.two_stage.decoding import TwoStagePolicy
from allocenv.agents.two_stage.network import TwoStageNetwork
from allocenv.core.arrays import Array, IntArray
from allocenv.core.batch import Batch
from allocenv.core.clock import perf_counter
from allocenv.core.problem import Instance, Problem
from allocenv.core.solver import Solution, Solver, never

STEP_SECONDS, ROW_SECONDS = 1e-3, 5e-4  # of decoding a step, and of each row, between two looks at the clock
ROWS = 24  # trajectories side by side: enough to share the cost of a step, few enough for the processor's caches


class TwoStageSolver:
    """Decodes with the network until the time is up, or `trajectories` have been tried."""

    def __init__(self, network: TwoStageNetwork, trajectories: int | None = None, name: str = "two_stage") -> None:
        self.network, self.trajectories, self.name = network, trajectories, name

    def __call__(
        self,
        problem: Problem,
        instance: Instance,
        seconds: float,
        rng: np.random.Generator,
        start: Solution | None = None,
        stop: Callable[[], bool] = never,
    ) -> Solution:
        began = perf_counter()

        def over(rows: int = 1) -> bool:
            return stop() or perf_counter(STEP_SECONDS + ROW_SECONDS * rows) - began >= seconds

        best = trajectory(self.network, problem, instance, 1, None, over)
        tried = 1
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        while not over() and (self.trajectories is None or tried < self.trajectories):
            rows = ROWS if self.trajectories is None else min(ROWS, self.trajectories - tried)
            found = trajectory(self.network, problem, instance, rows, generator, partial(over, rows))
            best = min(best, found, key=lambda pair: pair[0])
            tried += rows
        if start is not None and start.objective <= best[0]:
            return start
        return Solution(best[1], best[0], found_by=self.name, seconds=perf_counter() - began)


class GuidedSolver:
    """A search that begins at the network's greedy trajectory instead of at nothing."""

    def __init__(self, network: TwoStageNetwork, search: Solver, name: str = "two_stage_guided") -> None:
        self.first, self.search = TwoStageSolver(network, 1, name), search

    def __call__(
        self,
        problem: Problem,
        instance: Instance,
        seconds: float,
        rng: np.random.Generator,
        start: Solution | None = None,
        stop: Callable[[], bool] = never,
    ) -> Solution:
        began = perf_counter()
        guess = self.first(problem, instance, seconds, rng, start, stop)
        left = seconds - (perf_counter() - began)
        return self.search(problem, instance, left, rng, guess, stop) if left > 0 else guess


def trajectory(
    network: TwoStageNetwork,
    problem: Problem,
    instance: Instance,
    rows: int,
    rng: torch.Generator | None,
    over: Callable[[], bool],
) -> tuple[float, IntArray]:
    """Decode `rows` trajectories side by side; the lowest objective on the way, and the actions up to it.

    Where slots last, no item is acted on twice: the choice depends on the state alone and would go in circles.
    """
    batch = Batch(problem, rows)
    batch.load([instance] * rows)
    policy = TwoStagePolicy(network, rng)
    done = np.zeros((rows, problem.sizes.slots), np.bool_)  # acted on
    if problem.lasting_slots:
        policy.barred = done
    costs, actions = [batch.costs()], []
    ended = np.zeros(rows, np.bool_)
    while not ended.all() and not over():
        chosen = policy(batch)
        chosen[ended] = problem.stop
        outcome = batch.step(chosen)
        ended |= outcome.terminated | outcome.truncated
        done[np.arange(rows), chosen[:, 0]] = True
        done[:, problem.stop[0]] = False
        actions.append(chosen)
        costs.append(np.where(outcome.illegal, np.inf, batch.costs()))
    table: Array = np.array(costs)  # [steps + 1, rows]
    length, row = np.unravel_index(int(table.argmin()), table.shape)
    taken = np.array(actions, np.int32).reshape(len(actions), rows, 2)[:length, row]
    return float(table[length, row]), taken
