"""Slow opponents mission by mission: what is known is not computed again, and processes change nothing."""

import pytest

from allocenv.problems.task import apart
from allocenv.problems.task.evaluation import judged
from allocenv.problems.task.problem import Task


@pytest.fixture
def missions():
    return [mission for _, mission in Task(n_tasks=4).instance_set("default")][:2]


def kept(folder):
    return list(folder.rglob("*.json"))


def test_what_is_known_is_not_computed_again(missions, tmp_path, monkeypatch):
    problem = Task("rbf")
    first = apart.judged_apart(problem, missions, "greedy", tmp_path, processes=1)
    assert first.figures.tolist() == judged(problem, missions, "greedy").figures.tolist()
    assert first.kind == "rule"
    monkeypatch.setattr(apart.Apart, "__call__", lambda self, task: pytest.fail("computed again"))
    again = apart.judged_apart(problem, missions, "greedy", tmp_path, processes=1)
    assert again.figures.tolist() == first.figures.tolist()
    assert (again.decisions, again.seconds) == (first.decisions, first.seconds)


def test_an_interruption_costs_one_mission(missions, tmp_path, monkeypatch):
    problem, play, played = Task("rbf"), apart.Apart.__call__, []

    def once(self, task):
        if played:
            raise KeyboardInterrupt
        played.append(task)
        return play(self, task)

    monkeypatch.setattr(apart.Apart, "__call__", once)
    with pytest.raises(KeyboardInterrupt):
        apart.judged_apart(problem, missions, "greedy", tmp_path, processes=1)
    monkeypatch.setattr(apart.Apart, "__call__", play)
    assert len(kept(tmp_path)) == 1
    apart.judged_apart(problem, missions, "greedy", tmp_path, processes=1)
    assert len(kept(tmp_path)) == 2


def test_another_seed_or_code_is_another_result(missions, tmp_path, monkeypatch):
    problem = Task("rbf")
    for seed in (0, 1):
        apart.judged_apart(problem, missions[:1], "random_teams", tmp_path, processes=1, seed=seed)
    assert len(kept(tmp_path)) == 2
    monkeypatch.setattr(apart, "_code", lambda: "other")
    apart.judged_apart(problem, missions[:1], "random_teams", tmp_path, processes=1)
    assert len(kept(tmp_path)) == 3


def test_processes_change_nothing(missions, tmp_path):
    problem = Task("rbf")
    one, two = (apart.judged_apart(problem, missions, "random_teams", tmp_path / f"{n}", processes=n) for n in (1, 2))
    assert one.figures.tolist() == two.figures.tolist()
