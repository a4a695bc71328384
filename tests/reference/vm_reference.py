"""VM rescheduling by definition: dicts and loops, nothing kept up to date, nothing fast."""

from itertools import combinations

import numpy as np

HOST, RACK = 0, 1


def places(cluster, vm):
    """All (machine, variant) pairs that a VM could name."""
    n_variants = len(list(combinations(range(cluster.n_cells), cluster.shape_nodes[cluster.shape_of[vm]])))
    return [(pm, variant) for pm in range(cluster.n_pms) for variant in range(n_variants)]


def takes(cluster, vm, variant):
    """What the VM takes of a machine's resource rows, as that variant: {row: amount}."""
    shape = cluster.shape_of[vm]
    c, k = len(cluster.cell_resources), cluster.n_cells
    cells = list(combinations(range(k), cluster.shape_nodes[shape]))[variant]
    out = {}
    for cell in cells:
        for resource in range(c):
            out[cell * c + resource] = int(cluster.shape_demand[shape, resource])
    for p in range(len(cluster.host_resources)):
        out[k * c + p] = int(cluster.shape_demand[shape, c + p])
    return out


def free(cluster, bin_of, variant_of):
    """What is free: {(machine, row): amount}."""
    left = {
        (pm, row): int(cluster.capacity[row, pm])
        for pm in range(cluster.n_pms)
        for row in range(cluster.capacity.shape[0])
    }
    for vm in range(cluster.n_vms):
        for row, amount in takes(cluster, vm, variant_of[vm]).items():
            left[bin_of[vm], row] -= amount
    return left


def chunks(cluster, rules, t, left, pm):
    """How many chunks of term t fit on the machine."""
    size = int(rules.term_chunk[t])
    if rules.term_nodes[t] == 0:
        return left[pm, rules.term_resource[t]] // size
    cells = [left[pm, cell * rules.n_cell_resources + rules.term_resource[t]] // size for cell in range(rules.n_cells)]
    if rules.term_nodes[t] == 1:
        return sum(cells)
    pairs = 0  # take one of each of the two fullest cells, again and again
    while sorted(cells)[-2:][0] > 0 and len(cells) > 1:
        cells.sort()
        cells[-1] -= 1
        cells[-2] -= 1
        pairs += 1
    return pairs


def units(cluster, rules):
    """Of each term: its share of the objective a chunk, and its rate where there is no chunk at all."""
    left = free(cluster, cluster.bin_of, cluster.variant_of)
    out = []
    for t in range(len(rules.term_chunk)):
        on_host = rules.term_nodes[t] == 0
        rows = [rules.term_resource[t]]
        if not on_host:
            rows = [cell * rules.n_cell_resources + rules.term_resource[t] for cell in range(rules.n_cells)]
        total = sum(left[pm, row] for pm in range(cluster.n_pms) if cluster.active[pm] for row in rows)
        size = int(rules.term_chunk[t]) * (1 if on_host else int(rules.term_nodes[t]))
        weight = float(rules.term_weight[t])
        out.append((weight * size / total, weight) if total else (0.0, 0.0))
    return out


def objective(cluster, rules, bin_of, variant_of):
    """The weighted fragment rates, less the share of active machines without a VM."""
    left = free(cluster, bin_of, variant_of)
    active = [pm for pm in range(cluster.n_pms) if cluster.active[pm]]
    total = 0.0
    for t, (share, weight) in enumerate(units(cluster, rules)):
        total += weight - share * sum(chunks(cluster, rules, t, left, pm) for pm in active)
    emptied = sum(1 for pm in active if pm not in set(int(b) for b in bin_of))
    return total - rules.empty_weight * emptied / max(len(active), 1)


def price(cluster, rules, bin_of, variant_of):
    """What the displaced VMs cost, in the objective's unit."""
    unit = max(share for share, _ in units(cluster, rules))
    unit = max(unit, rules.empty_weight / max(int(cluster.active.sum()), 1)) or 1.0
    displaced = displaced_vms(cluster, bin_of, variant_of)
    return unit * rules.move_price * sum(float(cluster.cost[vm]) for vm in displaced)


def displaced_vms(cluster, bin_of, variant_of):
    return [
        vm
        for vm in range(cluster.n_vms)
        if (bin_of[vm], variant_of[vm]) != (cluster.bin_of[vm], cluster.variant_of[vm])
    ]


def is_legal(cluster, bin_of, variant_of, vm, pm, variant):
    """Whether the VM may move there now."""
    if (pm, variant) == (bin_of[vm], variant_of[vm]) or (pm, variant) not in places(cluster, vm):
        return False
    if not (cluster.movable[vm] and cluster.active[cluster.bin_of[vm]] and cluster.active[pm]):
        return False
    if not cluster.allowed[cluster.class_of[vm], pm]:
        return False
    after_bin, after_variant = np.array(bin_of), np.array(variant_of)
    after_bin[vm], after_variant[vm] = pm, variant
    left = free(cluster, after_bin, after_variant)
    needs = [row for row, amount in takes(cluster, vm, variant).items() if amount > 0]
    if any(left[pm, row] < 0 for row in needs):
        return False
    for group in cluster.group_of[vm]:
        if group < 0:
            continue
        domain = cluster.rack_of if cluster.group_scope[group] == RACK else np.arange(cluster.n_pms)
        others = [
            other
            for other in range(cluster.n_vms)
            if other != vm and group in cluster.group_of[other] and domain[bin_of[other]] == domain[pm]
        ]
        if len(others) >= cluster.group_limit[group]:
            return False
    return True


def legal_moves(cluster, bin_of, variant_of):
    return [
        (vm, pm, variant)
        for vm in range(cluster.n_vms)
        for pm, variant in places(cluster, vm)
        if is_legal(cluster, bin_of, variant_of, vm, pm, variant)
    ]


def replay(cluster, moves):
    """Where the VMs are after the moves, each of which has to be legal at its turn."""
    bin_of, variant_of = cluster.bin_of.copy(), cluster.variant_of.copy()
    for step, (vm, pm, variant) in enumerate(moves):
        assert is_legal(cluster, bin_of, variant_of, vm, pm, variant), f"move {step}: {vm, pm, variant}"
        bin_of[vm], variant_of[vm] = pm, variant
    return bin_of, variant_of


def best_reachable(cluster, rules, max_moves):
    """The least objective with price that any sequence of at most `max_moves` legal moves leads to."""
    start = (tuple(cluster.bin_of.tolist()), tuple(cluster.variant_of.tolist()))
    seen, layer = {start}, [start]
    best = objective(cluster, rules, *start)
    for _ in range(max_moves):
        following = []
        for bin_of, variant_of in layer:
            for vm, pm, variant in legal_moves(cluster, bin_of, variant_of):
                after = (
                    (*bin_of[:vm], pm, *bin_of[vm + 1 :]),
                    (*variant_of[:vm], variant, *variant_of[vm + 1 :]),
                )
                if after not in seen:
                    seen.add(after)
                    following.append(after)
                    best = min(best, objective(cluster, rules, *after) + price(cluster, rules, *after))
        layer = following
    return best
