"""Which change of one machine is worth most at given prices: the pricing problem of column generation.

A VM of kind q that comes in costs `price[q]`, one that leaves earns it and pays for its move. Over the levels
of a cell this is a knapsack, solved by dynamic programming; VMs on both cells shift both levels at once.
"""

import numpy as np

from allocenv.core.kernel import allocating_kernel

NEVER = -1e18


@allocating_kernel
def best_changes(
    limit, size, parts, level, held_of, bundles, bundle_part, enters, enters_of, supply, gain, label, gain_of, joint,
    price, toll, value, change,
):  # fmt: skip
    """Write the largest gain of each type of machine [T] and the change that has it [T, Q, 3] (in less out).

    `bundles` [U, Q] are the distinct holdings of a part, `held_of` [T, 3] says which one a machine has,
    `bundle_part` [U] is 1 where they take both cells; `parts` [Q] is 1 for kinds that do. `toll` [Q] is what
    leaving costs.
    """
    n_kinds = size.shape[0]
    n_states = (limit[0] + 1) * (limit[1] + 1)
    width = (2 * limit[0] + 1) * (2 * limit[1] + 1)
    coming = np.empty((enters.shape[0], 2, n_kinds + 1, n_states))
    at_most = np.empty(n_kinds, np.int64)
    worth = np.empty(n_kinds)
    for e in range(enters.shape[0]):
        for both in range(2):
            for q in range(n_kinds):
                at_most[q] = supply[q] if enters[e, q] and parts[q] == both else 0
                worth[q] = -price[q]
            _knapsack(limit, size, at_most, worth, coming[e, both])
    for q in range(n_kinds):
        worth[q] = price[q] - toll[q]
    leaving = np.empty((n_kinds + 1, n_states))
    n_pairs = enters.shape[0]
    net = np.empty((bundles.shape[0] * n_pairs, width))
    reach = np.empty((bundles.shape[0] * n_pairs, width), np.int32)
    n_reach = np.full(bundles.shape[0] * n_pairs, -1, np.int64)
    top = np.empty(bundles.shape[0] * n_pairs)
    for t in range(level.shape[0]):
        for part in range(3):
            u = held_of[t, part]
            i = u * n_pairs + enters_of[t]
            if n_reach[i] < 0:
                _knapsack(limit, size, bundles[u], worth, leaving)
                n_reach[i], top[i] = _net(
                    limit, leaving[n_kinds], coming[enters_of[t], bundle_part[u], n_kinds], net[i], reach[i]
                )
    highest = gain.max()
    highest_joint = joint.max()
    n_labels = joint.shape[0]
    best = np.empty((2, n_labels))
    arg = np.empty((2, n_labels), np.int64)
    chosen = np.zeros(3, np.int64)
    base = limit[0] * (2 * limit[1] + 1) + limit[1]
    for t in range(level.shape[0]):
        value[t] = NEVER
        i0 = held_of[t, 0] * n_pairs + enters_of[t]
        i1 = held_of[t, 1] * n_pairs + enters_of[t]
        i2 = held_of[t, 2] * n_pairs + enters_of[t]
        for j in range(-1, n_reach[i2]):
            d = base if j < 0 else reach[i2, j]  # no change of VMs on both cells first: it is often best
            if net[i2, d] + top[i0] + top[i1] + 2 * highest + highest_joint <= value[t]:
                continue
            _best_of_cell(limit, level[t, 0], d, net[i0], reach[i0], n_reach[i0], gain, label, gain_of[t, 0], best[0],
                          arg[0])  # fmt: skip
            _best_of_cell(limit, level[t, 1], d, net[i1], reach[i1], n_reach[i1], gain, label, gain_of[t, 1], best[1],
                          arg[1])  # fmt: skip
            for a in range(n_labels):
                if best[0, a] == NEVER:
                    continue
                for b in range(n_labels):
                    if best[1, b] == NEVER:
                        continue
                    x = net[i2, d] + best[0, a] + best[1, b] + joint[a, b]
                    if x > value[t]:
                        value[t] = x
                        chosen[0], chosen[1], chosen[2] = arg[0, a], arg[1, b], d
        for part in range(3):
            u = held_of[t, part]
            _knapsack(limit, size, bundles[u], worth, leaving)
            for q in range(n_kinds):
                at_most[q] = supply[q] if enters[enters_of[t], q] and parts[q] == bundle_part[u] else 0
            _decode(limit, size, leaving, coming[enters_of[t], bundle_part[u]], bundles[u], at_most, worth, price,
                    chosen[part], change[t, :, part])  # fmt: skip


@allocating_kernel
def _knapsack(limit, size, at_most, worth, table):
    """table[i, s]: largest worth of a choice among the first i kinds that takes exactly the levels s."""
    span = limit[1] + 1
    table[0, :] = NEVER
    table[0, 0] = 0.0
    for q in range(size.shape[0]):
        step = size[q, 0] * span + size[q, 1]
        for s in range(table.shape[1]):
            table[q + 1, s] = table[q, s]
        if at_most[q] == 0 or step == 0:
            continue
        for s in range(table.shape[1]):
            if table[q, s] == NEVER:
                continue
            a, b = s // span, s % span
            x = table[q, s]
            for _ in range(at_most[q]):
                a += size[q, 0]
                b += size[q, 1]
                x += worth[q]
                if a > limit[0] or b > limit[1]:
                    break
                to = a * span + b
                if x > table[q + 1, to]:
                    table[q + 1, to] = x


@allocating_kernel
def _net(limit, leaving, coming, net, reach):
    """Best worth of each net change of the free levels, and the list of those within reach."""
    span = limit[1] + 1
    width = 2 * limit[1] + 1
    net[:] = NEVER
    for out in range(leaving.size):
        if leaving[out] == NEVER:
            continue
        for come in range(coming.size):
            if coming[come] == NEVER:
                continue
            x = leaving[out] + coming[come]
            e = (out // span - come // span + limit[0]) * width + out % span - come % span + limit[1]
            if x > net[e]:
                net[e] = x
    n = 0
    top = NEVER
    for e in range(net.size):
        if net[e] > NEVER:
            reach[n] = e
            n += 1
            top = max(top, net[e])
    return n, top


@allocating_kernel
def _best_of_cell(limit, level, shift, net, reach, n_reach, gain, label, row, best, arg):
    """For each label, the best worth of a cell whose levels VMs on both cells change by `shift` as well."""
    width = 2 * limit[1] + 1
    best[:] = NEVER
    a0 = level[0] + shift // width - 2 * limit[0]
    b0 = level[1] + shift % width - 2 * limit[1]
    for i in range(n_reach):
        e = reach[i]
        a = a0 + e // width
        b = b0 + e % width
        if a < 0 or a > limit[0] or b < 0 or b > limit[1]:
            continue
        s = a * (limit[1] + 1) + b
        x = net[e] + gain[row, s]
        if gain[row, s] > NEVER and x > best[label[row, s]]:
            best[label[row, s]] = x
            arg[label[row, s]] = e


@allocating_kernel
def _decode(limit, size, leaving, coming, most_out, most_in, worth, price, chosen, change):
    """The change [Q] behind a net change of the levels."""
    span = limit[1] + 1
    width = 2 * limit[1] + 1
    n_kinds = size.shape[0]
    best = NEVER
    best_out = best_come = 0
    for out in range(leaving.shape[1]):
        a = out // span - chosen // width + limit[0]
        b = out % span - chosen % width + limit[1]
        if leaving[n_kinds, out] == NEVER or a < 0 or a > limit[0] or b < 0 or b > limit[1]:
            continue
        x = leaving[n_kinds, out] + coming[n_kinds, a * span + b]
        if x > best:
            best, best_out, best_come = x, out, a * span + b
    for q in range(n_kinds - 1, -1, -1):
        n_out = _taken(limit, size[q], most_out[q], worth[q], leaving[q], best_out)
        n_in = _taken(limit, size[q], most_in[q], -price[q], coming[q], best_come)
        best_out -= n_out * (size[q, 0] * span + size[q, 1])
        best_come -= n_in * (size[q, 0] * span + size[q, 1])
        change[q] = n_in - n_out


@allocating_kernel
def _taken(limit, size, at_most, worth, before, s):
    """How many of the last kind the best choice for the levels s holds, given the table `before` that kind."""
    span = limit[1] + 1
    best, best_n = before[s], 0
    if size[0] + size[1] == 0:
        return 0
    for n in range(1, at_most + 1):
        a = s // span - n * size[0]
        b = s % span - n * size[1]
        if a < 0 or b < 0:
            break
        x = before[a * span + b]
        if x == NEVER:
            continue
        for _ in range(n):
            x += worth
        if x > best:
            best, best_n = x, n
    return best_n
