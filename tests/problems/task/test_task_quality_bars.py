"""The bars of assignment and coalition routing: what they do without data, and on small made-up problems."""

import numpy as np
import pytest

from allocenv.core.bench import Measured
from allocenv.core.construction import Scorer
from allocenv.problems.task import bars as task_bars
from allocenv.problems.task.gap import bars as gap_bars
from allocenv.problems.task.gap.construct import reduced_cost_weights
from allocenv.problems.task.gap.generator import generate
from allocenv.problems.task.gap.solvers import plan_gap
from allocenv.problems.task.routing import bars as routing_bars
from allocenv.problems.task.routing.construct import greedy_weights
from allocenv.problems.task.routing.generator import generate_heteromrta


def test_without_data_the_bars_name_the_file(monkeypatch, tmp_path):
    monkeypatch.setenv("ALLOCENV_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"task/gap_instances\.zip"):
        gap_bars.known(gap_bars.ORLIB)
    for name in routing_bars.PROMISES:
        with pytest.raises(FileNotFoundError, match=r"task/.*\.json"):
            routing_bars.benchmark(name)


def test_gaps_are_to_the_best_known_and_search_only_helps(monkeypatch):
    problem = generate("C", 3, 12, np.random.default_rng(0))
    plan_gap(problem, 1.0)  # compiles
    plan = plan_gap(problem, 2.0)
    assert plan.proven
    instances = [gap_bars.Known(problem, plan.value, True)]
    found = gap_bars.policy_gaps(instances, Scorer(reduced_cost_weights(), 0, 0.3))
    assert found.feasible
    assert 0 <= found.repaired <= found.samples <= found.one_pass
    monkeypatch.setattr(gap_bars, "known", lambda family: instances)
    monkeypatch.setattr(gap_bars, "PLANNER_SECONDS", 1.0)
    measured = gap_bars.planner(None)
    assert measured.passed, measured.figure


def test_more_effort_gives_no_longer_schedules(monkeypatch):
    problems = [generate_heteromrta(np.random.default_rng(0), n_tasks=6)]
    found = routing_bars.policy_makespans(problems, Scorer(greedy_weights(), 0, 0.1))
    assert found.repaired <= found.samples <= found.one_pass
    monkeypatch.setattr(routing_bars, "benchmark", lambda name: problems)
    monkeypatch.setattr(routing_bars, "PLANNER_SECONDS", 0.05)
    assert routing_bars.planner(None).values["DCMRTA"]["makespan"] <= found.one_pass


def test_assignment_and_routing_need_policy_and_planner(monkeypatch):
    for module, bar in ((gap_bars, task_bars.assignment), (routing_bars, task_bars.routing)):
        monkeypatch.setattr(module, "policy", lambda session: Measured(True, "well", {"gap": 1}))
        monkeypatch.setattr(module, "planner", lambda session: Measured(False, "late", {}))
        measured = bar(None)
        assert not measured.passed
        assert measured.figure == "policy: well. Planner: late"
        assert measured.values["policy"] == {"gap": 1}
