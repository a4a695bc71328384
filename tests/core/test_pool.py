"""Work in shards: everything is done once, whoever does it; what is kept is not done again."""

import json
import os
import signal

import pytest

from allocenv.core.kept import Kept, resumed
from allocenv.core.pool import finished, local_pool

TASKS = [f"{i}" for i in range(20)]


def squared(task):
    return int(task) ** 2


def collected(chunks):
    found = {}
    for results in chunks:
        assert not set(results) & set(found)
        found.update(results)
    return found


@pytest.fixture
def told():
    return []


@pytest.fixture
def kept(tmp_path, told):
    """A folder's shards under a key."""
    return lambda key="k": Kept(tmp_path / "shards", key, told.append)


@pytest.mark.parametrize("processes", [1, 2])
def test_every_task_is_done_once(processes):
    with local_pool(squared, processes) as pool:
        assert collected(finished(pool, TASKS)) == {task: squared(task) for task in TASKS}


def test_quick_tasks_go_out_together_and_the_last_ones_alone():
    sizes = []

    class Pool:
        workers = 1

        def submit(self, tasks):
            sizes.append(len(tasks))
            return tuple(tasks)

        def ended(self, tickets):
            return tickets[:1]

        def result(self, ticket):
            return 0.001 * len(ticket), [squared(task) for task in ticket]

    collected(finished(Pool(), [f"{i}" for i in range(400)]))
    # The first two before anything is known of their time; then a quarter of what is left: 398 // 4, 299 // 4 ...
    assert sizes[:4] == [1, 1, 99, 74]
    assert sizes[-3:] == [1, 1, 1]


def test_a_process_that_dies_is_told_in_a_line():
    with pytest.raises(ValueError, match="A process of this evaluation died"):  # noqa: SIM117
        with local_pool(lambda task: os.kill(os.getpid(), signal.SIGKILL), 2) as pool:
            list(finished(pool, TASKS))


def test_what_the_work_raises_ends_it():
    with local_pool(lambda task: int("x"), 2) as pool, pytest.raises(ValueError, match="invalid literal"):
        list(finished(pool, TASKS))


def test_what_is_kept_is_not_done_again(kept, told):
    done = []

    def work(task):
        if task == "12" and not done.count("interrupted"):
            done.append("interrupted")
            raise KeyboardInterrupt
        done.append(task)
        return {"task": task, "bound": float("-inf")}

    with local_pool(work) as pool:
        with pytest.raises(KeyboardInterrupt):
            collected(resumed(pool, TASKS, kept()))
        before = set(kept().read())
        assert {"0", "1"} <= before < set(TASKS[:12])  # what was in the interrupted chunk is lost
        done.clear()
        done.append("interrupted")
        found = collected(resumed(pool, TASKS, kept()))
    assert found == {task: {"task": task, "bound": float("-inf")} for task in TASKS}
    assert set(done[1:]) == set(TASKS) - before
    assert told == [f"Done before, in {kept().folder}: {len(before)} of 20."]


def test_what_is_not_worth_keeping_is_tried_again(kept):
    with local_pool(squared) as pool:
        collected(resumed(pool, TASKS, kept(), lambda value: value % 2 == 0))
    assert set(kept().read()) == {task for task in TASKS if int(task) % 2 == 0}


def test_shards_of_other_settings_are_left_alone(kept, told):
    kept("one").write({"a": 1})
    assert kept("other").read() == {}
    kept("other").write({"a": 2})
    (kept("other").folder / ".half.json.17.abc").write_text("{")  # of a process killed while it wrote
    kept("other").remove()
    assert not kept("other").folder.exists()
    assert kept("one").read() == {"a": 1}
    kept("one").remove()
    assert not kept("one").folder.parent.exists()
    assert told == []


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda text: text[:-9], "Expecting"),
        (lambda text: "[]", "expected a shard of format"),
        (lambda text: text.replace('"a": 1', '"a": 7'), "check sum"),
        (lambda text: text.replace('"key": "k"', '"key": "x"'), "key: found 'x', expected 'k'"),
        (lambda text: text.replace("shard-1", "shard-0"), "expected a shard of format"),
    ],
)
def test_a_damaged_shard_is_told_and_its_work_done_again(kept, told, damage, why):
    kept().write({"a": 1})
    (file,) = kept().folder.iterdir()
    file.write_text(damage(file.read_text()))
    assert kept().read() == {}
    (line,) = told
    assert line.startswith(f"{file} is left out, its work is done again: ")
    assert why in line
    assert "\n" not in line
    kept().write({"a": 1})
    assert kept().read() == {"a": 1}


def test_a_file_that_was_never_finished_is_no_shard(kept):
    kept().write({"a": 1})
    (file,) = kept().folder.iterdir()
    assert [path.name for path in kept().folder.iterdir()] == [file.name]  # no temporary one beside it
    assert json.loads(file.read_text())["results"] == {"a": 1}
