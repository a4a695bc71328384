"""Generalised assignment: every job to one agent, no agent above its capacity, at the least cost (or most profit)."""

from allocenv.problems.task.gap.instance import GAP

__all__ = ["GAP"]
