"""The learning curve as a picture."""

import pytest

from allocenv.agents.curve import draw_curve
from allocenv.agents.train import train
from allocenv.core.files import InputError

FIGURES = {"objective": 0.25}


def test_a_run_is_drawn_with_its_opponents_though_nothing_has_changed(tiny, tmp_path):
    train(
        tiny(total_steps=16), tmp_path, progress=False, evaluate=lambda policy: FIGURES, opponents={"greedy": FIGURES}
    )
    draw_curve(tmp_path, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_that_nothing_judged_is_refused(tiny, tmp_path):
    train(tiny(total_steps=16), tmp_path, progress=False)
    with pytest.raises(InputError, match=r"eval/objective: found 0, expected at least two evaluations"):
        draw_curve(tmp_path, tmp_path / "curve.png")
