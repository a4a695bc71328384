"""The report: one page that loads alone, sorts, reads well to everybody, and holds what was found."""

import time

import numpy as np
import pytest
from browser import browse

from allocenv.core.results import PICTURE, Results, Row
from allocenv.evaluate.report.page import Chapter, Curve, page

CONTENDERS = {
    "annealing": "search", "exact": "exact", "planner": "planner", "two_stage": "agent", "greedy": "rule",
    "oracle_search": "oracle", "first_fit": "rule", "best_fit": "rule", "random <b>": "rule", "peek": "rule",
}  # fmt: skip


def made_up(problem, seed):
    """Ten contenders on twelve instances, the searches with three limits."""
    rng = np.random.default_rng(seed)
    rows = []
    for limit in (0.01, 0.1, 1.0):
        for k, (name, kind) in enumerate(CONTENDERS.items()):
            if limit == 1.0 or kind in ("search", "exact", "planner"):
                for i in range(12):
                    objective = 0.3 + 0.02 * k / limit**0.1 + float(rng.normal(0, 0.01))
                    rows.append(
                        Row(name, f"i{i}", 0.6, objective, 0.2, 5, True, limit * (k + 1) / 10, limit, 0, limit, 1.5)
                    )
    told = {"command": f"allocenv evaluate {problem}", "machine": "2 x something", "seed": 0}
    return Results(
        problem, "default", "an objective, lower is better", rows, CONTENDERS, {"peek": "READS THE FUTURE"},
        {f"i{i}": f"{i:016x}" for i in range(12)}, {}, told, {PICTURE: "The instance i0 under the best plan."},
    )  # fmt: skip


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    from matplotlib.figure import Figure

    folder = tmp_path_factory.mktemp("report")
    Figure(figsize=(6, 3)).savefig(folder / PICTURE)
    chapters = [Chapter(made_up(name, i), folder) for i, name in enumerate(("vm", "storage", "task", "budget"))]
    curve = Curve("two_stage", [(0.0, 0.5), (1.0, 0.4), (2.0, 0.35)], {"greedy": 0.42})
    file = folder / "report.html"
    file.write_text(page(chapters, [curve]))
    return file


def test_it_is_small_and_needs_no_network(report):
    text = report.read_text()
    assert len(text) < 5e6
    outside = text.replace("http://www.w3.org", "").replace('src="data:', "").replace('href="data:', "")
    assert "http:" not in outside
    assert "https:" not in outside
    assert "src=" not in outside


def test_what_was_found_stands_in_it(report):
    text = report.read_text()
    for word in ("annealing", "READS THE FUTURE", "reads the future", "random &lt;b&gt;", "allocenv evaluate storage"):
        assert word in text
    assert "<b>" not in text
    assert text.count("<svg") == 4 * 3 + 1  # three charts a problem and a learning curve
    assert text.count("<img alt=") == 4


def test_it_loads_at_once_without_a_word_on_the_console_and_its_tables_sort(report):
    began = time.perf_counter()
    seen = browse(
        report,
        """
        const table = document.querySelector("table.sortable");
        const names = () => [...table.tBodies[0].rows].map((row) => row.cells[0].textContent);
        const first = names();
        const head = table.tHead.rows[0].cells;
        head[0].querySelector("button").click();
        const byName = names();
        head[2].querySelector("button").click();
        const byObjective = names();
        head[2].querySelector("button").click();
        const back = names();
        const at = performance.getEntriesByType("navigation")[0];
        const charts = [...document.querySelectorAll("figure svg")];
        tell({first, byName, byObjective, back,
              sort: head[2].getAttribute("aria-sort"), other: head[0].getAttribute("aria-sort"),
              ready: at.domInteractive, charts: charts.length,
              wide: charts.every((svg) => svg.getBoundingClientRect().width > 200)});
        """,
    )
    told = seen.told
    assert seen.errors == []
    assert told["ready"] < 2000
    assert time.perf_counter() - began < 60
    assert told["byName"] == sorted(told["first"], key=str.lower)
    assert told["byObjective"] == told["first"]  # the best stands first
    assert told["back"] == told["first"][::-1]
    assert (told["sort"], told["other"]) == ("descending", None)
    assert told["charts"] == 13
    assert told["wide"]


@pytest.mark.parametrize("dark", [False, True])
def test_readers_of_any_eyesight_find_no_serious_fault(report, dark):
    axe = pytest.importorskip("axe_core_python", reason="needs axe-core-python (extra dev)")
    from pathlib import Path

    code = (Path(axe.__file__).parent / "axe.min.js").read_text().replace("</script", "<\\/script")
    seen = browse(
        report,
        f"""{code};
        axe.run(document).then((found) => tell({{
          dark: matchMedia("(prefers-color-scheme: dark)").matches, passed: found.passes.length,
          faults: found.violations.map((v) => [v.impact, v.id, v.nodes.length, v.nodes[0].html.slice(0, 200)]),
        }}));""",
        dark,
    )
    assert seen.told["dark"] == dark
    assert seen.told["passed"] > 15
    assert [fault for fault in seen.told["faults"] if fault[0] in ("serious", "critical")] == []


def test_what_goes_wrong_in_a_page_is_seen(tmp_path):
    file = tmp_path / "bad.html"
    file.write_text("<html><body><script>nowhere();</script></body></html>")
    assert "nowhere is not defined" in browse(file, "tell({});").errors[0]
