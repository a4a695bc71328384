"""What does it cost at least to cover a need? The linear relaxation, by the dual simplex method.

min c.x subject to A x >= b, 0 <= x <= 1: an entity may be sent in part. A lower bound of what any team costs,
and the yardstick of the patience rule (facts/task_allocation.md section 7). K rows are few (1 to 8), entities
many, so the basis is a K by K matrix that is kept as an inverse. Textbook: Chvatal, "Linear Programming", 1983,
chapters 8 and 10 (bounded variables, dual simplex).
"""

from typing import Any, NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray, LongArray
from allocenv.core.kernel import kernel

_EPSILON = 1e-9
MAX_PIVOTS = 1000


class Workspace(NamedTuple):
    """What `cover_cost` works in, a row each: made once, so that the kernel allocates nothing."""

    cost: Array  # [B, M]
    ability: Array  # [B, M, K]  in parts of the need
    reduced: Array  # [B, M + K]  reduced costs; the last K columns are surpluses
    at_upper: BoolArray  # [B, M]
    basis: LongArray  # [B, K]  column of each row
    in_basis: BoolArray  # [B, M + K]
    inverse: Array  # [B, K, K]
    x: Array  # [B, K]  basic values
    row: Array  # [B, M + K]  of the pivot
    column: Array  # [B, K]


def workspace(n: int, entities: int, abilities: int) -> Workspace:
    """Arrays for n rows of so many entities and abilities."""
    m, k = entities, abilities
    return Workspace(
        cost=np.zeros((n, m)),
        ability=np.zeros((n, m, k)),
        reduced=np.zeros((n, m + k)),
        at_upper=np.zeros((n, m), np.bool_),
        basis=np.zeros((n, k), np.int64),
        in_basis=np.zeros((n, m + k), np.bool_),
        inverse=np.zeros((n, k, k)),
        x=np.zeros((n, k)),
        row=np.zeros((n, m + k)),
        column=np.zeros((n, k)),
    )


@kernel
def cover_cost(w, b, m, k):
    """The least cost of covering a need of 1 in each of k abilities with the first m entities of row b of `w`;
    inf where all of them together cannot.

    Columns j < m are entities, m + r is the surplus of row r (coefficient -1). Starts from the surpluses, where
    nothing is sent, every reduced cost is a cost (>= 0) and every row is short of 1.
    """
    for r in range(k):
        w.basis[b, r] = m + r
        w.x[b, r] = -1.0
        for c in range(k):
            w.inverse[b, r, c] = -1.0 if r == c else 0.0
    for j in range(m):
        w.reduced[b, j] = w.cost[b, j]
        w.at_upper[b, j] = False
        w.in_basis[b, j] = False
    for r in range(k):
        w.reduced[b, m + r] = 0.0
        w.in_basis[b, m + r] = True
    for _ in range(MAX_PIVOTS):
        leave: Any = np.int64(-1)  # typed: a literal would compile what it is passed to once more
        worst = _EPSILON
        bound = 0.0
        for r in range(k):
            if -w.x[b, r] > worst:
                leave, worst, bound = r, -w.x[b, r], 0.0
            elif w.basis[b, r] < m and w.x[b, r] - 1.0 > worst:
                leave, worst, bound = r, w.x[b, r] - 1.0, 1.0
        if leave < 0:
            break
        enter = _entering(w, b, m, k, leave, bound)
        if enter < 0:
            return np.inf
        _pivot(w, b, m, k, leave, enter, bound)
    total = 0.0
    for j in range(m):
        if w.at_upper[b, j] and not w.in_basis[b, j]:
            total += w.cost[b, j]
    for r in range(k):
        if w.basis[b, r] < m:
            total += w.cost[b, w.basis[b, r]] * w.x[b, r]
    return total


@kernel
def _entering(w, b, m, k, leave, bound):
    """The column of the dual ratio test for the leaving row, or -1; writes the pivot row."""
    enter: Any = np.int64(-1)
    best = np.inf
    size = 0.0
    for j in range(m + k):
        w.row[b, j] = 0.0
        if w.in_basis[b, j]:
            continue
        alpha = 0.0
        if j < m:
            for r in range(k):
                alpha += w.inverse[b, leave, r] * w.ability[b, j, r]
        else:
            alpha = -w.inverse[b, leave, j - m]
        w.row[b, j] = alpha
        upper = j < m and w.at_upper[b, j]
        helps = alpha if bound > 0.0 else -alpha  # raising the column moves the leaving value to its bound
        if upper:
            helps = -helps
        if helps <= _EPSILON:
            continue
        ratio = abs(w.reduced[b, j]) / abs(alpha)
        if ratio < best - 1e-12 or (ratio < best + 1e-12 and abs(alpha) > size):
            enter, best, size = j, ratio, abs(alpha)
    return enter


@kernel
def _pivot(w, b, m, k, leave, enter, bound):
    """Swap the entering column for the leaving one and renew values, reduced costs and the inverse.

    The leaving value ends at `bound`, 0 or 1.
    """
    for r in range(k):
        total = 0.0
        if enter < m:
            for c in range(k):
                total += w.inverse[b, r, c] * w.ability[b, enter, c]
        else:
            total = -w.inverse[b, r, enter - m]
        w.column[b, r] = total
    change = (w.x[b, leave] - bound) / w.column[b, leave]
    ratio = w.reduced[b, enter] / w.row[b, enter]
    out = w.basis[b, leave]
    for j in range(m + k):
        if not w.in_basis[b, j]:
            w.reduced[b, j] -= ratio * w.row[b, j]
    w.reduced[b, enter] = 0.0
    w.reduced[b, out] = -ratio
    start = 1.0 if enter < m and w.at_upper[b, enter] else 0.0
    for r in range(k):
        w.x[b, r] -= change * w.column[b, r]
    w.x[b, leave] = start + change
    for c in range(k):
        w.inverse[b, leave, c] /= w.column[b, leave]
    for r in range(k):
        if r != leave and w.column[b, r] != 0.0:
            for c in range(k):
                w.inverse[b, r, c] -= w.column[b, r] * w.inverse[b, leave, c]
    w.basis[b, leave] = enter
    w.in_basis[b, enter] = True
    w.in_basis[b, out] = False
    if out < m:
        w.at_upper[b, out] = bound > 0.0
