"""What does an allocator inside the environment believe? `DiscountedBeta`, written for batches of learners.

The estimator of `estimators/discounted_beta.py` for each of B rows, with the forget factor as an argument; a
test holds the two equal.
"""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, IntArray, LongArray
from allocenv.core.kernel import inlined, kernel
from allocenv.problems.budget.estimators.discounted_beta import LEAST, LEAST_GROUPS, MOST, PASSES, START


class Beliefs(NamedTuple):
    """Discounted counts of P prompts, sums over recent groups of the pool, and the last group of each prompt."""

    correct: Array  # [B, P]
    wrong: Array  # [B, P]
    pool: Array  # [B, 3]  groups, sum of k/n, sum of k(k-1)/(n(n-1))
    prior: Array  # [B, 2]  Beta of the pool
    visits: IntArray  # [B, P]
    met: LongArray  # [B, P]  update of the last visit, -1: never
    last: IntArray  # [B, P]  its outcome: NO_GROUP, ALL_WRONG, BOTH, ALL_RIGHT


NO_GROUP, ALL_WRONG, BOTH, ALL_RIGHT = range(4)


def empty_beliefs(n: int, prompts: int) -> Beliefs:
    """Arrays for `n` rows that have seen nothing."""
    return Beliefs(
        correct=np.zeros((n, prompts)),
        wrong=np.zeros((n, prompts)),
        pool=np.zeros((n, 3)),
        prior=np.tile(np.array(START), (n, 1)),
        visits=np.zeros((n, prompts), np.int32),
        met=np.full((n, prompts), -1, np.int64),
        last=np.zeros((n, prompts), np.int32),
    )


def forget_all(beliefs: Beliefs, b: int) -> None:
    """Let row b have seen nothing."""
    for name, array in beliefs._asdict().items():
        array[b] = START if name == "prior" else -1 if name == "met" else 0


@kernel
def observe_batch(x, s, b, forget):
    """Take in the batch at hand of row b."""
    groups, first, second = 0, 0.0, 0.0
    for j in range(s.prompt.shape[1]):
        i, n, k = s.prompt[b, j], s.rollouts[b, j], s.correct[b, j]
        if n == 0:
            continue
        x.correct[b, i] = forget * x.correct[b, i] + k
        x.wrong[b, i] = forget * x.wrong[b, i] + (n - k)
        x.visits[b, i] += 1
        x.met[b, i] = s.steps[b]
        x.last[b, i] = ALL_WRONG if k == 0 else ALL_RIGHT if k == n else BOTH
        if n >= 2:
            groups += 1
            first += k / n
            second += k * (k - 1) / (n * (n - 1))
    kept = np.exp(-groups / (PASSES * s.ease.shape[1]))
    x.pool[b, 0] = x.pool[b, 0] * kept + groups
    x.pool[b, 1] = x.pool[b, 1] * kept + first
    x.pool[b, 2] = x.pool[b, 2] * kept + second
    _renew_prior(x, b)


@inlined
def _renew_prior(x, b):
    groups = x.pool[b, 0]
    if groups >= LEAST_GROUPS:
        p, square = x.pool[b, 1] / groups, x.pool[b, 2] / groups
        strength = p * (1 - p) / max(square - p * p, 1e-3) - 1
        x.prior[b, 0] = min(max(p * strength, LEAST), MOST)
        x.prior[b, 1] = min(max((1 - p) * strength, LEAST), MOST)
