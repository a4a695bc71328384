"""Made-up traces have the statistics asked for."""

import numpy as np
import pytest

from allocenv.problems.storage.generator import PRESETS, Workload, generate
from allocenv.problems.storage.statistics import statistics


@pytest.mark.parametrize("name", PRESETS)
def test_statistics_are_those_wanted(name):
    w = PRESETS[name]
    found = statistics(generate(w, np.random.default_rng(1)))
    assert found["requests"] == pytest.approx(w.requests, rel=0.01)
    assert found["unique_pages"] == pytest.approx(w.unique_pages, rel=0.01)
    assert found["write_share"] == pytest.approx(w.write_share, rel=0.1, abs=0.005)
    assert found["mean_kib"] == pytest.approx(w.mean_kib, rel=0.1)
    assert found["accesses_per_page"] == pytest.approx(w.accesses_per_page, rel=0.1)
    assert found["sequential_share"] == pytest.approx(w.sequential_share, rel=0.1, abs=0.02)
    assert found["seconds"] == pytest.approx(w.requests / w.per_second, rel=0.1)


def test_the_same_seed_gives_the_same_trace():
    a, b = (generate("usr_0", np.random.default_rng(3)).requests for _ in range(2))
    assert all((x == y).all() for x, y in zip(a, b, strict=True))


def test_more_skew_concentrates_accesses():
    def top(skew):
        w = Workload("w", 0.5, 4, 20, 5000, sequential_share=0, skew=skew, drift=0, recency=0)
        counts = np.sort(np.bincount(generate(w, np.random.default_rng(0)).page_accesses))
        return counts[-500:].sum() / counts.sum()

    assert top(0.2) < top(0.8) < top(1.0) < top(1.4)


def test_the_length_can_be_chosen():
    w = PRESETS["mds_0"].with_requests(5000)
    assert w.requests == pytest.approx(5000, rel=0.01)


@pytest.mark.parametrize("wrong", [{"write_share": 1.5}, {"mean_kib": 1}, {"accesses_per_page": 0.5}])
def test_impossible_statistics_are_refused(wrong):
    with pytest.raises(ValueError, match="Expected"):
        Workload(
            **({"name": "w", "write_share": 0.5, "mean_kib": 8, "accesses_per_page": 2, "unique_pages": 9} | wrong)
        )
