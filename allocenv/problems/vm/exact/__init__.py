"""Exact rescheduling: the best assignment within a limit of moves, with a proof."""

from allocenv.problems.vm.exact.solve import Exact, bound_only, solve_exact

__all__ = ["Exact", "bound_only", "solve_exact"]
