"""The bars compare what they say, on made-up traces here."""

from types import SimpleNamespace

import pytest

from allocenv.problems.storage import bars, quality_bars
from allocenv.problems.storage.bars import BARS


@pytest.fixture
def ours(monkeypatch):
    """Judge a policy of this name in place of our own, on a short made-up trace."""

    def judge(name):
        for which in ("OURS", "OURS_FROM_NOTHING"):
            monkeypatch.setattr(quality_bars, which, name)
        monkeypatch.setattr(quality_bars, "TRACES", ("prxy_0",))
        monkeypatch.setattr(quality_bars, "PAIRS", ("H&M",))
        monkeypatch.setattr(quality_bars, "SEEDS", 1)

    return judge


@pytest.fixture
def session(tmp_path):
    return SimpleNamespace(folder=tmp_path)


def test_every_bar_has_a_number_of_its_own():
    assert [bar.number for bar in BARS] == [str(k) for k in range(1, 9)]


def test_the_clairvoyant_closes_the_whole_gap(ours, session):
    ours("oracle_cost_aware")
    measured = quality_bars.rows(session)
    (row,) = measured.values["rows"].values()
    assert row["ours"] == row["clairvoyant"] < row["tuned"]
    assert "100 % of the gap closed" in measured.figure


def test_the_fixed_rule_is_no_better_than_itself(ours, session):
    ours("lru_p05")
    measured = quality_bars.rows(session)
    assert not measured.passed
    assert measured.figure.startswith("0.0 % below lru_p05")


def test_an_interrupted_bench_goes_on_with_what_it_knows(ours, session, monkeypatch):
    ours("lru_p05")
    before = quality_bars.rows(session)
    monkeypatch.setattr(quality_bars, "_play", lambda task: pytest.fail(f"{task} is played again"))
    assert quality_bars.rows(session) == before


def test_a_policy_that_never_adapts_keeps_none_of_the_gain(ours, session, monkeypatch):
    ours("slow_only")
    monkeypatch.setattr(quality_bars, "PHASE", 1000)
    monkeypatch.setattr(quality_bars, "SETTLED", 100)
    monkeypatch.setattr(quality_bars, "PHASES", (("prxy_0", 0), ("rsrch_0", 0), ("prxy_0", 1)))
    quality_bars.changing.cache_clear()
    measured = quality_bars.adaptation(session)
    quality_bars.changing.cache_clear()
    assert len(measured.values["H&M"]["ours"]) == 3
    assert measured.values["H&M"]["share"] == 0  # Slow-Only saves nothing to Slow-Only
    assert not measured.passed


def test_figures_are_read_from_lines_of_a_name_and_a_number():
    assert bars._figures("msr 3000000\nworst_mean 0.015\nH: mean 0.1 p99 0.2\nTraceback x\n") == {
        "msr": 3e6,
        "worst_mean": 0.015,
    }
