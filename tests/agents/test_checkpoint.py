"""Checkpoints: whole or not at all, read without executing anything, refused with one clear sentence."""

import collections
import json
import random

import numpy as np
import pytest
import torch

from allocenv.agents.checkpoint import (
    CheckpointError,
    Checkpoints,
    Header,
    check_header,
    check_shapes,
    read_checkpoint,
    read_header,
    write_checkpoint,
)
from allocenv.core.problem import Sizes

HEADER = Header("vm", "ppo", Sizes(5, 3, 2, 13, 10, 16, 11), step=7, phase="ppo")
TREE = {
    "weights": {"net.0.bias": torch.arange(3.0), "step": torch.tensor(4.0)},
    "optimizer": {"state": {0: {"exp_avg": torch.ones(2, 2)}}, "betas": (0.9, 0.999), "none": None},
    "env": {"used": np.arange(6, dtype=np.int32).reshape(2, 3).T, "flags": np.array([True, False])},
    "rng": {"state": 2**127 + 1, "inf": float("inf"), "third": 1 / 3, "text": "ok", "on": True},
    "python": random.getstate(),
    "key": np.arange(4, dtype=np.uint32),
    "scalar": np.float64(0.1),
    "nothing": np.zeros((0, 3), np.float32),
}


def equal(a, b):
    if isinstance(a, np.ndarray | torch.Tensor):
        return type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(equal, a, b))
    return a == b


@pytest.fixture
def written(tmp_path):
    write_checkpoint(tmp_path / "c", HEADER, TREE)
    return tmp_path / "c"


def test_everything_reads_back_as_it_was(written):
    assert equal(read_checkpoint(written), TREE)
    assert read_header(written) == HEADER


def test_a_part_reads_alone(written):
    assert equal(read_checkpoint(written, "weights"), TREE["weights"])
    with pytest.raises(CheckpointError, match=r"a part `other`"):
        read_checkpoint(written, "other")


def test_what_is_no_number_text_or_array_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(TypeError, match=r"a/b to be numbers, text or arrays, got deque"):
        write_checkpoint(tmp_path / "c", HEADER, {"a": {"b": collections.deque()}})
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("file", ["arrays.safetensors", "state.json"])
def test_a_truncated_file_is_named(written, file):
    whole = (written / file).read_bytes()
    (written / file).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=rf"{file}: .*truncated"):
        read_checkpoint(written)


@pytest.mark.parametrize("file", ["arrays.safetensors", "state.json"])
def test_a_missing_file_is_named(written, file):
    (written / file).unlink()
    with pytest.raises(CheckpointError, match=rf"{file}: the file: found None, expected to exist"):
        read_checkpoint(written)


def test_garbage_of_the_right_length_is_named(written):
    file = written / "arrays.safetensors"
    file.write_bytes(b"\xff" * file.stat().st_size)
    with pytest.raises(CheckpointError, match=r"expected whole safetensors"):
        read_checkpoint(written)


def test_another_format_is_refused(written):
    state = json.loads((written / "state.json").read_text())
    (written / "state.json").write_text(json.dumps(state | {"format": 99}))
    with pytest.raises(CheckpointError, match=r"state.json: format: found 99, expected 1"):
        read_checkpoint(written)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"problem": "storage"}, r"state.json: problem: found 'vm', expected 'storage'"),
        ({"agent": "two_stage"}, r"agent: found 'ppo', expected 'two_stage'"),
        ({"sizes": HEADER.sizes._replace(slots=9)}, r"sizes.slots: found 5, expected 9"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused(written, change, message):
    with pytest.raises(CheckpointError, match=message):
        check_header(written, read_header(written), HEADER._replace(**change))


def test_weights_of_another_shape_are_refused(written):
    with pytest.raises(CheckpointError, match=r"shape of weight b: found \(2,\), expected \(3,\)"):
        check_shapes(written, {"b": torch.zeros(2)}, {"b": torch.zeros(3)})
    with pytest.raises(CheckpointError, match=r"shape of weight c: found None, expected \(1,\)"):
        check_shapes(written, {}, {"c": torch.zeros(1)})


def save(checkpoints, step, best=False):
    return checkpoints.save(HEADER._replace(step=step), {"weights": {}}, best)


def test_last_best_and_the_latest_few_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step, best in ((0, True), (10, True), (20, False), (30, False), (40, False)):
        save(checkpoints, step, best)
    names = sorted(folder.name for folder in tmp_path.iterdir() if folder.is_dir())
    assert names == ["step-0000000010", "step-0000000030", "step-0000000040"]
    assert checkpoints.find("last").name == "step-0000000040"
    assert checkpoints.find("best").name == "step-0000000010"
    assert checkpoints.find("step-0000000030") is not None
    assert checkpoints.find("step-0000000020") is None


def test_no_best_without_a_judgement(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.find("last") is None
    save(checkpoints, 1)
    assert checkpoints.find("best") is None


def test_leftovers_of_a_killed_writer_are_cleared_away(tmp_path):
    (tmp_path / ".step-0000000005.77").mkdir()
    save(Checkpoints(tmp_path), 6)
    assert [folder.name for folder in tmp_path.iterdir() if folder.is_dir()] == ["step-0000000006"]


def test_a_step_can_be_written_again(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    save(checkpoints, 1)
    assert read_header(save(checkpoints, 1)).step == 1
