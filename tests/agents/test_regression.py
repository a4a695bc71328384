"""The guard against regressions: what moved between two files of `allocenv bench`."""

import pytest

from allocenv.agents.regression import lost, moved, read_bench
from allocenv.core.files import InputError


def bench(**bars):
    rows = [{"bar": name, "passed": passed, "values": values} for name, (passed, values) in bars.items()]
    return {"problem": "vm", "bars": rows}


BEFORE = bench(a=(True, {"rate": 100.0, "deep": {"gap": [0.1, 0.0]}}), b=(True, {"rate": 5}), c=(False, {}))


def test_ratios_tell_what_moved_by_more_than_a_tenth():
    now = bench(a=(True, {"rate": 50.0, "deep": {"gap": [0.105, 0.0]}}), b=(True, {"rate": 6, "new": 1}))
    assert [(each.bar, each.value, each.ratio) for each in moved(BEFORE, now)] == [
        ("a", "rate", 0.5),
        ("b", "rate", 1.2),
    ]


def test_what_was_zero_is_told_where_it_no_longer_is():
    now = bench(a=(True, {"rate": 100.0, "deep": {"gap": [0.1, 0.2]}}))
    (each,) = moved(BEFORE, now)
    assert (each.value, each.before, each.now) == ("deep.gap[1]", 0.0, 0.2)


def test_a_bar_is_lost_that_was_met():
    assert lost(BEFORE, bench(a=(False, {}), b=(True, {}), c=(False, {}))) == ["a"]


@pytest.mark.parametrize("text", ["{", "[]", '{"bars": 3}'])
def test_another_file_is_refused(tmp_path, text):
    (tmp_path / "old.json").write_text(text)
    with pytest.raises(InputError, match=r"old\.json"):
        read_bench(tmp_path / "old.json")
