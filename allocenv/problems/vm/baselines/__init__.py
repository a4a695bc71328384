"""Baselines from the literature: what others do with the same limit of moves.

Each takes `(cluster, rules, max_moves, seconds, rng)` and returns moves [n, 3] (VM, PM, variant), each legal
at its turn.
"""

from allocenv.problems.vm.baselines.beam import beam
from allocenv.problems.vm.baselines.filter_score import filter_score
from allocenv.problems.vm.baselines.pop import pop
from allocenv.problems.vm.baselines.vector_packing import vector_packing

__all__ = ["beam", "filter_score", "pop", "vector_packing"]
