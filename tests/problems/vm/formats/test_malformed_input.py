"""Whatever is broken, the answer is a cluster or one clear line."""

import json
from pathlib import Path

import pytest
from fuzz import read_document, run
from hypothesis import given, settings
from hypothesis import strategies as st

from allocenv.core.files import InputError
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.formats import FORMATS, detect_format, read_cluster

DATA = Path(__file__).parents[3] / "data" / "vm"


def test_each_sample_is_told_by_its_content(tmp_path: Path) -> None:
    samples = {
        "bytedance.json": "bytedance",
        "kubernetes.json": "kubernetes",
        "openb": "openb",
        "table": "table",
    }
    assert {name: detect_format(DATA / name) for name in samples} == samples
    (tmp_path / "oddly named.txt").write_bytes((DATA / "bytedance.json").read_bytes())
    assert detect_format(tmp_path / "oddly named.txt") == "bytedance"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "content: found ''"),
        (b"hello,world\n", "content: found 'hello,world"),
        (b'{"a": 1}', "content: found 'JSON of neither'"),
        (b"[]", "content: found '[]'"),
    ],
)
def test_unknown_content_lists_the_formats(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_cluster(tmp_path / "x")
    assert message in str(caught.value)
    assert "kubectl get nodes,pods" in str(caught.value)
    with pytest.raises(InputError, match="a folder of neither"):
        read_cluster(tmp_path)


def test_an_unknown_format_name_lists_the_formats() -> None:
    with pytest.raises(InputError, match="found 'yaml', expected one of bytedance, kubernetes, openb, table"):
        read_cluster(DATA / "bytedance.json", "yaml")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("path", ["missing", "missing/file.json", "nul\x00byte", "x" * 5000, "."])
def test_a_path_that_holds_nothing_is_refused(name: str, path: str, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        read_cluster(tmp_path / path, name)
    with pytest.raises(InputError):
        read_cluster(tmp_path / path)


def test_mutated_documents_give_a_legal_plan_or_one_clear_line() -> None:
    tally = run(1500, 0)
    assert tally.failures == []
    for name in (*FORMATS, "plan", "config"):
        assert min(tally.counts[f"{name}: read"], tally.counts[f"{name}: refused"]) > 0, name
    assert tally.counts["plan: with moves"] > 0


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(name=st.sampled_from(["bytedance", "kubernetes", "plan"]), data=st.binary(max_size=60))
def test_random_bytes_are_refused(tmp_path_factory: pytest.TempPathFactory, name: str, data: bytes) -> None:
    with pytest.raises(InputError):
        read_document(tmp_path_factory.mktemp("x"), name, {"document": data})


@settings(max_examples=150, deadline=None)
@given(host=_JSON, vm=_JSON, other=_JSON)
def test_random_json_in_place_of_records_is_refused_or_read(
    tmp_path_factory: pytest.TempPathFactory, host: object, vm: object, other: object
) -> None:
    cluster = {"host_info": [host], "vm_instance": [vm], "other_requirement": other}
    items = [{"kind": "Node", "metadata": host, "status": vm}, {"kind": "Pod", "metadata": vm, "spec": other}]
    for name, document in (("bytedance", {"cluster_list": [cluster]}), ("kubernetes", {"items": items})):
        data = json.dumps(document).encode("utf-8", "surrogatepass")
        try:
            found = read_document(tmp_path_factory.mktemp("x"), name, {"document": data})
        except InputError:
            continue
        assert isinstance(found, Cluster)
