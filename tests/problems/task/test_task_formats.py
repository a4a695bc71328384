"""Missions from files: what is read, and what is said about bad ones."""

import json

import numpy as np
import pytest

from allocenv.core.files import InputError
from allocenv.problems.task.formats import read_csv, read_json, read_missions, write_json
from allocenv.problems.task.mission import build_mission
from allocenv.problems.task.problem import Task

PEOPLE = "id,cost,ability_1,ability_2,x,y\nann,1.5,3,0.5,0,0\nbob,2,4,1,1,2\n"
JOBS = "id,value,need_1,need_2,x,y,work,arrival\nfirst,10,5,1,2,2,1,3\nsecond,7,9,9,0,1,2,0\n"


def csv_files(tmp_path, people=PEOPLE, jobs=JOBS):
    (tmp_path / "entities.csv").write_text(people)
    (tmp_path / "tasks.csv").write_text(jobs)
    return tmp_path / "entities.csv", tmp_path / "tasks.csv"


def record(**changes):
    content = {
        "slots": 2,
        "entities": [{"id": "a", "cost": 1, "abilities": [3]}, {"id": "b", "cost": 2, "abilities": [4]}],
        "tasks": [{"id": "t", "value": 5, "needs": [6]}],
    }
    for path, value in changes.items():
        *parents, last = path.split("__")
        table = content
        for key in parents:
            table = table[int(key) if key.isdigit() else key]
        table[int(last) if last.isdigit() else last] = value
    return content


def test_tables_give_a_mission_in_thousandths_where_they_have_fractions(tmp_path):
    mission = read_csv(*csv_files(tmp_path))
    assert mission.ability.tolist() == [[3000, 500], [4000, 1000]]
    assert mission.task_names == ("second", "first")  # by arrival
    assert mission.need.tolist() == [[9000, 9000], [5000, 1000]]
    assert mission.impossible.tolist() == [0]
    assert mission.work.tolist() == [2.0, 1.0]


def test_json_is_written_and_read_back(tmp_path):
    for preset in ("rbf", "electric"):
        mission = Task(preset, n_tasks=5, arrivals=1.0).draw(np.random.default_rng(0))
        write_json(mission, tmp_path / "mission.json")
        again = read_json(tmp_path / "mission.json")
        for field in ("cost", "ability", "xy", "rate", "value", "need", "task_xy", "work", "arrival", "owner"):
            np.testing.assert_array_equal(getattr(mission, field), getattr(again, field))


def test_a_problem_begins_at_a_file(tmp_path):
    (tmp_path / "mission.json").write_text(json.dumps(record()))
    problem = Task(source=str(tmp_path / "mission.json"))
    assert problem.sizes.slots == 3
    assert problem.draw(np.random.default_rng(0)).entity_names == ("a", "b")


@pytest.mark.parametrize(
    ("people", "jobs", "message"),
    [
        (PEOPLE.replace("4,1", "-4,1"), JOBS, r"entities\.csv: line 3, ability 1: found -4"),
        (PEOPLE.replace("4,1", "4,nan"), JOBS, r"entities\.csv: line 3, ability_2: found 'nan'"),
        (PEOPLE.replace("bob", "ann"), JOBS, r"line 3, id: found 'ann', expected ids that differ"),
        (PEOPLE, JOBS.replace("2,2,1,3", "nan,2,1,3"), r"tasks\.csv: line 2, x: found 'nan', expected a finite"),
        (PEOPLE, JOBS.replace("5,1,2", "5,-1,2"), r"tasks\.csv: line 2, ability 2: found -1"),
        (PEOPLE, JOBS.replace("5,1,2,2", "0,0,2,2"), r"tasks\.csv: line 2, needs: .* at least one above 0"),
        (PEOPLE, JOBS.replace("need_2", "want"), r"tasks\.csv: line 1: .* columns"),
        (PEOPLE, JOBS + "third,1\n", r"tasks\.csv: line 4: found '2 fields', expected 8 fields"),
        (PEOPLE, "id,value,need_1\nfirst,10,5\n", r"line 2: found '1 abilities', expected 2"),
        (PEOPLE, JOBS.replace("value", "worth"), r"line 1"),
    ],
)
def test_a_bad_table_is_told_by_file_line_and_field(tmp_path, people, jobs, message):
    with pytest.raises(InputError, match=message):
        read_csv(*csv_files(tmp_path, people, jobs))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks__0__owner": "zoe"}, r"tasks\[0\], owner: found 'zoe', expected the id of an entity"),
        ({"entities__1__abilities": [4, 1]}, r"entities\[1\]: found '2 abilities', expected 1"),
        ({"entities__1__cost": -1}, r"entities\[1\], cost: found -1"),
        ({"entities__1__speed": 3}, r"entities\[1\]: found 'speed'"),
        ({"tasks__0__needs": []}, r"tasks\[0\].needs"),
        ({"tasks": []}, r"tasks: found 0"),
        ({"slots": 0}, r"slots: found 0"),
        ({"slots": "two"}, r"slots: found 'two'"),
        ({"tasks__0__value": None}, r"tasks\[0\], value: found None"),
    ],
)
def test_bad_json_is_told_by_file_and_field(tmp_path, changes, message):
    (tmp_path / "mission.json").write_text(json.dumps(record(**changes)))
    with pytest.raises(InputError, match=message):
        read_json(tmp_path / "mission.json")


def test_broken_json_and_odd_benchmark_records_are_told(tmp_path):
    path = tmp_path / "mission.json"
    path.write_text('{"slots": 2,\n "entities": [}')
    with pytest.raises(InputError, match="line 2"):
        read_json(path)
    path.write_text('[{"n_agents": 2, "depot": [0, 0], "task_req": [1], "task_xy": [[0, null]], "task_time": [1]}]')
    with pytest.raises(InputError, match="record 0"):
        read_missions("dcmrta", path)
    with pytest.raises(InputError, match="found 'a list'"):
        read_missions("rbf", path)


def test_a_mission_is_checked_when_it_is_built():
    with pytest.raises(InputError, match="xy 0"):
        build_mission([1], [[1]], [1], [[1]], slots=1, xy=[[np.nan, 0]])
    with pytest.raises(InputError, match="owner of task 0"):
        build_mission([1], [[1]], [1], [[1]], slots=1, owner=3)
    with pytest.raises(InputError, match="need 0"):
        build_mission([1], [[1]], [1], [[-1]], slots=1)


@pytest.mark.parametrize(
    "params",
    [
        {"preset": "vm"},
        {"mode": "exact"},
        {"n_entities": 0},
        {"n_tasks": (5, 2)},
        {"n_slots": (1, 2, 3)},
        {"commit": "alone"},
        {"horizon": -1.0},
        {"gamma_per_time": 1.5},
        {"arrivals": -1.0},
        {"preset": "almighty", "n_entities": 3},
        {"step_limit": 0},
    ],
)
def test_bad_parameters_are_refused(params):
    with pytest.raises(ValueError, match="Expected"):
        _ = Task(**params).missions
