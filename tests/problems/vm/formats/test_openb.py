"""OpenB is replayed with best fit, GPUs as cells."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from real_data import real_data

from allocenv.core.files import InputError
from allocenv.problems.vm.formats import read_cluster, read_openb

SAMPLE = Path(__file__).parents[3] / "data" / "vm" / "openb"


def places(cluster) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {
        name: (cluster.pm_ids[cluster.bin_of[m]], cluster.cells_of(m, int(cluster.variant_of[m])))
        for m, name in enumerate(cluster.vm_ids)
    }


def test_the_sample_is_placed_by_best_fit() -> None:
    cluster = read_cluster(SAMPLE)
    assert cluster.cell_resources == ("gpu",)
    assert cluster.host_resources == ("cpu", "memory")
    assert cluster.capacity[:4].T.tolist() == [[0] * 4, [1000, 1000, 0, 0], [1000] * 4]
    assert places(cluster) == {
        "p0": ("n0", ()),  # no GPU: to the machine without
        "p1": ("n1", (0,)),  # T4
        "p2": ("n1", (0,)),  # beside it, 460 + 500 of 1000
        "p3": ("n1", (1,)),
        "p4": ("n2", (0, 1)),  # V100
        "p5": ("n2", (2,)),  # n1 has no 600 left
        # p6 wants 8 GPUs: nowhere
    }
    allowed = cluster.allowed[cluster.class_of].astype(int).tolist()
    assert allowed == [[1, 1, 1], [0, 1, 0], [1, 1, 1], [1, 1, 1], [0, 0, 1], [1, 1, 1]]
    demand = cluster.shape_demand[cluster.shape_of[4]].tolist()
    assert demand == [1000, 16000, 32768]  # of each of two GPUs, then of the machine


def test_at_a_moment_the_pods_that_have_left_are_gone() -> None:
    cluster = read_openb(SAMPLE, time=60)  # p3 left at 40
    assert cluster.vm_ids == ("p0", "p1", "p2", "p4", "p5")
    assert places(cluster)["p5"] == ("n1", (1,))  # where p3 was
    assert read_openb(SAMPLE, time=1000).n_vms == 0
    assert read_openb(SAMPLE, time=0).vm_ids == ("p0",)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "placed", "classes"),
    [("openb_pod_list_default.csv.gz", 7716, 1), ("openb_pod_list_gpuspec33.csv.gz", 6753, 14)],
)
def test_the_real_trace_fills_the_cluster(name: str, placed: int, classes: int) -> None:
    cluster = read_cluster(real_data("vm/openb") / name)
    assert (cluster.n_pms, cluster.n_vms, len(cluster.allowed)) == (1523, placed, classes)
    assert cluster.capacity[:8].sum() == 6212 * 1000
    assert cluster.allowed[cluster.class_of, cluster.bin_of].all()
    assert np.isin(cluster.shape_nodes, [0, 1, 2, 4, 8]).all()


@pytest.mark.data
def test_the_folder_means_the_default_list_and_the_busiest_moment_has_56_pods() -> None:
    cluster = read_openb(real_data("vm/openb"), time=11821598)
    assert "default" in cluster.source
    assert cluster.n_vms == 56


def broken(tmp_path: Path, file: str, old: str, new: str) -> Path:
    shutil.copytree(SAMPLE, tmp_path / "x")
    path = tmp_path / "x" / file
    path.chmod(0o644)
    path.write_text(path.read_text().replace(old, new))
    return tmp_path / "x"


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("openb_node_list.csv", "96000,262144,4", "96000,262144,99", "line 4, column gpu: found '99'"),
        ("openb_node_list.csv", "model", "models", "node list: found []"),
        ("openb_node_list.csv", "n1", "n2", "PM id: found 'n2'"),
        ("openb_pod_list_default.csv", "460", "1460", "line 3, column gpu_milli: found '1460'"),
        ("openb_pod_list_default.csv", "p1,4000", "p1,x", "line 3, column cpu_milli: found 'x'"),
        ("openb_pod_list_default.csv", "p1,4000", "p1,4000,", "line 3: found '12 cells', expected 11"),
        ("openb_pod_list_default.csv", "p1,", "p2,", "VM id: found 'p2'"),
        ("openb_pod_list_default.csv", ",10,1000,", ",10,1e99,", "column deletion_time: found '1e99'"),
    ],
)
def test_a_broken_cell_is_named(tmp_path: Path, file: str, old: str, new: str, message: str) -> None:
    folder = broken(tmp_path, file, old, new)
    with pytest.raises(InputError) as caught:
        read_cluster(folder)
    assert message in str(caught.value)


def test_two_pod_lists_without_a_default_are_refused(tmp_path: Path) -> None:
    folder = broken(tmp_path, "openb_node_list.csv", "", "")
    for name in ("a.csv", "b.csv"):
        shutil.copy(folder / "openb_pod_list_default.csv", folder / name)
    (folder / "openb_pod_list_default.csv").unlink()
    with pytest.raises(InputError, match=r"pod list: found \[\]"):
        read_cluster(folder)
    assert read_cluster(folder / "a.csv").n_vms == 6
