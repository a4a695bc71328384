"""Whether the pricing kernel finds, for every machine, the change that is worth most."""

from itertools import product

import numpy as np
import pytest
from vm_crowded_clusters import crowded_cluster, rules_of

from allocenv.problems.vm.exact.columns import Pool
from allocenv.problems.vm.exact.generate import Generator, pricing_arguments
from allocenv.problems.vm.exact.kinds import kinds_of
from allocenv.problems.vm.exact.lattice import lattice_of
from allocenv.problems.vm.exact.master import Prices
from allocenv.problems.vm.exact.pricing import best_changes
from allocenv.problems.vm.exact.worth import worth_of


def pool_of(seed: int, objective: str) -> Pool:
    # one cell, or memory tied to cores: then nothing is relaxed, and pricing is exact
    cluster = crowded_cluster(seed, cells=1 + seed % 2, tied_memory=seed % 3 > 0)
    cluster = cluster.moved(cluster.bin_of, cluster.variant_of)
    rules = rules_of(cluster, objective)
    worth, kinds = worth_of(cluster, rules), kinds_of(cluster, rules)
    lattice = lattice_of(cluster, rules, worth, kinds)
    assert lattice is not None
    return Pool(cluster, rules, worth, kinds, lattice)


def every_change(pool: Pool, machine_type: int) -> np.ndarray:
    """All changes of a machine of the type, possible or not: [n, Q, 3]."""
    lattice, kinds = pool.lattice, pool.kinds
    ranges = []
    for kind in range(len(kinds.shape)):
        supply = int(kinds.before[kind].sum()) if lattice.enters[lattice.enters_of[machine_type], kind] else 0
        for part in range(3):
            used = part in lattice.part_of[kind]
            held = int(lattice.held[machine_type, kind, part])
            ranges.append(range(-held, supply + 1) if used else range(1))
    changes = [c for c in product(*ranges) if sum(map(abs, c)) <= 4]
    return np.array(changes, np.int64).reshape(-1, len(kinds.shape), 3)


@pytest.mark.parametrize("objective", ["cpu:4", "cpu:4x2", "0.6*cpu:3 + 0.4*memory:4", "cpu:4 + 0.5*empty"])
@pytest.mark.parametrize("seed", range(6))
def test_pricing_is_never_below_any_change_and_names_one_that_reaches_it(seed, objective):
    pool = pool_of(seed, objective)
    n_kinds, n_types = len(pool.kinds.shape), len(pool.n_of)
    rng = np.random.default_rng(seed)
    prices = Prices(rng.integers(-8, 9, n_kinds) / 8, int(rng.integers(0, 5)) / 8)
    value, change = np.empty(n_types), np.empty((n_types, n_kinds, 3), np.int64)
    best_changes(*pricing_arguments(pool), prices.kind, prices.move + pool.toll, value, change)
    for t in range(n_types):
        pool.add(np.full(1, t), change[[t]])
    for t in range(n_types):
        changes = every_change(pool, t)
        pool.add(np.full(len(changes), t), changes)
    columns = pool.columns
    worth = prices.worth(columns)
    for t in range(n_types):
        assert worth[columns.type == t].max() <= value[t] + 1e-9
        mine = (columns.type == t) & (columns.change == change[t]).all((1, 2))
        if mine.any():  # else an anti-affinity group, which pricing relaxes, forbids it
            assert worth[mine] == pytest.approx(value[t])
        else:
            assert (pool.cluster.group_of >= 0).any()


def test_prices_off_the_best_give_a_weaker_bound_only():
    pool = pool_of(1, "cpu:4")
    generator = Generator(pool.cluster, pool.rules, pool.worth, pool.kinds, pool.lattice, 2)
    generator.run(np.inf)
    value, change = np.empty(len(pool.n_of)), np.empty((len(pool.n_of), len(pool.kinds.shape), 3), np.int64)
    rng = np.random.default_rng(0)
    for _ in range(20):
        price, move = rng.random(len(pool.kinds.shape)), rng.random()
        best_changes(*pricing_arguments(pool), price, move + pool.toll, value, change)
        assert pool.n_of @ value + 2 * move >= generator.bound - 1e-9
