"""The slow, obvious twin of exact rescheduling: try everything.

Two readings of "best": over all sequences of at most `max_moves` legal moves, and over all assignments that
displace at most as many VMs and are legal once reached. The second can only be lower; the two agree where an
order of legal moves exists without helpers.
"""

from itertools import combinations, product

from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.objective import Rules

Places = tuple[tuple[int, int], ...]  # (machine, variant) of each VM


def home(cluster: Cluster) -> Places:
    return tuple(zip(cluster.bin_of.tolist(), cluster.variant_of.tolist(), strict=True))


def free(cluster: Cluster, places: Places, pm: int, without: int = -1) -> list[int]:
    left = [int(x) for x in cluster.capacity[:, pm]]
    for vm, (at, variant) in enumerate(places):
        if at == pm and vm != without:
            need = cluster.demand[cluster.shape_of[vm], variant]
            left = [x - int(d) for x, d in zip(left, need, strict=True)]
    return left


def objective(cluster: Cluster, rules: Rules, places: Places) -> float:
    active = [n for n in range(cluster.n_pms) if cluster.active[n]]
    left = {n: free(cluster, places, n) for n in active}
    total = 0.0
    for r, size, nodes, weight in zip(
        rules.term_resource, rules.term_chunk, rules.term_nodes, rules.term_weight, strict=True
    ):
        rows = [r] if nodes == 0 else [r + k * rules.n_cell_resources for k in range(rules.n_cells)]
        amount = sum(left[n][row] for n in active for row in rows)
        chunks = 0
        for n in active:
            fit = [left[n][row] // int(size) for row in rows]
            if nodes == 2:
                while sum(x > 0 for x in fit) >= 2:  # a pair at a time, from the two fullest cells
                    a, b = sorted(range(len(fit)), key=lambda i: -fit[i])[:2]
                    fit[a] -= 1
                    fit[b] -= 1
                    chunks += 1
            else:
                chunks += sum(fit)
        if amount > 0:
            total += weight * (1 - int(size) * max(int(nodes), 1) * chunks / amount)
    empty = sum(all(at != n for at, _ in places) for n in active)
    return total - rules.empty_weight * empty / max(len(active), 1)


def unit(cluster: Cluster, rules: Rules) -> float:
    """Objective of the most valuable chunk or emptied machine."""
    active = [n for n in range(cluster.n_pms) if cluster.active[n]]
    values = [rules.empty_weight / max(len(active), 1)]
    for r, size, nodes, weight in zip(
        rules.term_resource, rules.term_chunk, rules.term_nodes, rules.term_weight, strict=True
    ):
        rows = [r] if nodes == 0 else [r + k * rules.n_cell_resources for k in range(rules.n_cells)]
        amount = sum(free(cluster, home(cluster), n)[row] for n in active for row in rows)
        values.append(weight * int(size) * max(int(nodes), 1) / amount if amount else 0.0)
    return max(values) or 1.0


def domain(cluster: Cluster, group: int, pm: int) -> int:
    return int(cluster.rack_of[pm]) if cluster.group_scope[group] else pm


def groups(cluster: Cluster, vm: int) -> list[int]:
    return [int(g) for g in cluster.group_of[vm] if g >= 0]


def others(cluster: Cluster, places: Places, vm: int, group: int, pm: int) -> int:
    """Other members of the group in the machine's domain."""
    where = domain(cluster, group, pm)
    return sum(
        m != vm and group in groups(cluster, m) and domain(cluster, group, at) == where
        for m, (at, _) in enumerate(places)
    )


def may_move(cluster: Cluster, vm: int) -> bool:
    return bool(cluster.movable[vm] and cluster.active[cluster.bin_of[vm]])


def may_be(cluster: Cluster, places: Places, vm: int, pm: int, variant: int) -> bool:
    """Whether the VM, wherever it is, may have come to the place last of all."""
    need = cluster.demand[cluster.shape_of[vm], variant]
    left = free(cluster, places, pm, without=vm)
    return (
        bool(cluster.active[pm] and cluster.allowed[cluster.class_of[vm], pm])
        and all(d <= x for d, x in zip(need, left, strict=True) if d > 0)
        and all(others(cluster, places, vm, g, pm) < cluster.group_limit[g] for g in groups(cluster, vm))
    )


def destinations(cluster: Cluster, vm: int) -> list[tuple[int, int]]:
    variants = range(int(cluster.n_variants[cluster.shape_of[vm]]))
    return [(pm, v) for pm in range(cluster.n_pms) for v in variants]


def after_sequences(cluster: Cluster, max_moves: int) -> dict[Places, tuple[int, float]]:
    """Every state that at most `max_moves` legal moves lead to: fewest moves, and least cost."""
    known = {home(cluster): (0, 0.0)}
    edge = dict(known)
    for step in range(1, max_moves + 1):
        reached: dict[Places, tuple[int, float]] = {}
        for places, (_, cost) in edge.items():
            for vm in range(cluster.n_vms):
                if not may_move(cluster, vm):
                    continue
                for pm, variant in destinations(cluster, vm):
                    if (pm, variant) == places[vm] or not may_be(cluster, places, vm, pm, variant):
                        continue
                    new = (*places[:vm], (pm, variant), *places[vm + 1 :])
                    paid = cost + float(cluster.cost[vm])
                    if new not in reached or paid < reached[new][1]:
                        reached[new] = (step, paid)
        edge = {}
        for places, (moves, cost) in reached.items():
            if places not in known or cost < known[places][1]:
                fewest = min(moves, known[places][0]) if places in known else moves
                known[places] = (fewest, cost)
                edge[places] = known[places]
    return known


def after_displacing(cluster: Cluster, max_moves: int) -> dict[Places, tuple[int, float]]:
    """Every assignment that displaces at most `max_moves` VMs and is legal once reached: moves and cost."""
    start = home(cluster)
    able = [vm for vm in range(cluster.n_vms) if may_move(cluster, vm)]
    found = {}
    for n in range(max_moves + 1):
        for vms in combinations(able, n):
            for goals in product(*(destinations(cluster, vm) for vm in vms)):
                if any(goal == start[vm] for vm, goal in zip(vms, goals, strict=True)):
                    continue
                places = list(start)
                for vm, goal in zip(vms, goals, strict=True):
                    places[vm] = goal
                now = tuple(places)
                if all(may_be(cluster, now, vm, *now[vm]) for vm in vms):
                    found[now] = (n, sum(float(cluster.cost[vm]) for vm in vms))
    return found


def lowest(cluster: Cluster, rules: Rules, states: dict[Places, tuple[int, float]]) -> float:
    """The lowest objective plus price of moves among the states."""
    price = rules.move_price * unit(cluster, rules)
    return min(objective(cluster, rules, places) + price * cost for places, (_, cost) in states.items())


def fewest(cluster: Cluster, rules: Rules, states: dict[Places, tuple[int, float]]) -> int | None:
    """The fewest moves to a state with an objective at the goal, if there is one."""
    counts = [n for places, (n, _) in states.items() if objective(cluster, rules, places) <= rules.goal]
    return min(counts, default=None)
