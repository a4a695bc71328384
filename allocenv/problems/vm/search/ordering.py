"""In which order can the VMs move, so that every single step is legal, and gains come early?

Interchangeable VMs that would trade places stay where they are. The next move is the legal one that begins the
macro-move (VMs that leave one machine) with the largest gain per move. Where none is legal the moves block
each other in a cycle: other orders are tried, then a VM steps aside for a while if the budget allows, and only
then is the move that is missed least given up.
"""

import numpy as np

from allocenv.core.arrays import IntArray, LongArray
from allocenv.core.bits import next_bits, seeded
from allocenv.core.kernel import inlined, kernel
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.objective import Rules
from allocenv.problems.vm.search.compact import (
    BIN,
    KIND,
    SHAPE,
    VARIANT,
    Layout,
    apply,
    compact,
    copied,
    leave_gain,
    legal,
    move_gain,
)

ATTEMPTS = 50  # orders tried before a VM steps aside


def order_moves(
    cluster: Cluster,
    rules: Rules,
    target_bin: IntArray,
    target_variant: IntArray,
    max_moves: int | None = None,
) -> IntArray:
    """Moves [n, 3] (VM, PM, variant) that lead to the target, each legal at its turn.

    Without `max_moves` there are at most as many moves as displaced VMs. Where the target cannot be reached
    within the budget the last state comes as near to it as the moves allow.

    Raises:
        ValueError: the target moves a VM that may not move, or to a place that does not exist.
    """
    return ordered(compact(cluster, rules), target_bin, target_variant, max_moves)[0]


def ordered(
    layout: Layout,
    target_bin: IntArray | LongArray,
    target_variant: IntArray | LongArray,
    max_moves: int | None = None,
) -> tuple[IntArray, Layout]:
    """The moves from the layout (which stays as it is), and the layout they lead to."""
    wanted = wanted_moves(layout, target_bin, target_variant)
    tried = np.empty(wanted.shape, np.int64)
    budget = len(wanted) if max_moves is None else max_moves
    random = seeded(0)
    if len(wanted) <= budget:
        for attempt in range(ATTEMPTS):
            after = copied(layout)
            moves = np.empty(wanted.shape, np.int32)
            waiting = np.ones(len(wanted), np.bool_)
            n = _in_order(after, wanted, waiting, 0.0 if attempt == 0 else 1.0, random, tried, moves)
            if n == len(wanted):
                return moves, after
    after = copied(layout)
    moves = np.empty((budget, 3), np.int32)
    n = _by_force(after, wanted, np.ones(len(wanted), np.bool_), random, tried, moves)
    return moves[:n], after


def wanted_moves(layout: Layout, target_bin: IntArray | LongArray, target_variant: IntArray | LongArray) -> LongArray:
    """Who has to go where [n, 3], once interchangeable VMs that would trade places stay."""
    vms = layout.vms
    moved = np.flatnonzero((target_bin != vms[:, BIN]) | (target_variant != vms[:, VARIANT]))
    for vm in moved.tolist():
        pm, variant = int(target_bin[vm]), int(target_variant[vm])
        if not layout.movable[vm]:
            raise ValueError(f"Expected VM {vm} to stay on machine {vms[vm, BIN]}: it may not move.")
        if not (0 <= pm < len(layout.pms) and 0 <= variant < layout.n_variants[vms[vm, SHAPE]]):
            raise ValueError(f"Expected a place for VM {vm}, got machine {pm}, variant {variant}.")
    place = {vm: (int(vms[vm, BIN]), int(vms[vm, VARIANT])) for vm in moved.tolist()}
    target = {vm: (int(target_bin[vm]), int(target_variant[vm])) for vm in moved.tolist()}
    arriving: dict[tuple[int, tuple[int, int]], list[int]] = {}
    for vm, dest in target.items():
        arriving.setdefault((int(vms[vm, KIND]), dest), []).append(vm)
    for vm in place:
        kind = int(vms[vm, KIND])
        if vm not in target or not arriving.get((kind, place[vm])):
            continue
        other = arriving[kind, place[vm]].pop()  # goes where `vm` would have gone, and `vm` stays
        dest = target.pop(vm)
        arriving[kind, dest].remove(vm)
        if dest == place[other]:
            del target[other]
        else:
            target[other] = dest
            arriving[kind, dest].append(other)
    return np.array([(vm, *dest) for vm, dest in target.items()], np.int64).reshape(-1, 3)


@kernel
def _in_order(x, wanted, waiting, noise, random, tried, moves):
    """Make the waiting moves, the best first, until none is legal; how many could be made."""
    n = 0
    while n < wanted.shape[0]:
        best = _best_waiting(x, wanted, waiting, noise, random, tried)
        if best < 0:
            break
        _make(x, wanted, waiting, best, moves, n)
        n += 1
    return n


@kernel
def _make(x, wanted, waiting, i, moves, n):
    """Carry out the i-th wanted move as the n-th of the plan."""
    apply(x, wanted[i, 0], wanted[i, 1], wanted[i, 2])
    waiting[i] = False
    for column in range(3):
        moves[n, column] = wanted[i, column]


@kernel
def _best_waiting(x, wanted, waiting, noise, random, tried):
    """The waiting move that is legal and begins the best macro-move (with noise on top), or -1."""
    best, best_gain = -1, -np.inf
    for i in range(wanted.shape[0]):
        vm, pm, variant = wanted[i, 0], wanted[i, 1], wanted[i, 2]
        if waiting[i] and legal(x, vm, pm, variant):
            total = _macro_gain(x, wanted, waiting, i, tried)
            if noise > 0.0:
                total += noise * (next_bits(random) & 0xFFFF) / 0x10000
            if total > best_gain:
                best, best_gain = i, total
    return best


@kernel
def _macro_gain(x, wanted, waiting, i, tried):
    """Largest mean gain of move i and any number of the legal ones after it that leave the same machine.

    Those from the same cells come first. `tried` [n, 3] remembers where the VMs were, to put them back.
    """
    source, variant = x.vms[wanted[i, 0], BIN], x.vms[wanted[i, 0], VARIANT]
    total = _try(x, wanted, i, tried, 0)
    n, best = 1, total
    for same_cells in (True, False):
        for j in range(wanted.shape[0]):
            vm = wanted[j, 0]
            if not waiting[j] or x.vms[vm, BIN] != source or (x.vms[vm, VARIANT] == variant) != same_cells:
                continue
            if wanted[j, 1] != source and legal(x, vm, wanted[j, 1], wanted[j, 2]):
                total += _try(x, wanted, j, tried, n)
                n += 1
                best = max(best, total / n)
    for k in range(n - 1, -1, -1):
        apply(x, tried[k, 0], tried[k, 1], tried[k, 2])
    return best


@inlined
def _try(x, wanted, i, tried, n):
    """Make the i-th wanted move as the n-th tried one; what it gains."""
    vm = wanted[i, 0]
    gain = move_gain(x, vm, wanted[i, 1], wanted[i, 2])
    tried[n, 0], tried[n, 1], tried[n, 2] = vm, x.vms[vm, BIN], x.vms[vm, VARIANT]
    apply(x, vm, wanted[i, 1], wanted[i, 2])
    return gain


@kernel
def _by_force(x, wanted, waiting, random, tried, moves):
    """Like `_in_order`, but VMs step aside or their moves are given up where all block each other."""
    budget = moves.shape[0]
    n, n_waiting = 0, wanted.shape[0]
    while n < budget and n_waiting > 0:
        best = _best_waiting(x, wanted, waiting, 0.0, random, tried)
        if best >= 0:
            _make(x, wanted, waiting, best, moves, n)
            n += 1
            n_waiting -= 1
            continue
        aside, pm, variant = -1, -1, -1
        if n + n_waiting < budget:
            aside, pm, variant = _step_aside(x, wanted, waiting)
        if aside >= 0:
            moves[n, 0], moves[n, 1], moves[n, 2] = aside, pm, variant
            n += 1
        else:
            waiting[_least_missed(x, wanted, waiting)] = False
            n_waiting -= 1
    return n


@kernel
def _step_aside(x, wanted, waiting):
    """Move a waiting VM to a place not its own, so that another one's move becomes legal; or return -1."""
    for i in range(wanted.shape[0]):
        if not waiting[i]:
            continue
        vm = wanted[i, 0]
        source, now = x.vms[vm, BIN], x.vms[vm, VARIANT]
        best_pm, best_variant, best = -1, -1, -np.inf
        for pm in range(x.pms.shape[0]):
            for variant in range(x.n_variants[x.vms[vm, SHAPE]]):
                if pm != source and legal(x, vm, pm, variant):
                    total = move_gain(x, vm, pm, variant)
                    if total > best:
                        best_pm, best_variant, best = pm, variant, total
        if best_pm < 0:
            continue
        apply(x, vm, best_pm, best_variant)
        for j in range(wanted.shape[0]):
            if waiting[j] and j != i and legal(x, wanted[j, 0], wanted[j, 1], wanted[j, 2]):
                return vm, best_pm, best_variant
        apply(x, vm, source, now)
    return -1, -1, -1


@kernel
def _least_missed(x, wanted, waiting):
    """The waiting move whose VM's leaving gains least and that the fewest others wait for."""
    best, best_loss = -1, np.inf
    for i in range(wanted.shape[0]):
        if not waiting[i]:
            continue
        vm = wanted[i, 0]
        loss = leave_gain(x, vm)
        for j in range(wanted.shape[0]):
            if waiting[j] and j != i and wanted[j, 1] == x.vms[vm, BIN]:
                loss += 1.0
        if loss < best_loss:
            best, best_loss = i, loss
    return best
