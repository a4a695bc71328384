"""Which change of one machine is worth most at given prices: the pricing problem of column generation.

A VM of kind q that comes in costs `price[q]`, one that leaves earns it and pays for its move. Over the levels
of a cell this is a knapsack, solved by dynamic programming; VMs on both cells shift both levels at once.
More room is never worth less, so only changes that no other beats in room and worth are looked at.
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
    n_sets = enters.shape[0]
    n_states = (limit[0] + 1) * (limit[1] + 1)
    n_nets = (2 * limit[0] + 1) * (2 * limit[1] + 1)
    coming = np.empty((n_sets, 2, n_kinds + 1, n_states))
    at_most = np.empty(n_kinds, np.int64)
    worth = np.empty(n_kinds)
    for e in range(n_sets):
        for both in range(2):
            for q in range(n_kinds):
                at_most[q] = supply[q] if enters[e, q] and parts[q] == both else 0
                worth[q] = -price[q]
            _knapsack(limit, size, at_most, worth, coming[e, both])
    for q in range(n_kinds):
        worth[q] = price[q] - toll[q]
    net = np.empty((bundles.shape[0] * n_sets, n_nets))
    reach = np.empty((bundles.shape[0] * n_sets, n_nets), np.int32)
    n_reach = np.full(bundles.shape[0] * n_sets, -1, np.int64)
    leaving = np.empty((n_kinds + 1, n_states))
    bar = np.empty(max(n_nets, n_states))
    some_out = np.empty(n_states, np.int32)
    some_in = np.empty(n_states, np.int32)
    for t in range(level.shape[0]):
        for part in range(3):
            u = held_of[t, part]
            i = u * n_sets + enters_of[t]
            if n_reach[i] < 0:
                _knapsack(limit, size, bundles[u], worth, leaving)
                n_out = _unbeaten(leaving[n_kinds], limit[1] + 1, True, bar, some_out)
                come = coming[enters_of[t], bundle_part[u], n_kinds]
                n_in = _unbeaten(come, limit[1] + 1, False, bar, some_in)
                _net(limit, leaving[n_kinds], some_out[:n_out], come, some_in[:n_in], net[i])
                n_reach[i] = _unbeaten(net[i], 2 * limit[1] + 1, True, bar, reach[i])
    n_labels = joint.shape[0]
    best = np.empty((2, n_labels))
    arg = np.empty((2, n_labels), np.int64)
    chosen = np.zeros(3, np.int64)
    for t in range(level.shape[0]):
        value[t] = NEVER
        both = held_of[t, 2] * n_sets + enters_of[t]
        for j in range(n_reach[both]):
            d = reach[both, j]
            for cell in range(2):
                i = held_of[t, cell] * n_sets + enters_of[t]
                _best_of_cell(limit, level[t, cell], d, net[i], reach[i, : n_reach[i]], gain[gain_of[t, cell]],
                              label[gain_of[t, cell]], best[cell], arg[cell])  # fmt: skip
            for a in range(n_labels):
                for b in range(n_labels):
                    if best[0, a] == NEVER or best[1, b] == NEVER:
                        continue
                    x = net[both, d] + best[0, a] + best[1, b] + joint[a, b]
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
def _unbeaten(worth, span, more, bar, chosen):
    """List the entries of a table over two levels that no other beats in worth and in levels; return how many.

    `more`: higher levels are better, else lower ones. `bar` is work space.
    """
    n = 0
    last = worth.size - 1
    for i in range(worth.size):
        s = last - i if more else i  # from the best levels to the worst
        side = 1 if more else -1
        high = NEVER
        if i % span > 0:
            high = bar[s + side]
        if i >= span:
            high = max(high, bar[s + side * span])
        bar[s] = max(high, worth[s])
        if worth[s] > high:
            chosen[n] = s
            n += 1
    return n


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
def _net(limit, leaving, some_out, coming, some_in, net):
    """Best worth of each net change of the free levels, from the listed ways out and in."""
    span = limit[1] + 1
    width = 2 * limit[1] + 1
    net[:] = NEVER
    for out in some_out:
        for come in some_in:
            e = (out // span - come // span + limit[0]) * width + out % span - come % span + limit[1]
            net[e] = max(net[e], leaving[out] + coming[come])


@allocating_kernel
def _best_of_cell(limit, level, shift, net, reach, gain, label, best, arg):
    """For each label, the best worth of a cell whose levels VMs on both cells change by `shift` as well."""
    width = 2 * limit[1] + 1
    best[:] = NEVER
    a0 = level[0] + shift // width - 2 * limit[0]
    b0 = level[1] + shift % width - 2 * limit[1]
    for e in reach:
        a = a0 + e // width
        b = b0 + e % width
        if a < 0 or a > limit[0] or b < 0 or b > limit[1]:
            continue
        s = a * (limit[1] + 1) + b
        x = net[e] + gain[s]
        if gain[s] > NEVER and x > best[label[s]]:
            best[label[s]] = x
            arg[label[s]] = e


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
