"""Small clusters for tests: one by one, or at random with every kind of rule."""

from allocenv.problems.vm.cluster import PM, VM, Group, build_cluster


def two_node_cluster(n_pms, vms, cores=44, **options):
    """`n_pms` machines of two nodes of `cores` cores; `vms` are (machine, cells, cores a cell)."""
    pms = [PM(f"pm{i}", ({"cpu": cores * 1000},) * 2, rack=f"r{i % 2}") for i in range(n_pms)]
    records = [VM(f"vm{i}", f"pm{pm}", cells, {"cpu": size * 1000}) for i, (pm, cells, size) in enumerate(vms)]
    return build_cluster("test", pms, records, options.get("groups", ()))


def random_cluster(rng, n_pms=3, n_vms=6, n_cells=2, rules=True):
    """A few machines and VMs with memory, a resource of the machine, pins, classes, groups and costs."""
    pms = [
        PM(
            f"pm{i}",
            tuple({"cpu": 1000 * int(rng.choice([24, 32])), "memory": 65536} for _ in range(n_cells)),
            {"disk": 12},
            active=not (rules and i == 0 and rng.random() < 0.2),
            rack=f"r{i % 2}",
        )
        for i in range(n_pms)
    ]
    free = {(i, k): [pms[i].cells[k]["cpu"], 65536] for i in range(n_pms) for k in range(n_cells)}
    disk = [12] * n_pms
    vms = []
    for _ in range(40 * n_vms):
        if len(vms) == n_vms:
            break
        pm, nodes = int(rng.integers(n_pms)), int(rng.integers(0 if rules else 1, min(n_cells, 2) + 1))
        cells = tuple(sorted(rng.permutation(n_cells)[:nodes].tolist()))
        cpu, memory, own = (
            1000 * int(rng.choice([2, 4, 6, 8, 12])),
            4096 * int(rng.integers(1, 6)),
            int(rng.integers(3)),
        )
        if disk[pm] < own or any(free[pm, k][0] < cpu or free[pm, k][1] < memory for k in cells):
            continue
        for k in cells:
            free[pm, k][0] -= cpu
            free[pm, k][1] -= memory
        disk[pm] -= own
        allowed = None
        if rules and rng.random() < 0.2:
            allowed = frozenset({f"pm{pm}", f"pm{int(rng.integers(n_pms))}"})
        vms.append(
            VM(
                f"vm{len(vms)}",
                f"pm{pm}",
                cells,
                {"cpu": cpu, "memory": memory} if nodes else {},
                {"disk": own},
                movable=not (rules and rng.random() < 0.1),
                cost=float(rng.choice([0.5, 1.0, 2.0])) if rules else 1.0,
                may_run_on=allowed,
            )
        )
    groups = []
    if rules and len(vms) > 2:
        for scope in ("host", "rack"):
            members = rng.permutation(len(vms))[: int(rng.integers(2, 4))]
            groups.append(Group(tuple(f"vm{i}" for i in members), scope, int(rng.integers(1, 3))))
    return build_cluster("random", pms, vms, groups)
