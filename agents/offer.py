"""What is a problem's command handed of all that was learnt? Problems cannot import agents. Imports are lazy."""

from collections.abc import Mapping

from allocenv.core.policy import Policy
from allocenv.core.problem import Problem
from allocenv.core.solver import Entry


class Learnt:
    """The trained policies of one problem."""

    def __init__(self, problem_name: str) -> None:
        self.problem_name = problem_name

    def __call__(self, problem: Problem) -> Mapping[str, Entry]:
        """Those that are shipped, as solvers."""
        from allocenv.agents.solvers import shipped_solvers

        return shipped_solvers(self.problem_name, problem)

    def of_run(self, run: str, problem: Problem) -> tuple[str, Policy]:
        """The best checkpoint of a run folder, for this problem, and the name it goes by.

        Raises:
            ValueError: no run folder, or the run of another problem.
        """
        from allocenv.agents.trained import learnt_policy

        return learnt_policy(run, self.problem_name, problem)
