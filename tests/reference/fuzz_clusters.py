"""Odd clusters that no sample shows: no VM, none that may move, no cells or many, unequal ones, huge amounts."""

import random
from collections.abc import Sequence

from allocenv.problems.vm.cluster import PM, VM, Cluster, Group, build_cluster

_CELL = [("cpu", "memory"), ("cpu", "memory"), ("cpu",), ("memory",), ("gpu",), ("gpu", "cpu", "memory", "x/y"), ()]
_OWN = [(), (), ("cpu", "memory"), ("gpu",), ("pods", "gpu"), ("memory",)]
_UNITS = [1, 100, 500, 500, 1000, 1000, 4000, 4000, 16_000, 16_000, 2**20, 2**24 + 1, 2**28]
_COSTS = [1.0, 1.0, 0.0, 2.5, 1e-30, 1e9]


def odd_cluster(rng: random.Random) -> Cluster:
    """A cluster of a few machines and VMs, much of it out of the ordinary. Raises ClusterError for some."""
    cell, own, unit = rng.choice(_CELL), rng.choice(_OWN), rng.choice(_UNITS)
    most_cells = rng.choice([0, 1, 2, 2, 2, 3, 9, 12])
    alike = rng.random() < 0.5
    first = _pm(rng, 0, most_cells, cell, own, unit)
    pms = [first]
    for n in range(1, rng.choice([1, 2, 3, 4, 6, 9])):
        pm = _pm(rng, n, most_cells, cell, own, unit)
        pms.append(PM(pm.id, first.cells, first.own, pm.active, pm.rack) if alike else pm)
    vms = _vms(rng, pms, rng.choice([0, 1, 5, 15, 30]), rng.choice([0.0, 0.9, 0.9, 1.0, 1.0]))
    return build_cluster("odd", pms, vms, _groups(rng, vms))


def _amount(rng: random.Random, unit: int) -> int:
    """Mostly a few units; at times nothing, or the most there can be."""
    draw = rng.random()
    if draw < 0.08:
        return 0
    if draw < 0.1:
        return 2**31 - rng.choice([0, 1, 1, 2])
    return min(unit * rng.randint(1, 12) + rng.choice([0, 0, 0, 1]), 2**31 - 1)


def _pm(rng: random.Random, n: int, most_cells: int, cell: Sequence[str], own: Sequence[str], unit: int) -> PM:
    n_cells = most_cells if rng.random() < 0.7 else rng.randint(0, most_cells)
    offer = {name: _amount(rng, unit) for name in cell}
    cells = [offer if rng.random() < 0.7 else {name: _amount(rng, unit) for name in cell} for _ in range(n_cells)]
    if cells and rng.random() < 0.1:
        cells[0] = {}
    return PM(
        id=f"p{n}",
        cells=tuple(cells),
        own={name: _amount(rng, unit) for name in own if rng.random() < 0.95},
        active=rng.random() < 0.85,
        rack=rng.choice("ab"),
    )


def _vms(rng: random.Random, pms: Sequence[PM], n: int, movable: float) -> list[VM]:
    """VMs that fit where they are, but for one in a hundred."""
    left = {pm.id: ([dict(cell) for cell in pm.cells], dict(pm.own)) for pm in pms}
    vms = []
    for i in range(n):
        pm = rng.choice(pms)
        cells, own = left[pm.id]
        taken = rng.sample(range(len(cells)), min(rng.choice([0, 1, 1, 2, rng.randint(0, 12)]), len(cells)))
        names = {name for k in taken for name in cells[k]}
        room = {name: min(cells[k].get(name, 0) for k in taken) for name in sorted(names)}
        per_cell, takes = _part(rng, room), _part(rng, own)
        for name, amount in per_cell.items():
            for k in taken:
                cells[k][name] = cells[k].get(name, 0) - amount
        for name, amount in takes.items():
            own[name] -= amount
        vms.append(
            VM(
                id=f"v{i}",
                pm=pm.id,
                cells=tuple(taken),
                per_cell=per_cell,
                own=takes,
                movable=rng.random() < movable,
                cost=rng.choice(_COSTS) if rng.random() < 0.995 else rng.choice([-1.0, 1e10, 1e300, float("nan")]),
                may_run_on=_some(rng, [pm.id for pm in pms]) if rng.random() < 0.15 else None,
            )
        )
    return vms


def _part(rng: random.Random, room: dict[str, int]) -> dict[str, int]:
    """Some of what is there, mostly a simple fraction; rarely one more than that."""
    takes = {}
    for name, amount in room.items():
        share = max(amount, 0) // rng.choice([1, 2, 2, 3, 4, 4, 5, 7, 8, 8, 10**9])
        takes[name] = share + (rng.random() < 0.005)
    return takes


def _groups(rng: random.Random, vms: Sequence[VM]) -> list[Group]:
    ids = [vm.id for vm in vms]
    return [
        Group(
            tuple(sorted(_some(rng, ids))),
            rng.choice(["host", "rack"]),
            rng.choice([1, 1, 1, 2, 2, 2**31 - 1] if rng.random() < 0.95 else [0, 2**31]),
        )
        for _ in range(rng.choice([0, 0, 1, 2]) if ids else 0)
    ]


def _some(rng: random.Random, names: Sequence[str]) -> frozenset[str]:
    return frozenset(rng.sample(names, rng.randint(int(len(names) > 0 and rng.random() < 0.9), len(names))))
