"""Searches over assignments: greedy, annealing, and the order in which a plan's moves are legal."""

from allocenv.problems.vm.search.annealing import anneal as anneal
from allocenv.problems.vm.search.compact import Plan as Plan
from allocenv.problems.vm.search.greedy import greedy as greedy
from allocenv.problems.vm.search.ordering import order_moves as order_moves
