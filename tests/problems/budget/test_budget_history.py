"""Readers of histories and of the real run."""

import gzip

import numpy as np
import pytest

from allocenv.core.files import InputError
from allocenv.problems.budget.history import read_history
from allocenv.problems.budget.real_run import ABSENT, read_real_run, true_rates

CSV = "prompt_id,correct,rollouts,tokens\na,3,8,5210\nb,0,8,\na,8,8,100\n"
JSONL = """{"prompt_id": "a", "correct": 3, "rollouts": 8, "tokens": 5210}
{"prompt_id": "b", "correct": 0, "rollouts": 8, "tokens": null}

{"prompt_id": "a", "correct": 8, "rollouts": 8, "tokens": 100}
"""


def read(tmp_path, text, name="history"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_history(path)


@pytest.mark.parametrize(
    "text", [CSV, JSONL, CSV.replace("\n", "\r\n"), gzip.compress(CSV.encode(), mtime=0), "\ufeff" + CSV]
)
def test_both_formats_say_the_same(tmp_path, text):
    history = read(tmp_path, text)
    assert history.ids == ["a", "b"]
    assert history.prompt.tolist() == [0, 1, 0]
    assert history.correct.tolist() == [3, 0, 8]
    assert history.rollouts.tolist() == [8, 8, 8]
    assert history.tokens.tolist() == [5210, 0, 100]


def test_columns_may_stand_in_any_order_and_tokens_be_absent(tmp_path):
    history = read(tmp_path, "rollouts,prompt_id,correct\n4,x,1.0\n")
    assert (history.correct.tolist(), history.tokens.tolist()) == ([1], [0])
    assert read(tmp_path, '{"correct": 1, "rollouts": 4, "prompt_id": 17}').ids == ["17"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1, field prompt_id: found 'nothing'"),
        ("prompt_id,correct,rollouts\n", "no visits"),
        ("prompt_id,correct\na,1\n", "line 1, field rollouts: found 'nothing'"),
        ("prompt_id,correct,rollouts,reward\na,1,2,3\n", "line 1, column: found 'reward'"),
        ("prompt_id,correct,correct,rollouts\na,1,1,2\n", "line 1, column: found 'correct'"),
        (
            "prompt_id,correct,rollouts\na,9,8\n",
            "line 2, field correct: found '9', expected a whole number from 0 to roll",
        ),
        ("prompt_id,correct,rollouts\na,1,8\nb,-1,8\n", "line 3, field correct: found '-1'"),
        ("prompt_id,correct,rollouts\na,nan,8\n", "field correct: found 'nan'"),
        ("prompt_id,correct,rollouts\na,1,inf\n", "field rollouts: found 'inf'"),
        ("prompt_id,correct,rollouts\na,0.5,8\n", "found '0.5'"),
        ("prompt_id,correct,rollouts\na,,8\n", "field correct: found ''"),
        ("prompt_id,correct,rollouts\n,1,8\n", "field prompt_id: found ''"),
        ("prompt_id,correct,rollouts\na,1\n", "line 2: found '2 fields', expected 3 fields"),
        ('prompt_id,correct,rollouts\n"a,1,8\n', "a line of CSV"),
        ("prompt_id,correct,rollouts,tokens\na,1,8,-3\n", "field tokens: found '-3'"),
        ('{"prompt_id": "a", "correct": 1}', "line 1, field rollouts"),
        ('{"prompt_id": "a", "correct": NaN, "rollouts": 8}', "NaN is no number"),
        ('{"prompt_id": "a", "correct": true, "rollouts": 8}', "found True"),
        ('{"prompt_id": "a", "correct": 1, "rollouts": 8}\n[1]', "line 2: found"),
        ('{"prompt_id": "a", "correct": 1, "rollouts": 8, "x": 1}', "line 1, column: found 'x'"),
        ('{"prompt_id": "a", "correct": 1,', "a JSON object"),
        ('{"prompt_id": ["a"], "correct": 1, "rollouts": 8}', "field prompt_id"),
        ('{"prompt_id": "a", "correct": null, "rollouts": 8}', "field correct: found None"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_a_bad_file_is_one_clear_line(tmp_path, text, message):
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.csv"):
        read_history(tmp_path / "absent.csv")


def test_a_run_is_read_and_what_is_odd_in_it_named(tmp_path):
    path = tmp_path / "run.csv"
    path.write_text("problem_id,prompt_chars,n_visits,k0,k1\n7,10,2,8,0\n9,10,1,3,\n")
    run = read_real_run(path)
    assert run.problem_id.tolist() == [7, 9]
    assert run.correct.tolist() == [[8, 0], [3, ABSENT]]
    path.write_text("problem_id,k0\n7,9\n")
    with pytest.raises(InputError, match="line 2, column k0: found '9'"):
        read_real_run(path)
    path.write_text("id,k0\n7,9\n")
    with pytest.raises(InputError, match="header"):
        read_real_run(path)
    with pytest.raises(InputError, match=r"none\.csv\.xz"):
        read_real_run(tmp_path / "none.csv.xz")


def test_true_rates_are_smooth_strictly_inside_and_each_prompt_by_itself():
    correct = np.array([[0] * 20, [8] * 20, [0] * 10 + [8] * 10, [4] * 5 + [ABSENT] * 15], np.int32)
    rates = true_rates(correct)
    assert ((rates > 0) & (rates < 1)).all()
    assert rates[0].max() < 0.01
    assert (np.diff(rates[2]) > 0).all()
    assert rates[3, :10] == pytest.approx(0.5, abs=0.01)
    np.testing.assert_allclose(true_rates(correct[2:3])[0], rates[2], rtol=1e-12)
