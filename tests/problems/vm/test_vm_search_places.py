"""Places sorted by what is free."""

import numpy as np
import pytest
import vm_reference as reference
from vm_examples import random_cluster

from allocenv.problems.vm.objective import Objective, compile_rules
from allocenv.problems.vm.search.compact import apply, compact, has_room, legal
from allocenv.problems.vm.search.places import BUCKETS, places_of, put


@pytest.mark.parametrize("n_cells", [1, 2, 3])
def test_every_place_with_room_lies_beyond_the_bucket_of_what_is_needed(n_cells):
    rng = np.random.default_rng(n_cells)
    cluster = random_cluster(rng, n_pms=4, n_vms=12, n_cells=n_cells)
    rules = compile_rules(Objective.parse("cpu:16"), n_cells, cluster.cell_resources, cluster.host_resources)
    layout = compact(cluster, rules)
    places = places_of(cluster, layout)
    for _ in range(15):
        moves = [
            (vm, *place)
            for vm in range(cluster.n_vms)
            for place in reference.places(cluster, vm)
            if legal(layout, vm, *place)
        ]
        vm, pm, variant = moves[rng.integers(len(moves))]
        source = int(layout.vms[vm, 0])
        apply(layout, vm, pm, variant)
        put(places, layout.room, source)
        put(places, layout.room, pm)
        for i in range(len(places.n_variants)):
            n = places.start[i, BUCKETS]
            assert n == cluster.active.sum() * places.n_variants[i]
            order = places.order[i, :n]
            assert (places.rank[i, order] == np.arange(n)).all()
            assert (np.diff(places.bucket[i, order]) >= 0).all()
            for bucket in range(BUCKETS):
                inside = order[places.start[i, bucket] : places.start[i, bucket + 1]]
                assert (places.bucket[i, inside] == bucket).all()
        for shape in range(len(cluster.shape_nodes)):
            i = places.class_of[shape]
            beyond = set(places.order[i, places.start[i, places.need[shape]] : places.start[i, BUCKETS]].tolist())
            for pm in np.flatnonzero(cluster.active):
                for variant in range(cluster.n_variants[shape]):
                    if has_room(layout, pm, shape, -1, variant):
                        assert (int(pm) << int(places.bits[i])) + variant in beyond
