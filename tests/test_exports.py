"""What `import allocenv` offers, and what it costs."""

import subprocess
import sys

import gymnasium
import pytest

import allocenv
from allocenv.problems import REGISTRY


def run(code):
    """In a fresh interpreter, since this one has imported everything already."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("name", allocenv.__all__)
def test_every_public_name_exists(name):
    assert getattr(allocenv, name) is not None
    assert name in dir(allocenv)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = allocenv.nonsense


def test_lazy_names_are_public():
    assert set(allocenv._LAZY) < set(allocenv.__all__)


def test_importing_it_loads_no_learning_framework_and_no_plotting():
    loaded = run("import sys, allocenv; print(sorted({'torch', 'stable_baselines3', 'matplotlib'} & set(sys.modules)))")
    assert loaded == "[]"


def test_the_id_with_its_module_works_in_a_fresh_interpreter():
    made = run("import gymnasium; print(gymnasium.make('allocenv:allocenv/VMRescheduling-v0', n_pms=2).unwrapped)")
    assert "AllocEnv" in made


def test_make_passes_parameters_on():
    assert allocenv.make("vm", n_pms=3).problem.n_pms == 3
    assert allocenv.make_vec("vm", 2, n_pms=3).num_envs == 2
    assert allocenv.make_sequential("vm", n_pms=3).problem.n_pms == 3


@pytest.mark.parametrize("make", [allocenv.make, lambda name: allocenv.make_vec(name, 2), allocenv.make_problem])
def test_an_unknown_problem_gets_a_hint(make):
    with pytest.raises(ValueError, match=r"Did you mean 'vm'\?"):
        make("mv")


def test_every_problem_is_registered_with_both_entry_points():
    for line in REGISTRY.values():
        spec = gymnasium.spec(f"allocenv/{line.title}")
        assert spec.entry_point
        assert spec.vector_entry_point
