"""The tiny GRPO example: its questions, its cache, a run that goes on exactly, and how runs are compared."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[3] / "notebooks" / "tiny_grpo"
torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def example():
    """The modules of the example, importable for these tests only."""
    sys.path.insert(0, str(FOLDER))
    try:
        import arithmetic
        import compare
        import model
        import run

        yield type("Example", (), {"arithmetic": arithmetic, "compare": compare, "model": model, "run": run})
    finally:
        sys.path.remove(str(FOLDER))
        for name in ("arithmetic", "compare", "model", "run"):
            sys.modules.pop(name, None)


def test_questions_are_different_and_the_unseen_ones_are_never_trained_on(example):
    data = example.arithmetic.split(120, 90, 600)
    texts = [{bytes(row.tolist()) for row in part.prompts.to(torch.uint8)} for part in data]
    assert (len(texts[0]), len(texts[1])) == (120, 90)
    assert not texts[0] & texts[1]
    assert not texts[1] & texts[2]


def test_an_answer_counts_up_to_its_full_stop(example):
    a = example.arithmetic
    answers = torch.tensor([[a.NUMBER[c] for c in text] for text in ("12.  ", "1234.")])
    given = torch.tensor([[a.NUMBER[c] for c in text] for text in ("12.99", "123.4")])
    assert a.solved(given, answers).tolist() == [True, False]


def test_the_cache_gives_what_the_whole_text_gives(example):
    torch.manual_seed(0)
    net = example.model.Transformer()
    data = example.arithmetic.split(12, 6, 12).pool
    given, before = net.sample(data.prompts, torch.arange(12), torch.Generator().manual_seed(1))
    logits, cache = net(data.prompts)
    stepwise = [logits[:, -1]]
    for place in range(example.arithmetic.ANSWER - 1):
        logits, cache = net(given[:, place : place + 1], cache)
        stepwise.append(logits[:, -1])
    by_step = torch.stack(stepwise, 1).log_softmax(-1).gather(2, given[:, :, None])[:, :, 0]
    again = net.log_probabilities(data.prompts, torch.arange(12), given)
    torch.testing.assert_close(again, by_step, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(before, again, rtol=1e-4, atol=1e-5)
    assert 120_000 < sum(p.numel() for p in net.parameters()) < 180_000


@pytest.mark.parametrize("name", ["posterior", "published"])
def test_a_stopped_run_goes_on_exactly(example, monkeypatch, tmp_path, name):
    for constant, value in (("POOL", 60), ("UNSEEN", 30), ("OTHERS", 60)):
        monkeypatch.setattr(example.run, constant, value)
    # Nothing is solved by a model that has hardly been trained; an even first character is.
    monkeypatch.setattr(example.run, "solved", lambda given, answers: given[:, 0] % 2 == 0)

    def lines(folder, steps):
        path = example.run.run(name, 0, steps, tmp_path / folder, start_steps=2, batch=12, every=2)
        return [line.rpartition(",")[0] for line in path.read_text().splitlines()]  # but for the seconds

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        whole = lines("whole", 6)
        lines("parts", 2)
        assert lines("parts", 6) == whole
    finally:
        torch.set_num_threads(threads)
    assert float(whole[1].split(",")[2]) < float(whole[-1].split(",")[2])  # it learns that
    assert [line.split(",")[:2] for line in whole[1:]] == [[f"{s}", f"{96.0 * s}"] for s in (0, 2, 4, 6)]


@pytest.mark.parametrize(("rollouts", "steps"), [(0, 0), (3, 1), (16, 2), (30, 4)])
def test_a_step_of_the_optimiser_is_of_about_as_many_rollouts_with_a_gradient(example, rollouts, steps):
    questions = example.arithmetic.split(12, 6, 12).pool
    net, rows = example.model.Transformer(), torch.arange(rollouts) % 12
    given, before = net.sample(questions.prompts, rows, torch.Generator().manual_seed(0))
    taken = []
    optimizer = torch.optim.SGD(net.parameters(), 1e-3)
    optimizer.register_step_post_hook(lambda *_: taken.append(1))
    used = example.run.Used(rows, given, before, torch.ones(rollouts))
    example.run.learn(net, optimizer, questions.prompts, used, torch.Generator().manual_seed(0), mini=8)
    assert len(taken) == steps


def test_the_ratio_is_of_rollouts_to_the_same_pass_rate(example, tmp_path):
    header = "step,rollouts,pool,unseen"
    slow = [f"{i},{100.0 * i},{0.1 * i},0.5" for i in range(9)]
    fast = [f"{i},{100.0 * i},{0.2 * i},0.5" for i in range(9)]
    never = [f"{i},{100.0 * i},0.1,0.5" for i in range(9)]
    for name, rows in (("uniform-0", slow), ("posterior-0", fast), ("published-0", never)):
        (tmp_path / f"{name}.csv").write_text("\n".join([header, *rows]) + "\n")
    # Uniform's last smoothed value is that of step 7, 0.7; the other one is there at step 3.5.
    readme = tmp_path / "README.md"
    readme.write_text("<!-- tiny_grpo:start -->\n<!-- tiny_grpo:end -->\n")
    printed = subprocess.run(
        [sys.executable, str(FOLDER / "compare.py"), str(tmp_path), "--results", str(tmp_path / "results.json"),
         "--readme", str(readme)],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(FOLDER.parents[1])},
    ).stdout  # fmt: skip
    ratios = {line.split()[0]: line.split()[5] for line in printed.splitlines()[1:]}
    assert ratios == {"uniform": "1.00", "posterior": "2.00", "published": "0.00"}
    assert "never" in printed
    found = json.loads((tmp_path / "results.json").read_text())["after_steps"]["inf"]
    assert found["posterior"]["fewer"] == pytest.approx([2.0])
    assert found["posterior"]["fewer_of_mean_curve"] == pytest.approx(2.0)
    assert "| posterior | 700 | 1 | 1.400 | 0.500 | 2.00 | 2.00 |" in readme.read_text()
    assert np.isinf(example.compare.rollouts_to({"pool": np.zeros(3), "rollouts": np.arange(3.0)}, 0.5))


def test_runs_that_are_not_finished_are_not_compared(example, tmp_path):
    for name, lines in (("uniform-0", 6), ("posterior-0", 5)):
        rows = [f"{i},{100.0 * i},0.5,0.5" for i in range(lines)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["step,rollouts,pool,unseen", *rows]) + "\n")
    with pytest.raises(SystemExit, match="Expected runs of one length"):
        example.compare.read_runs(tmp_path)
    cut = example.compare.read_runs(tmp_path, 4)
    assert [len(cut[name][0]["pool"]) for name in ("uniform", "posterior")] == [3, 3]  # 5 evaluations, smoothed
