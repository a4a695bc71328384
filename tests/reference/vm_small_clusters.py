"""Random small snapshots for property tests: mixed machines, GPUs, anti-affinity, pins, inactive machines."""

from hypothesis import strategies as st

from allocenv.problems.vm.cluster import PM, VM, Group

HALF_CORE, GIB, HALF_GPU = 500, 1024, 500

OBJECTIVES = (
    "cpu:4",
    "cpu:8x2",
    "memory:4",
    "gpu:1",
    "empty",
    "0.7*cpu:4 + 0.3*memory:8",
    "0.5*cpu:4 + 0.5*cpu:8x2 + 0.25*empty",
)


@st.composite
def snapshots(draw, max_pms=4, max_vms=8):
    """(machines, VMs, groups): 1 to 4 cells a machine, cpu and memory on cells, gpu on the machine."""
    random = draw(st.randoms(use_true_random=False))
    n_cells = random.randint(1, 4)
    pms = [_pm(random, i, n_cells) for i in range(random.randint(1, max_pms))]
    vms = []
    room = {pm.id: ([dict(cell) for cell in pm.cells], dict(pm.own)) for pm in pms}
    for i in range(random.randint(0, max_vms)):
        vm = _vm(random, i, pms, room)
        if vm is not None:
            vms.append(vm)
    ids = [vm.id for vm in vms]
    groups = [
        Group(
            tuple(random.sample(ids, random.randint(2, len(ids)))),
            random.choice(("host", "rack")),
            random.randint(1, 2),
        )
        for _ in range(random.randint(0, 2) if len(ids) > 1 else 0)
    ]
    return pms, vms, groups


def _pm(random, i, n_cells):
    cell = {"cpu": HALF_CORE * random.randint(2, 24), "memory": GIB * random.randint(4, 24)}
    gpus = HALF_GPU * random.randint(0, 4)
    return PM(
        id=f"p{i}",
        cells=(cell,) * (n_cells if i == 0 else random.randint(1, n_cells)),
        own={"gpu": gpus},
        active=random.random() < 0.85,
        rack=random.choice("ab"),
    )


def _vm(random, i, pms, room):
    """A VM somewhere with room for it, or None where the machine that was tried has none."""
    pm = random.choice(pms)
    cells, own = room[pm.id]
    taken = tuple(random.sample(range(len(cells)), random.choice((1, 1, 1, min(2, len(cells)), 0))))
    per_cell = {"cpu": HALF_CORE * random.randint(0, 9), "memory": GIB * random.randint(0, 5)} if taken else {}
    needs = {"gpu": HALF_GPU * random.choice((0, 0, 1, 2))}
    if any(cells[k][name] < need for k in taken for name, need in per_cell.items()) or own["gpu"] < needs["gpu"]:
        return None
    for k in taken:
        for name, need in per_cell.items():
            cells[k][name] -= need
    own["gpu"] -= needs["gpu"]
    return VM(
        id=f"v{i}",
        pm=pm.id,
        cells=taken,
        per_cell=per_cell,
        own=needs,
        movable=random.random() < 0.9,
        cost=random.choice((0.5, 1.0, 2.0)),
        may_run_on=frozenset(random.sample([p.id for p in pms], random.randint(1, len(pms))))
        if random.random() < 0.2
        else None,
    )
