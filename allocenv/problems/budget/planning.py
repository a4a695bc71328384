"""Who plans allocations? The policies of `policies.py`, played to the end of the episode.

Outcomes of a lesson are those of its seed, so a plan is good in hindsight: of a few policies the best is kept.
"""

from collections.abc import Callable

import numpy as np

from allocenv.core.arrays import FloatArray, IntArray
from allocenv.core.batch import Batch
from allocenv.core.clock import perf_counter
from allocenv.core.policy import Policy
from allocenv.core.problem import Problem
from allocenv.core.solver import Entry, Solution, never
from allocenv.problems.budget.instances import Lesson
from allocenv.problems.budget.policies import even, oracle_index, posterior_index, signal_index


def play(
    problem: Problem, lesson: Lesson, policy: Policy, steps: int | None = None, deadline: float = np.inf
) -> tuple[IntArray, FloatArray, float]:
    """Actions [n, 2] and rewards [n] of a policy until the episode ends, or steps or time do; the last cost."""
    batch = Batch(problem, 1)
    batch.load([lesson])
    actions: list[IntArray] = []
    rewards: list[float] = []
    most = problem.max_steps if steps is None else steps
    while len(actions) < most and perf_counter() < deadline:
        actions.append(policy(batch)[0].copy())
        outcome = batch.step(actions[-1][None])
        rewards.append(float(outcome.rewards[0]))
        if outcome.terminated[0] or outcome.truncated[0]:
            break
    return np.array(actions, np.int32).reshape(-1, 2), np.array(rewards, np.float32), float(batch.costs()[0])


def expert(problem: Problem, lesson: Lesson, steps: int) -> tuple[IntArray, FloatArray]:
    """What the index of the signal does in at most `steps` actions, and its rewards: no other rule earns as much."""
    actions, rewards, _ = play(problem, lesson, signal_index, steps)
    return actions, rewards


class PolicySolver:
    """A `Solver` that plays one policy."""

    def __init__(self, policy: Policy, name: str) -> None:
        self.policy, self.name = policy, name

    def __call__(
        self,
        problem: Problem,
        instance: Lesson,
        seconds: float,
        rng: np.random.Generator,
        start: Solution | None = None,
        stop: Callable[[], bool] = never,
    ) -> Solution:
        """See `Solver`."""
        began = perf_counter()
        actions, _, cost = play(problem, instance, self.policy, deadline=began + seconds)
        if start is not None and start.objective <= cost:
            return start
        return Solution(actions, cost, found_by=self.name, seconds=perf_counter() - began)


SOLVERS = {
    "even": Entry(PolicySolver(even, "even"), "quick"),
    "posterior_index": Entry(PolicySolver(posterior_index, "posterior_index"), "quick"),
    "signal_index": Entry(PolicySolver(signal_index, "signal_index"), "quick"),
    "oracle_index": Entry(PolicySolver(oracle_index, "oracle_index"), "none"),
}


def warm_up() -> None:
    """Compile what planning needs."""
    from allocenv.problems.budget.problem import Budget

    problem = Budget(prompts=8, batch=4, updates=1)
    expert(problem, problem.draw(np.random.default_rng(0)), 1)
