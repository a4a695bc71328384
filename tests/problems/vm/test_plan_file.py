"""A plan tells what it does, why, and when, and survives its file."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from greedy_moves import greedy_moves
from rich.console import Console
from slow_replay import slow_move, slow_objective
from small_clusters import random_cluster, random_moves

from allocenv.core.files import InputError
from allocenv.problems.vm.cluster import PM, VM, Cluster, build_cluster
from allocenv.problems.vm.objective import Objective, Rules, compile_rules
from allocenv.problems.vm.plan_file import (
    Plan,
    make_plan,
    plan_csv,
    plan_json,
    plan_table,
    read_plan,
    write_plan,
)

SAMPLE = Path(__file__).parents[2] / "data" / "vm" / "plan.json"


def rules_of(cluster: Cluster, text: str) -> Rules:
    return compile_rules(Objective.parse(text), cluster.n_cells, cluster.cell_resources, cluster.host_resources)


def plan_of(cluster: Cluster, text: str, moves: list[tuple[int, int, int]], **extra) -> Plan:
    return make_plan(cluster, rules_of(cluster, text), text, moves, **extra)


def two_hosts() -> Cluster:
    """Nodes of 32 cores. a: 14 and 12 are free (used 16 + 2 and 16 + 2 + 2); b: 2 and 32 are free."""
    pms = [PM(name, ({"cpu": 32000},) * 2) for name in "ab"]
    vms = [
        VM("a16", "a", (0,), {"cpu": 16000}),
        VM("a2", "a", (0,), {"cpu": 2000}),
        VM("b16", "a", (1,), {"cpu": 16000}),
        VM("a4", "a", (1,), {"cpu": 2000}),
        VM("a5", "a", (1,), {"cpu": 2000}),
        VM("b30", "b", (0,), {"cpu": 30000}),
    ]
    return build_cluster("two", pms, vms)


@pytest.mark.parametrize("text", ["cpu:16", "0.5*cpu:16x2 + 0.5*memory:16 + gpu:2 + empty"])
def test_the_curve_is_the_objective_after_each_move(text: str) -> None:
    cluster = random_cluster(3, n_vms=30)
    moves = random_moves(cluster, 3, 10)
    plan = plan_of(cluster, text, moves)
    expected = [slow_objective(cluster, rules_of(cluster, text))]
    for step in moves:
        cluster = slow_move(cluster, *step)
        expected.append(slow_objective(cluster, rules_of(cluster, text)))
    assert plan.curve == pytest.approx(expected, abs=1e-12)
    assert (plan.before, plan.after) == (plan.curve[0], plan.curve[-1])
    gains = [move.gain for move in plan.moves]
    assert gains == pytest.approx((-np.diff(expected)).tolist(), abs=1e-12)
    assert [move.order for move in plan.moves] == list(range(1, len(moves) + 1))


def test_reasons_name_the_chunk_and_the_move_that_completes_it() -> None:
    # a node 0 has 14 free: moving a2 completes a chunk. a node 1 has 12 free: it takes both a4 and a5.
    plan = plan_of(two_hosts(), "cpu:16", [(1, 1, 0), (3, 1, 1), (4, 1, 1)])
    assert [move.reason for move in plan.moves] == [
        "completes a free 16-core chunk on a node 0 (14 -> 16 free)",
        # 2 of b's 32 free cores on node 1 are taken, so one of its two chunks is lost until ...
        "a step towards a free 16-core chunk on a node 1, which move 3 completes",
        "completes a free 16-core chunk on a node 1 (14 -> 16 free)",
    ]
    # Free 60: chunks 2, 3, 2, 3.
    assert plan.curve == pytest.approx([1 - 16 * n / 60 for n in (2, 3, 2, 3)])


def test_reasons_name_who_needs_the_room_and_which_host_empties() -> None:
    pms = [PM(name, ({"cpu": 8000},)) for name in ("a", "b", "c", "off")]
    pms[3] = PM("off", ({"cpu": 8000},), active=False)
    vms = [
        VM("v", "a", (0,), {"cpu": 8000}),
        VM("w", "b", (0,), {"cpu": 7000}),
        VM("x", "off", (0,), {"cpu": 1000}),
    ]
    cluster = build_cluster("x", pms, vms)
    # v leaves a for c so that w fits there; x leaves the disabled host.
    plan = plan_of(cluster, "cpu:8", [(0, 2, 0), (1, 0, 0), (2, 0, 0)])
    assert [move.reason for move in plan.moves] == [
        "makes room on a for w (move 2)",
        "completes a free 8-core chunk on b (1 -> 8 free), gives up 1 elsewhere",
        "takes it off off, which is not active",
    ]
    plan = plan_of(cluster, "empty", [(2, 1, 0), (1, 2, 0)])
    assert plan.moves[0].reason == "takes it off off, which is not active"
    assert plan_of(cluster, "empty", [(1, 2, 0)]).moves[0].reason == "empties b"
    vms.append(VM("y", "b", (0,), {"cpu": 1000}))
    plan = plan_of(build_cluster("x", pms, vms), "empty", [(1, 2, 0), (3, 2, 0)])
    assert [move.reason for move in plan.moves] == ["helps to empty b, which move 2 completes", "empties b"]


def test_greedy_gains_come_with_a_reason() -> None:
    for seed in range(3):
        cluster = random_cluster(seed, n_vms=16)
        moves = greedy_moves(cluster, rules_of(cluster, "cpu:16"), 4)
        plan = plan_of(cluster, "cpu:16", moves)
        assert moves
        assert all(move.gain > 0 and "16-core chunk" in move.reason for move in plan.moves), plan.moves


def test_an_illegal_move_is_refused() -> None:
    with pytest.raises(ValueError, match="move 1 is not: b lacks 14 cores on node 0"):
        plan_of(two_hosts(), "cpu:16", [(0, 1, 0)])


@pytest.mark.parametrize("bound", [-np.inf, 0.25])
def test_a_plan_survives_its_file(tmp_path: Path, bound: float) -> None:
    cluster = random_cluster(1)
    plan = plan_of(cluster, "cpu:16", random_moves(cluster, 1, 6), bound=bound, found_by="hand", wave_cap=3)
    written = write_plan(plan, tmp_path / "plans" / "one")
    assert [path.name for path in written] == ["plan.json", "plan.csv"]
    assert read_plan(tmp_path / "plans" / "one") == plan
    assert read_plan(written[0]) == plan
    assert json.loads(written[0].read_text())["allocenv_plan"] == 1
    assert write_plan(plan, tmp_path / "p.csv") == [tmp_path / "p.csv"]
    assert read_plan(write_plan(plan, tmp_path / "p.json")[0]) == plan
    with pytest.raises(ValueError, match=r"a \.json or a \.csv file"):
        write_plan(plan, tmp_path / "p.yaml")


def test_a_plan_without_moves_survives_too(tmp_path: Path) -> None:
    plan = plan_of(two_hosts(), "cpu:16", [])
    assert read_plan(write_plan(plan, tmp_path)[0]) == plan
    assert plan.before == plan.after


def test_the_csv_has_a_line_a_move() -> None:
    rows = list(csv.DictReader(io.StringIO(plan_csv(plan_of(two_hosts(), "cpu:16", [(1, 1, 0)])))))
    assert rows[0]["vm"] == "a2"
    assert rows[0]["takes"] == "2 cores"
    assert (rows[0]["from_pm"], rows[0]["from_cells"], rows[0]["to_pm"]) == ("a", "0", "b")


def test_the_table_shows_every_move() -> None:
    console = Console(width=200, file=io.StringIO())
    console.print(plan_table(plan_of(two_hosts(), "cpu:16", [(1, 1, 0)], bound=0.2)))
    text = console.file.getvalue()
    assert "cpu:16: 0.4667 -> 0.2000 (1 moves, proven optimal)" in text
    assert "completes a free 16-core chunk" in text


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"allocenv_plan": 2}, "allocenv_plan"),
        ({"moves": {}}, "moves"),
        ({"curve": [1.0]}, "curve"),
        ({"curve": [1.0, "x", 2]}, "curve"),
        ({"objective": "cpu"}, "objective"),
        ({"objective": "cpu:" + "9" * 400}, "objective"),
        ({"bound": "low"}, "bound"),
        ({"wave_cap": 0}, "wave_cap"),
        ({"host_cap": True}, "host_cap"),
        ({"found_by": None}, "found_by"),
    ],
)
def test_a_broken_plan_file_names_the_field(tmp_path: Path, change: dict, field: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({**json.loads(SAMPLE.read_text()), **change}))
    with pytest.raises(InputError, match=field):
        read_plan(path)


def test_the_sample_is_what_this_version_writes() -> None:
    assert plan_json(read_plan(SAMPLE)) == SAMPLE.read_text()
