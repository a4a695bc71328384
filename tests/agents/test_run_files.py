"""A run that is sent acts as the run does."""

import pytest
import torch

from allocenv.agents.checkpoint import CheckpointError
from allocenv.agents.run_files import RunFiles
from allocenv.agents.train import load_agent, train


def test_a_run_that_was_sent_has_the_same_weights(tiny, tmp_path):
    run = tmp_path / "run"
    train(tiny("dqn", eval_every=80), run, progress=False)
    files = RunFiles.of(run)
    sent = files.unpack(tmp_path / "elsewhere")
    assert sent.name == "run"
    one, other = (load_agent(folder).weights() for folder in (run, sent))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert RunFiles.of(sent) == files
    whole = sum(file.stat().st_size for file in (run / "checkpoints").rglob("*"))
    assert sum(len(content) for _, content in files.files) < whole / 2  # no experience, no optimiser


def test_a_folder_that_is_no_run_is_told(tiny, tmp_path):
    with pytest.raises(ValueError, match="--agent: expected a run folder"):
        RunFiles.of(tmp_path)
    (tmp_path / "config.toml").write_text(tiny().to_toml())
    with pytest.raises(CheckpointError, match="checkpoint"):
        RunFiles.of(tmp_path)
