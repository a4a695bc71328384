"""Which columns make the best plan: the master problem, as a linear program and in whole numbers.

Every machine takes one column; of each kind of VM as many come in as leave; the moves are limited, or the
gain has to reach a goal. SciPy's HiGHS solves both (imported on first use).
"""

from math import ceil, floor
from typing import Any, NamedTuple

import numpy as np

from allocenv.core.arrays import Array, LongArray
from allocenv.core.clock import perf_counter
from allocenv.core.milp import run_milp
from allocenv.problems.vm.exact.columns import Columns, Pool

ROUNDING = 2.0**-20  # prices are multiples of it where gains come in steps: sums are then exact
SLIP = 1e-9
_FAR = 1_000.0  # moves a missing gain counts for while the known columns do not reach the goal


class Aim(NamedTuple):
    """What is sought: the largest gain less price of moves with at most `max_moves`; or, with a goal (a gain),
    the fewest moves that reach it. `grid`: all possible values are multiples of it (0: unknown)."""

    max_moves: int
    goal: float | None
    grid: float

    def rounded(self, bound: float) -> float:
        """The strongest bound that follows from this one."""
        if self.goal is not None:
            return float(ceil(bound - SLIP))
        return floor(bound / self.grid + SLIP) * self.grid if self.grid else bound

    def cost(self, columns: Columns) -> Array:
        """What is minimised, by column."""
        return columns.moves.astype(np.float64) if self.goal is not None else columns.price - columns.gain


class Prices(NamedTuple):
    """What taking in a VM of each kind costs a machine, and what a move does."""

    kind: Array  # [Q]
    move: float

    def worth(self, columns: Columns) -> Array:
        """What each column is worth at these prices [n]."""
        return columns.gain - columns.price - columns.balance @ self.kind - self.move * columns.moves


def linear_master(pool: Pool, aim: Aim) -> tuple[float, Prices]:
    """The value with fractions of columns, in the sense of `Aim` (a gain, or moves), and the prices that go with it."""
    from scipy.optimize import linprog
    from scipy.sparse import csr_matrix, hstack

    columns = pool.columns
    a, cost = _rows(pool, columns, aim), aim.cost(columns)
    if aim.goal is not None:  # gain out of nowhere, so that there is a solution from the start
        nowhere = csr_matrix(([-1.0], ([a.shape[0] - 1], [0])), (a.shape[0], 1))
        a, cost = hstack([a, nowhere]).tocsr(), np.append(cost, _FAR)
    n_types = len(pool.n_of)
    equal = np.concatenate([pool.n_of, np.zeros(len(pool.live))])
    limit = aim.max_moves if aim.goal is None else -aim.goal
    found = linprog(cost, A_ub=a[-1:], b_ub=[limit], A_eq=a[:-1], b_eq=equal, method="highs")
    kind = np.zeros(len(pool.kinds.shape))
    kind[pool.live] = -found.eqlin.marginals[n_types:]
    last = max(-float(found.ineqlin.marginals[0]), 0.0)
    if aim.goal is None:
        move, value = last, -float(found.fun)
    else:  # in units of gain
        move, value = 1 / max(last, 1 / _FAR), float(found.fun)
        kind *= move
    if aim.grid:
        kind, move = np.rint(kind / ROUNDING) * ROUNDING, float(np.rint(move / ROUNDING) * ROUNDING)
    return value, Prices(kind, move)


def whole_master(
    pool: Pool, columns: Columns, aim: Aim, bound: float, deadline: float, at_bound: bool = False
) -> tuple[float, LongArray] | None:
    """The best plan from whole numbers of the columns: its value in the sense of `Aim`, and counts [Q, N, V].

    No plan can be better than the bound; with `at_bound` no other will do. None: none found in time.
    """
    from scipy.optimize import Bounds, LinearConstraint

    cost = aim.cost(columns)
    equal = np.concatenate([pool.n_of, np.zeros(len(pool.live))])
    last = aim.max_moves if aim.goal is None else -aim.goal + SLIP
    end = -bound if aim.goal is None else bound
    constraints = [
        LinearConstraint(_rows(pool, columns, aim), np.append(equal, -np.inf), np.append(equal, last)),
        LinearConstraint(cost[None], end - SLIP, end + SLIP if at_bound else np.inf),
    ]
    if aim.goal is not None:
        constraints.append(LinearConstraint(columns.moves[None], -np.inf, aim.max_moves))
    racks, room = pool.racks(columns)
    if len(room):
        constraints.append(LinearConstraint(racks, -np.inf, room))
    found = run_milp(
        cost,
        deadline - perf_counter(),
        constraints=constraints,
        integrality=np.ones(len(cost)),
        bounds=Bounds(0, pool.n_of[columns.type].astype(np.float64)),
    )
    if found.x is None:
        return None
    times = np.rint(found.x).astype(np.int64)
    value = float(cost @ times)
    return value if aim.goal is not None else -value, pool.counts(columns, times)


def _rows(pool: Pool, columns: Columns, aim: Aim) -> Any:
    """One column per machine, balances of the kinds, and last the moves (or the gain, negative)."""
    from scipy.sparse import csr_matrix, vstack

    n = len(columns.type)
    one = csr_matrix((np.ones(n), (columns.type, np.arange(n))), (len(pool.n_of), n))
    last = columns.moves if aim.goal is None else -columns.gain
    balance = csr_matrix(columns.balance[:, pool.live].T.astype(np.float64))
    return vstack([one, balance, csr_matrix(last[None].astype(np.float64))]).tocsr()
