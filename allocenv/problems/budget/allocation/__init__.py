"""How many rollouts does each prompt get? Exact allocation at equal costs, by tokens, and over pools."""

from allocenv.problems.budget.allocation.as_state import as_state as as_state
from allocenv.problems.budget.allocation.gain_table import take_largest as take_largest
from allocenv.problems.budget.allocation.greedy import Bounds as Bounds
from allocenv.problems.budget.allocation.greedy import allocate as allocate
from allocenv.problems.budget.allocation.greedy import bounds as bounds
from allocenv.problems.budget.allocation.pools import PoolAllocation as PoolAllocation
from allocenv.problems.budget.allocation.pools import allocate_in_pools as allocate_in_pools
from allocenv.problems.budget.allocation.pools import allocate_to_pools as allocate_to_pools
from allocenv.problems.budget.allocation.pools import allocate_to_pools_exactly as allocate_to_pools_exactly
from allocenv.problems.budget.allocation.token_costs import TokenAllocation as TokenAllocation
from allocenv.problems.budget.allocation.token_costs import allocate_tokens as allocate_tokens
from allocenv.problems.budget.allocation.token_costs import allocate_tokens_exactly as allocate_tokens_exactly
