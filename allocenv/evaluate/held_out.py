"""Instances that nobody trains on, for the curves of a training and its reference lines."""

from collections.abc import Mapping

import numpy as np

from allocenv.core.batch import Batch
from allocenv.core.policy import Policy
from allocenv.core.problem import Problem
from allocenv.core.solver import Solver

HELD_OUT_SEED = 900_000  # trainings draw from [seed, row] with far smaller seeds


class HeldOut:
    """`n` instances of a problem, always the same."""

    def __init__(self, problem: Problem, n: int = 16) -> None:
        self.problem = problem
        self.instances = [problem.draw(np.random.default_rng([HELD_OUT_SEED, i])) for i in range(n)]

    def __call__(self, policy: Policy) -> dict[str, float]:
        """Mean metrics at the end of the episodes, and the return."""
        batch = Batch(self.problem, len(self.instances))
        batch.load(self.instances)
        returns, over = np.zeros(batch.n), np.zeros(batch.n, np.bool_)
        final: list[dict[str, float]] = [{}] * batch.n
        while not over.all():
            actions = policy(batch)
            actions[over] = self.problem.stop
            outcome = batch.step(actions)
            returns += np.where(over, 0.0, outcome.rewards)
            ending = ~over & (outcome.terminated | outcome.truncated)
            for b in np.flatnonzero(ending):
                final[b] = self.problem.metrics(batch.state, int(b))
            over |= ending
        means = {name: float(np.mean([figures[name] for figures in final])) for name in final[0]}
        return {**means, "return": float(returns.mean())}

    def solved_by(self, solver: Solver, seconds: float) -> dict[str, float]:
        """The same figure for a solver with a time limit an instance."""
        found = [solver(self.problem, x, seconds, np.random.default_rng(i)) for i, x in enumerate(self.instances)]
        return {"objective": float(np.mean([solution.objective for solution in found]))}


def opponents(held_out: HeldOut, seconds: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Reference lines: solver name -> figures, each within its seconds an instance."""
    solvers = held_out.problem.solvers
    return {name: held_out.solved_by(solvers[name].solver, limit) for name, limit in seconds.items() if name in solvers}
