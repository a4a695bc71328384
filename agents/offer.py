"""What is a problem's command handed? What was learnt, and engines. Problems cannot import agents. Imports are lazy."""

from collections.abc import Mapping

from allocenv.core.policy import Policy
from allocenv.core.pool import Engine
from allocenv.core.problem import Problem
from allocenv.core.solver import Entry


class Learnt:
    """The trained policies of one problem, and where work can be done."""

    def __init__(self, problem_name: str) -> None:
        self.problem_name = problem_name

    def __call__(self, problem: Problem) -> Mapping[str, Entry]:
        """Those that are shipped, as solvers."""
        from allocenv.agents.solvers import shipped_solvers

        return shipped_solvers(self.problem_name, problem)

    def engine(self, name: str, address: str | None = None, processes: int | None = None) -> Engine:
        """The engine that the options of a command name. Raises ValueError where it cannot be had."""
        from allocenv.agents.engines.choice import Choice

        return Choice(name, address, processes)

    def of_run(self, run: str, problem: Problem) -> tuple[str, Policy]:
        """The best checkpoint of a run folder, for this problem, and the name it goes by.

        Raises:
            ValueError: no run folder, or the run of another problem.
        """
        from allocenv.agents.trained import learnt_policy

        return learnt_policy(run, self.problem_name, problem)
