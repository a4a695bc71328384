"""A plan as commands of the systems that carry it out."""

import pytest

from allocenv.problems.vm.export import STYLES, export_commands
from allocenv.problems.vm.plan_file import Move, Plan

PLAN = Plan(
    source="x",
    objective="cpu:16",
    curve=(0.5, 0.4, 0.3, 0.3),
    moves=(
        Move(1, "shop/web-1", "n1", (0,), "n2", (0,), {"cpu": 1500, "memory": 512, "pods": 1}, 0.1, "one", 1),
        Move(2, "vms/virt-launcher-my-vm-x7k2p", "n1", (0,), "n 3", (0,), {"cpu": 2000}, 0.1, "two", 2),
        Move(3, "shop/web-2", "n2", (0,), "n2", (1,), {"cpu": 1000}, 0.0, "three", 2),
    ),
)


def test_pods_become_migration_jobs_that_wait_for_their_wave() -> None:
    text = export_commands(PLAN, "kubectl")
    first, second = text.split("---\n")[1:]
    assert 'kind: "PodMigrationJob"' in first
    assert 'namespace: "shop"\n    name: "web-1"' in first
    assert "paused: false" in first
    assert "paused: true" in second
    assert 'cpu: "1500m"\n                    memory: "512Mi"\n' in first
    assert "pods:" not in first
    assert '- "n2"' in first
    assert '"allocenv/wave": "2"' in second
    assert text.endswith("# move 3: shop/web-2 stays on n2, cell 0 -> 1: no command for that\n")


def test_the_manifests_are_yaml() -> None:
    yaml = pytest.importorskip("yaml")
    jobs = list(yaml.safe_load_all(export_commands(PLAN, "kubectl")))
    pod = jobs[0]["spec"]["reservationOptions"]["template"]["spec"]["template"]["spec"]
    affinity = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert affinity == {
        "nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n2"]}]}]
    }
    assert pod["containers"][0]["resources"]["requests"] == {"cpu": "1500m", "memory": "512Mi"}
    assert len({job["metadata"]["name"] for job in jobs}) == len(jobs) == 2


def test_virtual_machines_migrate_to_a_named_node() -> None:
    lines = export_commands(PLAN, "virtctl").splitlines()
    assert lines[2].startswith("virtctl migrate web-1 -n shop --addedNodeSelector kubernetes.io/hostname=n2  # ")
    assert lines[4].startswith("virtctl migrate my-vm -n vms --addedNodeSelector 'kubernetes.io/hostname=n 3'  # ")
    assert lines[5].startswith("# move 3: shop/web-2 stays on n2")


def test_servers_migrate_wave_by_wave() -> None:
    lines = export_commands(PLAN, "openstack").splitlines()
    assert lines[1] == "# wave 1"
    assert lines[2].startswith("openstack --os-compute-api-version 2.30 server migrate --live-migration --host n2 ")
    assert lines[3] == "wait"
    assert "--host 'n 3' --wait vms/virt-launcher-my-vm-x7k2p &" in lines[5]
    assert lines[-1] == "wait"


@pytest.mark.parametrize("style", STYLES)
def test_names_cannot_break_out_of_a_line(style: str) -> None:
    evil = Move(1, "a/b'; rm -rf / #", "n1", (0,), 'n"2\\', (0,), {"x:y": 1}, 0.0, "why\nnot", 1)
    text = export_commands(Plan("x", "cpu:16", (0.0, 0.0), (evil,)), style)
    assert not any(line.startswith("not") for line in text.splitlines())
    if style == "kubectl":
        assert 'name: " #"' in text  # what follows the last slash is the name of the pod


def test_an_unknown_style_is_refused() -> None:
    with pytest.raises(ValueError, match="kubectl, virtctl, openstack"):
        export_commands(PLAN, "telnet")
