"""The plain tables: defaults, fractions, groups, and errors that name the line."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from real_data import real_data
from small_clusters import random_cluster

from allocenv.core.files import InputError
from allocenv.problems.vm.cluster import PM, VM, ClusterError, Group, build_cluster
from allocenv.problems.vm.formats import read_cluster, read_table, write_table

SAMPLE = Path(__file__).parents[3] / "data" / "vm" / "table"


def same(left, right) -> None:
    for name in set(left.__dataclass_fields__) - {"source"}:
        a, b = getattr(left, name), getattr(right, name)
        assert np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b, name


def test_the_sample_means_what_it_says() -> None:
    cluster = read_cluster(SAMPLE)
    assert cluster.capacity.T.tolist() == [
        [16000, 65536, 16000, 65536, 2000],  # 32 cores and 128 GiB on two nodes, 2 GPUs
        [16000, 65536, 16000, 65536, 500],
        [8000, 16896, 0, 0, 0],  # one node of 8 cores and 16.5 GiB
    ]
    assert cluster.active.tolist() == [True, True, False]
    cells = [cluster.cells_of(m, int(cluster.variant_of[m])) for m in range(cluster.n_vms)]
    # d (20 cores) before c (4 cores): no node has 20, so both; then c the first of two equal ones.
    assert cells == [(1,), (0, 1), (0,), (0, 1), (0,)]
    assert cluster.shape_demand[cluster.shape_of].tolist() == [
        [4000, 8192, 1000], [4000, 8192, 0], [4000, 8192, 500], [10000, 20480, 0], [500, 256, 0],
    ]  # fmt: skip
    assert cluster.movable.tolist() == [True, True, False, True, True]
    assert cluster.cost.tolist() == [1, 2.5, 1, 1, 1]
    assert cluster.allowed[cluster.class_of[1]].tolist() == [True, True, False]
    assert cluster.group_scope.tolist() == [0, 1, 1]  # db; x, y
    assert cluster.group_of.tolist() == [[0, -1], [-1, -1], [0, 1], [1, 2], [2, -1]]


def test_either_file_or_both_by_other_names_will_do(tmp_path: Path) -> None:
    expected = read_cluster(SAMPLE)
    same(read_cluster(SAMPLE / "pms.csv"), expected)
    same(read_cluster(SAMPLE / "vms.csv"), expected)
    shutil.copy(SAMPLE / "pms.csv", tmp_path / "hosts.csv")
    shutil.copy(SAMPLE / "vms.csv", tmp_path / "guests.csv")
    same(read_table(tmp_path / "hosts.csv", tmp_path / "guests.csv"), expected)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    cluster = read_cluster(SAMPLE)
    write_table(cluster, tmp_path)
    same(read_cluster(tmp_path), cluster)


@pytest.mark.data
def test_a_real_cluster_survives_the_tables(tmp_path: Path) -> None:
    cluster = read_cluster(real_data("vm/bytedance/medium.json.gz"))
    write_table(cluster, tmp_path)
    same(read_cluster(tmp_path), cluster)


def test_vms_without_nodes_take_the_fullest_that_has_room(tmp_path: Path) -> None:
    (tmp_path / "pms.csv").write_text("id,cpu,memory_gib,numa\na,16,16,2\n")
    (tmp_path / "vms.csv").write_text("id,pm,cpu,memory_gib,numa_nodes\nv,a,3,1,1\nw,a,5,1,\nx,a,3,1,\n")
    cluster = read_cluster(tmp_path)
    cells = [cluster.cells_of(m, int(cluster.variant_of[m])) for m in range(3)]
    # Free 8 and 5: w (5) is placed before x and goes to node 1, x then has only node 0.
    assert cells == [(1,), (1,), (0,)]


@pytest.mark.parametrize(
    ("pms", "vms", "groups"),
    [
        ([PM("a", ({"gpu": 1000},), {"cpu": 1000})], [], []),
        ([PM("a", ({"cpu": 1000, "memory": 1}, {"cpu": 2000, "memory": 1}))], [], []),
        ([PM("a;b", ({"cpu": 1000, "memory": 1},))], [], []),
        ([PM("a", ({"cpu": 1000, "memory": 1},), {"group": 1})], [], []),
        ([PM("a", ({"cpu": 1000, "memory": 1},))], [VM("v", "a", (), {})], []),
        ([PM("a", ({"cpu": 1000, "memory": 1},))], [VM("v", "a", (0,), {})], [Group(("v",), limit=2)]),
    ],
)
def test_what_the_tables_cannot_say_is_not_written(tmp_path: Path, pms, vms, groups) -> None:
    with pytest.raises(ClusterError, match=r"the tables know no more"):
        write_table(build_cluster("x", pms, vms, groups), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seed", range(4))
def test_random_clusters_survive_the_tables(tmp_path: Path, seed: int) -> None:
    cluster = random_cluster(seed)
    plain = build_cluster_without_limits(cluster)
    write_table(plain, tmp_path)
    found = read_cluster(tmp_path)
    assert np.array_equal(found.used, plain.used)
    assert np.array_equal(found.bin_of, plain.bin_of)
    assert np.array_equal(found.allowed[found.class_of], plain.allowed[plain.class_of])


def build_cluster_without_limits(cluster):
    values = {name: getattr(cluster, name) for name in cluster.__dataclass_fields__}
    return type(cluster)(**{**values, "group_limit": np.ones_like(cluster.group_limit)})


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("pms.csv", "cpu", "cores", "rack, status, gpu', expected a column cpu"),
        ("pms.csv", "gpu", "cpu", "header: found 'cpu', expected a different name for each column"),
        ("pms.csv", "gpu", "movable", "header: found 'movable', expected one of id"),
        ("vms.csv", "cost", "price", "header: found 'price', expected one of id, pm"),
        ("pms.csv", "h2,32", "h2,many", "pms.csv: line 3, column cpu: found 'many', expected a number"),
        ("pms.csv", "h2,32", "h2,-1", "line 3, column cpu: found '-1'"),
        ("pms.csv", "h2,32", "h2,nan", "line 3, column cpu: found 'nan'"),
        ("pms.csv", "h2,32", "h1,32", "column id: found 'h1', expected a different id on each line"),
        ("pms.csv", "128,2,r1", "128,0.5,r1", "column numa: found '0.5', expected a number from 1 to 64"),
        ("pms.csv", "0.5", "half", "line 3, column gpu: found 'half'"),
        ("vms.csv", "a,h1", "a,h9", "vms.csv: line 2, column pm: found 'h9', expected the id of a machine"),
        ("vms.csv", "0+1", "0+2", "line 3, column numa_nodes: found '0+2', expected different nodes of h1"),
        ("vms.csv", "0+1", "1+1", "line 3, column numa_nodes: found '1+1'"),
        ("vms.csv", "d,h2,20", "d,h2,33", "line 5, column numa_nodes: found '', expected room for it on h2"),
        ("vms.csv", "false", "maybe", "line 4, column movable: found 'maybe', expected true or false"),
        ("vms.csv", "2.5", "inf", "line 3, column cost: found 'inf'"),
        ("vms.csv", "h1;h2", "h1;h7", "permitted hosts: found 'h7'"),
        ("vms.csv", "e,h3,0.5,0.25", "e,h3,0,0", "line 6, column cpu: found '0', expected more than 0"),
        ("vms.csv", "e,h3", "d,h3", "VM id: found 'd'"),
        ("vms.csv", "a,h1", '"a,h1', "line 6: found 'unexpected end of data'"),
        ("vms.csv", "y,,\n", "y,,\nf,h1\n", "line 6: found '2 cells', expected 11, as in the header"),
    ],
)  # fmt: skip
def test_a_broken_cell_is_named(tmp_path: Path, file: str, old: str, new: str, message: str) -> None:
    for name in ("pms.csv", "vms.csv"):
        text = (SAMPLE / name).read_text()
        (tmp_path / name).write_text(text.replace(old, new) if name == file else text)
    with pytest.raises(InputError) as caught:
        read_cluster(tmp_path)
    assert message in str(caught.value)
