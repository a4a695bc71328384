"""Coalition routing: robots travel to tasks, tasks wait for a team with all needed skills, the last one home counts."""

from allocenv.problems.task.routing.instance import Routing

__all__ = ["Routing"]
