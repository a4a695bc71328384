"""Slow opponents mission by mission: what is known is not computed again, and processes change nothing."""

import pytest

from allocenv.problems.task import kept
from allocenv.problems.task.evaluation import judged
from allocenv.problems.task.problem import Task


@pytest.fixture
def missions():
    return [mission for _, mission in Task(n_tasks=4).instance_set("default")][:2]


def test_what_is_known_is_not_computed_again(missions, tmp_path, monkeypatch):
    problem = Task("rbf")
    first = kept.judged_apart(problem, missions, "greedy", tmp_path, processes=1)
    assert first.figures.tolist() == judged(problem, missions, "greedy").figures.tolist()
    monkeypatch.setattr(kept, "_play", lambda job: pytest.fail("computed again"))
    again = kept.judged_apart(problem, missions, "greedy", tmp_path, processes=1)
    assert again.figures.tolist() == first.figures.tolist()
    assert (again.decisions, again.seconds) == (first.decisions, first.seconds)


def test_an_interruption_costs_one_mission(missions, tmp_path, monkeypatch):
    problem, play, played = Task("rbf"), kept._play, []

    def once(job):
        if played:
            raise KeyboardInterrupt
        played.append(job)
        return play(job)

    monkeypatch.setattr(kept, "_play", once)
    with pytest.raises(KeyboardInterrupt):
        kept.judged_apart(problem, missions, "greedy", tmp_path, processes=1)
    monkeypatch.setattr(kept, "_play", play)
    assert len(list(tmp_path.iterdir())) == 1
    kept.judged_apart(problem, missions, "greedy", tmp_path, processes=1)
    assert len(list(tmp_path.iterdir())) == 2


def test_another_seed_or_code_is_another_result(missions, tmp_path, monkeypatch):
    problem = Task("rbf")
    kept.judged_apart(problem, missions[:1], "random_teams", tmp_path, processes=1)
    kept.judged_apart(problem, missions[:1], "random_teams", tmp_path, processes=1, seed=1)
    assert len(list(tmp_path.iterdir())) == 2
    monkeypatch.setattr(kept, "_code", lambda: "other")
    kept.judged_apart(problem, missions[:1], "random_teams", tmp_path, processes=1)
    assert len(list(tmp_path.iterdir())) == 3


def test_processes_change_nothing(missions, tmp_path):
    problem = Task("rbf")
    one = kept.judged_apart(problem, missions, "random_teams", tmp_path / "one", processes=1)
    two = kept.judged_apart(problem, missions, "random_teams", tmp_path / "two", processes=2)
    assert one.figures.tolist() == two.figures.tolist()
