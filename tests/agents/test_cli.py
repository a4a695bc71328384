"""The command line as a user meets it: files in, files out, and one clear line where something is wrong."""

import csv
import json
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from allocenv.agents.cli import app
from allocenv.core.results import read_results
from allocenv.problems.vm.check_plan import check_plan
from allocenv.problems.vm.formats import read_cluster
from allocenv.problems.vm.plan_file import read_plan

DATA = Path(__file__).parents[1] / "data" / "vm"
SAMPLES = {"bytedance": "bytedance.json", "kubernetes": "kubernetes.json", "openb": "openb", "table": "table"}
QUICK = ("--time", "100ms")


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("named", [False, True])
def test_a_plan_is_made_of_every_format(cli, tmp_path, name, named):
    source = DATA / SAMPLES[name]
    chosen = ("--format", name) if named else ()
    status, out, err = cli("plan", "vm", "--input", source, "--out", "here", *QUICK, *chosen)
    assert (status, err) == (0, "")
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == [
        "before_after.png", "curve.csv", "plan.csv", "plan.json",
    ]  # fmt: skip
    plan = read_plan(tmp_path / "here" / "plan.json")
    assert all(verdict.legal for verdict in check_plan(plan, read_cluster(source)))
    with open(tmp_path / "here" / "curve.csv", newline="") as file:
        curve = [float(row["objective"]) for row in csv.DictReader(file)]
    assert curve == pytest.approx(plan.curve)
    assert f"{plan.before:.4f}" in out
    assert "Written: here/plan.json" in out


def test_a_plan_says_what_it_does_and_why(cli):
    _, out, _ = cli("plan", "vm", "--input", DATA / "bytedance.json", "--export", "openstack", *QUICK)
    # Free on the active machines: 30, 34 and 43.5 cores, 5 chunks; then 34, 34 and 39.5, 6: 1 - 96 / 107.5.
    assert "0.2558 -> 0.1070 by 1 moves" in out
    assert "completes a free 16-core chunk" in out
    commands = Path("out/plan/commands.openstack.txt").read_text()
    assert "server migrate --live-migration --host pm_2 --wait vm_0" in commands


def test_the_table_can_be_left_out(cli):
    _, out, _ = cli("plan", "vm", "--input", DATA / "bytedance.json", "--no-table", *QUICK)
    assert "chunk" not in out


def test_a_goal_is_reached_with_as_few_moves(cli):
    _, out, _ = cli("plan", "vm", "--input", DATA / "bytedance.json", "--goal", "0.9", *QUICK)
    assert "Nothing to be gained: cpu:16 stays 0.2558" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--input", "missing.json"), "missing.json: file: found 'No such file"),
        (("--input", "."), "content: found 'a folder of neither'"),
        (("--input", DATA / "plan.json"), "content: found 'JSON of neither'"),
        (("--input", DATA / "bytedance.json", "--format", "yaml"), "format: found 'yaml'"),
        (("--input", DATA / "bytedance.json", "--format", "kubernetes"), "document.items"),
        (("--input", DATA / "bytedance.json", "--objective", "cpu"), "Expected an objective such as"),
        (("--input", DATA / "bytedance.json", "--objective", "gpu:1"), "one of cpu, memory, got 'gpu'"),
        (("--input", DATA / "bytedance.json", "--objective", "cpu:0"), "chunk"),
        (("--input", DATA / "bytedance.json", "--objective", "9" * 500), "Expected an objective such as"),
        (("--input", DATA / "bytedance.json", "--time", "0s"), "--time: expected a time such as 5s"),
        (("--input", DATA / "bytedance.json", "--time", "soon"), "--time: expected a time such as 5s"),
        (("--input", DATA / "bytedance.json", "--time", "nan"), "--time: expected a time such as 5s"),
        (("--input", DATA / "bytedance.json", "--goal", "nan"), "Expected a finite goal"),
        (("--input", DATA / "bytedance.json", "--max-moves", 10**12), "max_moves from 1 to"),
        (("--input", DATA / "bytedance.json", "--export", "ssh"), "--export: expected one of kubectl"),
        (("--input", DATA / "bytedance.json", "--out", __file__), "--out: expected a folder"),
    ],
)
def test_a_plan_that_cannot_be_made_is_one_line_and_no_file(fails, arguments, message):
    assert message in fails("plan", "vm", *arguments)


def test_a_broken_snapshot_is_one_line_that_names_the_place(fails, tmp_path):
    document = json.loads((DATA / "bytedance.json").read_text())
    document["cluster_list"][0]["vm_instance"][1]["numa"][0]["cpu"] = -3
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps(document))
    assert "broken.json: document.cluster_list[0].vm_instance[1].numa[0].cpu: found -3" in fails(
        "plan", "vm", "--input", broken
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "vm"),
        ("plan", "vm", "--input", "x", "--max-moves", 0),
        ("plan", "vm", "--input", "x", "--seed", -1),
        ("plan", "pods"),
        ("evaluate", "vm", "--limit", 0),
        ("evaluate", "mv"),
        ("nonsense",),
    ],
)
def test_wrong_usage_is_told_apart_from_wrong_data(cli, tmp_path, arguments):
    status, _, err = cli(*arguments)
    assert status == 2
    assert "Usage: " in err
    assert list(tmp_path.iterdir()) == []


def test_a_plan_still_holds_on_the_snapshot_it_was_made_on(cli):
    status, out, _ = cli("check-plan", "vm", *made_plan(cli), "--input", DATA / "bytedance.json")
    assert status == 0
    assert out == "1 of 1 moves still hold; with those cpu:16 0.2558 -> 0.1070.\n"


def test_on_a_changed_snapshot_a_plan_is_checked_and_repaired(cli, tmp_path):
    (plan_file,) = made_plan(cli)
    moved = read_plan(plan_file).moves[0].vm
    document = json.loads((DATA / "bytedance.json").read_text())
    for cluster in document["cluster_list"]:
        cluster["vm_instance"] = [vm for vm in cluster["vm_instance"] if vm["instance_id"] != moved]
        cluster["other_requirement"]["deployment_set"] = []
    newer = tmp_path / "newer.json"
    newer.write_text(json.dumps(document))
    status, out, _ = cli("check-plan", "vm", plan_file, "--input", newer, "--repair", "repaired")
    assert status == 1
    assert f"move 1: VM gone: {moved} is not in {newer}" in out
    assert "0 of 1 moves still hold" in out
    assert read_plan(tmp_path / "repaired").moves == ()


@pytest.mark.parametrize("content", [None, "", "{}", '{"allocenv_plan": 2}', "[[["])
def test_a_plan_that_cannot_be_read_is_one_line(fails, tmp_path, content):
    if content is not None:
        (tmp_path / "plan.json").write_text(content)
    message = fails("check-plan", "vm", tmp_path / "plan.json", "--input", DATA / "bytedance.json")
    assert "plan.json: " in message


def made_plan(cli):
    """The arguments that name a fresh plan."""
    status, _, _ = cli("plan", "vm", "--input", DATA / "bytedance.json", "--out", "made", *QUICK)
    assert status == 0
    return (Path("made/plan.json"),)


def test_list_names_problems_and_agents(cli):
    status, out, _ = cli("list")
    assert status == 0
    assert "allocenv/VMRescheduling-v0" in out
    assert "two_stage" in out


def test_list_of_a_problem_names_its_solvers_and_instance_sets(cli):
    status, out, _ = cli("list", "vm")
    assert status == 0
    assert "greedy (quick), annealing (anytime), exact (exact)" in out
    assert "default" in out


def test_data_says_what_is_there(cli, monkeypatch, tmp_path):
    monkeypatch.setenv("ALLOCENV_DATA", str(tmp_path / "nowhere"))
    status, out, _ = cli("data")
    assert status == 0
    assert "nothing there" in out
    assert "Apache-2.0" in out


def test_evaluate_compares_and_writes_what_it_shows(cli, tmp_path):
    arguments = ("evaluate", "vm", "--instances", "default", "--limit", "1", "--against", "greedy", "--out", "figures")
    status, out, _ = cli(*arguments)
    assert status == 0
    assert "vm, default-v1: 1 instance; fragment rate, lower is better" in out
    table = (tmp_path / "figures" / "table.md").read_text()
    assert f"`allocenv {' '.join(arguments)}`; 1 instance, 95 %" in table
    with open(tmp_path / "figures" / "rows.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["contender"] == "greedy"
    assert row["legal"] == "True"
    assert 0 < float(row["objective"]) < float(row["start"])


def test_the_same_evaluation_again_finds_the_same_in_any_number_of_processes(cli, tmp_path):
    arguments = ("evaluate", "vm", "--limit", 2, "--set", "n_pms=12", "--set", "max_moves=5", "--seconds", 0.1)
    for out, others in (("one", ()), ("again", ()), ("two", ("--processes", 2))):
        assert cli(*arguments, "--out", out, *others)[0] == 0
    found = [read_results(tmp_path / out) for out in ("one", "again", "two")]
    timeless = [[replace(row, wall=0, cpu=0, peak_mb=0) for row in each.rows] for each in found]
    assert timeless[0] == timeless[1] == timeless[2]
    assert found[0].fingerprints == found[1].fingerprints == found[2].fingerprints
    assert sorted({row.limit for row in found[0].rows}) == pytest.approx([0.001, 0.01, 0.1])


def test_compare_shows_what_evaluations_wrote(cli, fails, tmp_path):
    quick = ("evaluate", "vm", "--limit", 1, "--set", "n_pms=12", "--set", "max_moves=3", "--against", "greedy,random")
    cli(*quick, "--out", "found")
    (tmp_path / "README.md").write_text("<!-- vm-instances:start -->\n<!-- vm-instances:end -->\n")
    status, out, _ = cli("compare", "found", "--markdown", "all.md", "--readme", "README.md", "--reference", "random")
    assert status == 0
    assert "against random" in out
    assert "greedy" in (tmp_path / "out" / "report.html").read_text()
    table = (tmp_path / "found" / "table.md").read_text()
    assert "## vm: default" in (tmp_path / "all.md").read_text()
    assert "against random" in (tmp_path / "README.md").read_text()
    assert "against greedy" in table
    assert "--reference: expected one of greedy, random" in fails("compare", "found", "--reference", "who")
    assert "results.json" in fails("compare", "nowhere")


def test_options_of_the_comparison_on_instances_mean_that_one_in_every_problem(cli):
    for problem in ("storage", "budget"):
        status, out, _ = cli("evaluate", problem, "--against", "random", "--limit", 1)
        assert status == 0
        assert f"{problem}, default-v1: 1 instance" in out


def test_watch_draws_an_episode(cli, fails, tmp_path):
    from PIL import Image

    small = ("--set", "n_pms=12", "--set", "max_moves=5")
    status, out, _ = cli("watch", "vm", *small, "--out", "episode.gif", "--frames", 4)
    assert status == 0
    assert "default-0, greedy:" in out
    with Image.open(tmp_path / "episode.gif") as film:
        assert 2 <= film.n_frames <= 4
        assert min(film.size) > 100
    assert "--out: expected a file that ends in .gif" in fails("watch", "vm", "--out", "x.png")
    assert "--solver: expected one of" in fails("watch", "vm", *small, "--solver", "who")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vm", "--instances", "nonsense"), "Expected an instance set, one of default"),
        (("vm", "--against", "nonsense", "--limit", 1), "--against: expected solvers among "),
        (("vm", "--against", ",", "--limit", 1), "--against: expected at least one solver"),
        (("vm", "--agent", "nowhere", "--limit", 1), "--agent: expected a run folder"),
        (("vm", "--set", "foo=1"), "--set: params.foo: found 1, expected a key in [params] among"),
        (("vm", "--set", "n_pms=many"), "--set: params.n_pms: found 'many', expected an integer"),
        (("vm", "--set", "n_pms"), "key=value"),
        (("vm", "--set", "source=3"), "--set: params.source: found 3"),
        (("vm", "--set", "objective=cpu"), "Expected an objective such as"),
        (("vm", "--seconds", 0), "--seconds: expected a positive number"),
        (("vm", "--seconds", "nan"), "--seconds: expected a positive number"),
        (("vm", "--readme", "missing.md", "--against", "greedy", "--limit", 1), "missing.md: file"),
    ],
)
def test_an_evaluation_that_cannot_be_made_is_one_line(fails, arguments, message):
    assert message in fails("evaluate", *arguments)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "config.toml: file: found 'No such file"),
        ("problem = ", "config.toml: the file"),
        ('problem = "vm"\nagent = "pop"', "did you mean `ppo`?"),
        ('problem = "vm"\nagent = "ppo"\n[params]\nn_pms = 0', "n_pms from 1 to"),
        ('problem = "vm"\nagent = "ppo"\n[params]\nobjective = "disk:1"', "one of cpu, memory, got 'disk'"),
        ('problem = "vm"\nagent = "ppo"\n[params]\nsource = "nowhere.json"', "Expected a source among"),
        ('problem = "vm"\nagent = "ppo"\n[train]\ndevice = "abacus"', "Expected a device such as cpu"),
    ],
)
def test_a_training_that_cannot_begin_is_one_line_and_no_run(fails, tmp_path, text, message):
    if text is not None:
        (tmp_path / "config.toml").write_text(text)
    assert message in fails("train", "config.toml")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("list", "mv"), "Did you mean 'vm'?"),
        (("bench", "vm", "--bar", "99"), "--bar: expected one of 1, 2"),
        (("show", "nowhere"), "Expected a run folder"),
        (("curve", "nowhere"), "nowhere"),
        (("export", "weights", "nowhere", "--name", "x"), "nowhere"),
        (("generate", "vm", "--out", "x.json", "--kind", "odd"), "--kind: expected one of calibrated"),
    ],
)
def test_what_is_not_there_is_one_line(fails, arguments, message):
    assert message in fails(*arguments)


def test_what_is_generated_can_be_planned_for(cli, tmp_path):
    status, out, _ = cli("generate", "vm", "--out", "made.json", "--machines", 6)
    assert status == 0
    assert "6 PMs" in out
    assert read_cluster(tmp_path / "made.json").n_pms == 6
    assert cli("plan", "vm", "--input", "made.json", *QUICK)[0] == 0


def commands(command, path=()):
    """Every command and group of the program, by its words."""
    yield path
    for name, sub in getattr(command, "commands", {}).items():
        yield from commands(sub, (*path, name))


@pytest.mark.parametrize("words", commands(typer.main.get_command(app)), ids=" ".join)
def test_help_answers_at_once(words):
    best = min(_cpu_of_help(words) for _ in range(2))
    for _ in range(3):  # a busy machine counts what waits for memory as well
        best = best if best < 0.5 else min(best, _cpu_of_help(words))
    assert best < 0.5


def _cpu_of_help(words):
    """CPU seconds of `allocenv ... --help` in a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code = "from allocenv.agents.cli import main; main()"
    shown = subprocess.run([sys.executable, "-c", code, *words, "--help"], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "Usage: " in shown.stdout
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
