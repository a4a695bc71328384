"""What do the compiled allocators share: random numbers, and making an assignment fit to be sent."""

import numpy as np

from allocenv.core.kernel import allocating_kernel, inlined


@inlined
def mixed(z):
    """A 64-bit mixture (splitmix64: Steele et al., 2014)."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@inlined
def below(bits, n):
    """A number below n from 32 random bits."""
    return np.int64(((bits & np.uint64(0xFFFFFFFF)) * np.uint64(n)) >> np.uint64(32))


@allocating_kernel
def tidied(cost, ability, need, value, assignment):
    """The assignment [F] without the teams that do not cover or do not pay, and without members to spare (the
    dearest leave first)."""
    f, k = ability.shape
    kept = assignment.copy()
    sums = np.zeros(k, np.int64)
    for o in range(need.shape[0]):
        sums[:] = 0
        total = 0.0
        for i in range(f):
            if kept[i] == o:
                total += cost[i, o]
                for r in range(k):
                    sums[r] += ability[i, r]
        covered = True
        for r in range(k):
            if sums[r] < need[o, r]:
                covered = False
        while covered:
            out = -1
            for i in range(f):
                if kept[i] != o or (out >= 0 and cost[i, o] <= cost[out, o]):
                    continue
                spare = True
                for r in range(k):
                    if sums[r] - ability[i, r] < need[o, r]:
                        spare = False
                if spare:
                    out = i
            if out < 0:
                break
            kept[out] = -1
            total -= cost[out, o]
            for r in range(k):
                sums[r] -= ability[out, r]
        if not covered or total >= value[o]:
            for i in range(f):
                if kept[i] == o:
                    kept[i] = -1
    return kept
